"""PieceTargets: lines of text, cut into pieces by a tokenizer, scored as translations are."""

from collections.abc import Sequence
from typing import ClassVar

from model.text.profile import TextProfile
from model.text.vocabulary import Vocabulary
from model.translation.assemble import Translation
from training.config.validation_config import ValidationConfig
from training.validation.evaluation import Evaluation, Sample, text_evaluation
from training.vectors.line_targets import LineTargets, Pairs, Scoring
from training.vectors.line_vocabulary import learned_pieces, usable


class PieceTargets(LineTargets):
    """A tokenizer is learned from the lines, as the config says, or is a file."""

    unit: ClassVar[str] = "pieces"

    @property
    def profile(self) -> TextProfile:
        """The language of the text."""
        return TextProfile(target_language=self.config.data.target_language)

    def learned(self, pairs: Pairs) -> Vocabulary:
        """The tokenizer of the config, or one of the lines whose sources may be trained on."""
        most = self.config.model.max_length
        lines = usable(((len(source), line) for source, line, _ in pairs), most)
        return learned_pieces(lines, self.config)

    def scoring(self, validation: ValidationConfig) -> Scoring:
        """By the metrics of `validation`, and with a calibration of the confidence."""

        def scored(
            loss: float,
            found: Sequence[Translation],
            references: Sequence[str],
            samples: Sequence[str],
        ) -> Evaluation:
            return text_evaluation(
                loss,
                [one.text for one in found],
                [one.hypotheses[0].mean_log_prob for one in found],
                references,
                [Sample(*row) for row in zip(samples, references, found, strict=False)],
                validation,
                self.config.data.task,
            )

        return scored
