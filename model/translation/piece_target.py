"""PieceTarget: the output of a model that writes pieces of text, but reads none."""

# Shapes: T target length with EOS, S steps of the source.

from collections.abc import Sequence
from typing import ClassVar

from model.decoding.beam_search import Hypothesis
from model.decoding.options import SearchOptions
from model.decoding.symbol_options import check_symbol_options
from model.text.tokenizer import SPACE_MARK, Tokenizer
from model.translation.alignment import hard, word_weights
from model.translation.assemble import TextHypothesis, Translation
from model.translation.symbol_target import check_found


class PieceTarget:
    """Makes results of hypotheses; `SymbolTarget` does the same with symbols."""

    name: ClassVar[str] = "text"
    """What an answer of the service calls its output."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def check(self, options: SearchOptions) -> None:
        """Check that `options` ask for nothing that only a model has that reads text.

        Raises:
            RequestError: see `check_symbol_options`.
        """
        check_symbol_options(options, "vectors")

    def result(self, found: Sequence[Hypothesis], source_pieces: tuple[str, ...]) -> Translation:
        """The result in the form of a `Translation`, of hypotheses with different texts.

        Raises:
            RequestError: nothing was found; see `check_found`.
        """
        check_found(found)
        texts: dict[str, TextHypothesis] = {}
        for one in map(self._hypothesis, found):
            texts.setdefault(one.translation, one)
        return Translation(hypotheses=tuple(texts.values()), source_pieces=source_pieces)

    def _hypothesis(self, found: Hypothesis) -> TextHypothesis:
        weights = found.weights[:-1, :-1]  # without EOS on either side
        pieces = tuple(map(self._tokenizer.piece, found.pieces))
        steps = [SPACE_MARK + "-"] * weights.shape[1]  # each stands for a word of the source
        return TextHypothesis(
            translation=self._tokenizer.target.decode(found.pieces),
            score=found.score,
            log_prob=found.log_prob,
            mean_log_prob=found.log_prob / len(found.token_log_probs),
            pieces=pieces,
            alignment=hard(weights),
            token_log_probs=found.token_log_probs[:-1],
            word_alignment=hard(word_weights(weights, steps, pieces)),
            word_sources=(),
            truncated=found.truncated,
            weights=found.weights,
        )
