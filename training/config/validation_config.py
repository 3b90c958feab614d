"""ValidationConfig: the metrics of a validation, and which one selects the best checkpoint."""

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
from training.metrics.names import BEST_OF_TASK, OF_TASK, SYMBOLS, TRANSLATION, Metric


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidationConfig:
    """Metrics on the dev set, and the one that selects the best checkpoint."""

    metrics: tuple[Metric, ...] = TRANSLATION
    """By default those of the task; see `with_metrics_of`."""
    best: Literal["loss", Metric] = "bleu"
    """By default that of the task. The lowest loss or error rate is best, else the highest
    score."""
    tokenize: BleuTokenization = "auto"
    """Tokenizer of BLEU, also where it is the risk; auto = the one that suits the language."""

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
        """`tokenize` by name; `resolved` has replaced `auto`."""
        assert self.tokenize != "auto"
        return self.tokenize

    def resolved(self, language: str, references: Sequence[str]) -> "ValidationConfig":
        """Replace `auto` by what suits the target language and the targets of the dev set.

        Metrics of symbols need no tokenizer.

        Raises:
            ConfigError: the tokenizer cannot be had.
        """
        if set(self.metrics) <= set(SYMBOLS):
            return self
        tokenizer = bleu_tokenizer(self.tokenize, language, references)
        make_bleu(tokenizer)  # fail early
        return replace(self, tokenize=tokenizer)


def with_metrics_of(task: str, validation: Mapping[str, object]) -> dict[str, object]:
    """Fill the section `validation` with the default metrics of the task."""
    return {"metrics": OF_TASK[task], "best": BEST_OF_TASK[task], **validation}
