"""ValidationConfig: which metrics a validation computes, and which tells the best checkpoint."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from model.errors import ConfigError
from training.metrics.bleu_tokenization import (
    BleuTokenization,
    BleuTokenizer,
    bleu_tokenizer,
    make_bleu,
)
from training.metrics.names import BEST_OF_TASK, OF_TASK, TRANSLATION, Metric


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidationConfig:
    """What is measured on the dev set, and what a checkpoint is the best by."""

    metrics: tuple[Metric, ...] = TRANSLATION
    """What a config leaves out follows its task; see `with_metrics_of`."""
    best: Literal["loss", "bleu", "chrf", "rouge_1", "rouge_2", "rouge_l"] = "bleu"
    """Of the loss less is better, of all others more. Likewise."""
    tokenize: BleuTokenization = "auto"
    """How BLEU cuts text into words, also where it is the risk; auto = as suits the language."""

    def __post_init__(self) -> None:
        if not self.metrics:
            raise ConfigError("validation.metrics: none is named. Name one or more, such as bleu.")
        twice = [name for i, name in enumerate(self.metrics) if name in self.metrics[:i]]
        if twice:
            raise ConfigError(f"validation.metrics: {twice[0]} is named twice. Name it once.")
        if self.best not in ("loss", *self.metrics):
            raise ConfigError(
                f"validation.best: {self.best} is not computed. Use loss or one of "
                f"validation.metrics, which are {', '.join(self.metrics)}."
            )

    @property
    def bleu_tokenizer(self) -> BleuTokenizer:
        """`tokenize`, which is resolved by the time that something is scored."""
        assert self.tokenize != "auto"
        return self.tokenize

    def resolved(self, language: str, references: Sequence[str]) -> "ValidationConfig":
        """The same with what `auto` comes to for a target language and the dev set's targets.

        Raises:
            ConfigError: the tokenizer cannot be had.
        """
        tokenizer = bleu_tokenizer(self.tokenize, language, references)
        make_bleu(tokenizer)  # what fails should fail now
        return replace(self, tokenize=tokenizer)


def with_metrics_of(task: str, validation: Mapping[str, object]) -> dict[str, object]:
    """The section `validation` with what measures the outputs of a task, where it says nothing."""
    return {"metrics": OF_TASK[task], "best": BEST_OF_TASK[task], **validation}
