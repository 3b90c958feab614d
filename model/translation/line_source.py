"""LineSource: the input of a model that reads lines, but is not from text to text."""

from collections.abc import Callable, Sequence
from typing import ClassVar, cast

from model.decoding.options import SearchOptions
from model.decoding.request import Request
from model.errors import InputTooLong, RequestError
from model.text.vocabulary import Vocabulary
from model.translation.assemble import TextHypothesis, Translation, list_of_texts
from model.vectors.vector_target import Read


class LineSource:
    """Makes requests of lines; `VectorSource` does the same with sequences of vectors."""

    name: ClassVar[str] = "lines"

    def __init__(
        self, vocabulary: Vocabulary, encode: Callable[[str], list[int]], most: int
    ) -> None:
        """
        Args:
            encode: gives the ids of a line; it may raise a `RequestError`.
            most: symbols or pieces of the longest line that can be read.
        """
        self._vocabulary, self._encode, self._most = vocabulary, encode, most
        self.field = "text" if vocabulary.kind == "pieces" else "symbols"

    def listed(self, sources: Sequence[object]) -> list[str]:
        """All sources of a call, as a list.

        Raises:
            RequestError: see `list_of_texts`.
        """
        return list_of_texts(cast(Sequence[str], sources), self.name)

    def prepared(self, line: object, options: SearchOptions) -> Request | Translation:
        """The request for a line, or the result if it is blank: itself.

        Raises:
            RequestError: see `read`.
        """
        assert isinstance(line, str), "one of `listed`"
        if not line.strip():
            return _unchanged(line)
        return self.request(self.read(line), options)

    def read(self, line: object) -> tuple[int, ...]:
        """The ids of the symbols or pieces of a line.

        Raises:
            RequestError: it is blank, or a symbol is not in the alphabet; it is named with its
                place.
            InputTooLong: there are too many.
        """
        assert isinstance(line, str), "one of `listed`"
        if not line.strip():
            raise RequestError("a blank line, of which nothing can be made. Leave it out.")
        ids = self._encode(line)
        if len(ids) > self._most:
            raise InputTooLong(
                f"{len(ids):,} {self._vocabulary.kind}, but the model reads at most "
                f"{self._most:,}. Shorten the line, or divide it."
            )
        return tuple(ids)

    def request(self, ids: Read, options: SearchOptions) -> Request:
        """The request for a line that was read."""
        assert isinstance(ids, tuple), "what `read` gives"
        return Request(src=ids, options=options)

    def shown(self, request: Request) -> tuple[str, ...]:
        """The symbols or pieces of a request, for people."""
        return tuple(map(self._vocabulary.piece, request.src))


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
