"""PieceTargets: lines of text, cut into pieces by a tokenizer, scored as translations are."""

from collections.abc import Sequence
from typing import ClassVar

from model.errors import DataError
from model.text.profile import TextProfile
from model.text.vocabulary import Vocabulary
from model.translation.assemble import Translation
from training.config.validation_config import ValidationConfig
from training.data.learn_tokenizer import LEARNED_FROM, given_tokenizer, learned_tokenizer
from training.validation.evaluation import Evaluation, Sample, text_evaluation
from training.vectors.line_targets import LineTargets, Pairs, Scoring


class PieceTargets(LineTargets):
    """A tokenizer is learned from the lines, as the config says, or is a file."""

    unit: ClassVar[str] = "pieces"

    @property
    def profile(self) -> TextProfile:
        """The language of the text."""
        return TextProfile(target_language=self.config.data.target_language)

    def learned(self, pairs: Pairs) -> Vocabulary:
        """The tokenizer of the config, or one of the lines whose sources may be trained on."""
        config = self.config
        if config.tokenizer.model is not None:
            return given_tokenizer(config.data.path(config.tokenizer.model))
        most = config.model.max_length
        lines = [line for source, line, _ in pairs if line.strip() and len(source) <= most]
        if not lines:
            raise DataError(
                "data.train: no text in any pair whose source has at most model.max_length "
                f"{most} vectors. Check the files, or raise it."
            )
        every = -(-len(lines) // LEARNED_FROM)
        return learned_tokenizer(config.tokenizer, lines[::every])

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
