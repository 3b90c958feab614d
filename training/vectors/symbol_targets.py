"""SymbolTargets: lines that are cut into symbols of an alphabet, scored by error rates."""

from collections.abc import Sequence
from typing import ClassVar

from model.text.vocabulary import Vocabulary
from model.translation.assemble import Translation
from training.config.validation_config import ValidationConfig
from training.validation.evaluation import Evaluation
from training.validation.symbol_evaluation import symbol_evaluation
from training.vectors.line_targets import LineTargets, Pairs, Scoring
from training.vectors.line_vocabulary import learned_symbols, usable


class SymbolTargets(LineTargets):
    """An alphabet is learned from the lines of all pairs that may be trained on."""

    unit: ClassVar[str] = "symbols"

    @property
    def profile(self) -> None:
        """None: they are no text."""

    def learned(self, pairs: Pairs) -> Vocabulary:
        """The alphabet of the pairs; see `learned_symbols`."""
        cut, most = self.config.target.cut(), self.config.model.max_length
        lines = usable(((len(source), line) for source, line, _ in pairs), most)
        return learned_symbols(lines, source=None, target=cut, most=most)

    def scoring(self, validation: ValidationConfig) -> Scoring:
        """By the rates of symbols and of lines that are wrong."""
        cut = self.config.target.cut()

        def scored(
            loss: float,
            found: Sequence[Translation],
            references: Sequence[str],
            samples: Sequence[str],
        ) -> Evaluation:
            return symbol_evaluation(loss, found, references, cut, samples)

        return scored
