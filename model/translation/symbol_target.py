"""SymbolTarget: the output of a model that writes symbols, from what a search finds."""

from collections.abc import Sequence
from typing import ClassVar

from model.decoding.beam_search import Hypothesis
from model.decoding.options import SearchOptions
from model.decoding.symbol_options import check_symbol_options
from model.errors import RequestError
from model.text.symbols import Symbols
from model.translation.alignment import hard
from model.translation.assemble import TextHypothesis, Translation


def check_found(found: Sequence[Hypothesis]) -> None:
    """Check that a search has found something.

    Raises:
        RequestError: it has not, which numbers do that the network cannot compute with.
    """
    if not found:
        raise RequestError(
            "the output is not finite. Give numbers nearer to those of the training."
        )


class SymbolTarget:
    """Makes results of hypotheses; `PieceTarget` does the same with text."""

    name: ClassVar[str] = "symbols"
    """What an answer of the service calls its output."""

    def __init__(self, symbols: Symbols) -> None:
        self._symbols = symbols

    def check(self, options: SearchOptions) -> None:
        """Check that `options` ask for nothing that only text has.

        Raises:
            RequestError: see `check_symbol_options`.
        """
        check_symbol_options(options)

    def result(self, found: Sequence[Hypothesis], source_pieces: tuple[str, ...]) -> Translation:
        """The result in the form of a `Translation`: each symbol is a piece, and a word.

        Raises:
            RequestError: nothing was found; see `check_found`.
        """
        check_found(found)
        return Translation(
            hypotheses=tuple(map(self._hypothesis, found)), source_pieces=source_pieces
        )

    def _hypothesis(self, found: Hypothesis) -> TextHypothesis:
        links = hard(found.weights[:-1, :-1])  # without EOS on either side
        return TextHypothesis(
            translation=self._symbols.target.decode(found.pieces),
            score=found.score,
            log_prob=found.log_prob,
            mean_log_prob=found.log_prob / len(found.token_log_probs),
            pieces=tuple(map(self._symbols.piece, found.pieces)),
            alignment=links,
            token_log_probs=found.token_log_probs[:-1],
            word_alignment=links,
            word_sources=(),
            truncated=found.truncated,
            weights=found.weights,
        )
