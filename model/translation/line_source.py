"""LineSource: the input of a model that reads symbols, lines that are cut into them."""

from collections.abc import Sequence
from typing import ClassVar, cast

from model.decoding.options import SearchOptions
from model.decoding.request import Request
from model.errors import InputTooLong
from model.text.symbols import Symbols
from model.translation.assemble import TextHypothesis, Translation, list_of_texts


class LineSource:
    """Makes requests of lines; `VectorSource` does the same with sequences of vectors."""

    name: ClassVar[str] = "lines"

    def __init__(self, symbols: Symbols, most: int) -> None:
        """`most`: symbols of the longest line that can be read."""
        self._symbols, self._most = symbols, most

    def listed(self, sources: Sequence[object]) -> list[str]:
        """All sources of a call, as a list.

        Raises:
            RequestError: see `list_of_texts`.
        """
        return list_of_texts(cast(Sequence[str], sources), self.name)

    def prepared(self, line: object, options: SearchOptions) -> Request | Translation:
        """The request for a line, or the result if it is blank: itself.

        Raises:
            RequestError: a symbol is not in the alphabet; it is named with its place.
            InputTooLong: there are too many symbols.
        """
        assert isinstance(line, str), "one of `listed`"
        if not line.strip():
            return _unchanged(line)
        ids = self._symbols.source.encode_known(line)
        if len(ids) > self._most:
            raise InputTooLong(
                f"{len(ids):,} symbols, but the model reads at most {self._most:,} "
                "(model.max_length). Shorten the line, or divide it."
            )
        return Request(src=tuple(ids), options=options)

    def shown(self, request: Request) -> tuple[str, ...]:
        """The symbols of a request, for people."""
        return tuple(map(self._symbols.piece, request.src))


def _unchanged(line: str) -> Translation:
    """The result for a blank line."""
    blank = TextHypothesis(
        translation=line,
        score=0.0,
        log_prob=0.0,
        mean_log_prob=0.0,
        pieces=(),
        alignment=(),
        token_log_probs=(),
        word_alignment=(),
        word_sources=(),
        truncated=False,
        weights=None,
    )
    return Translation(hypotheses=(blank,), source_pieces=())
