"""Which metrics a validation computes, and which of them tells the best checkpoint."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from model.errors import ConfigError
from training.bleu_tokenization import (
    BleuTokenization,
    BleuTokenizer,
    bleu_tokenizer,
    make_bleu,
)

Metric = Literal["bleu", "chrf", "rouge_1", "rouge_2", "rouge_l"]
"""All are from 0 to 100, and more is better."""

LABELS: dict[str, str] = {
    "loss": "loss",
    "bleu": "BLEU",
    "chrf": "chrF",
    "rouge_1": "ROUGE-1",
    "rouge_2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
    "length_ratio": "length ratio",
}
"""How figures are called where people read them."""

TRANSLATION: tuple[Metric, ...] = ("bleu", "chrf")
SUMMARY: tuple[Metric, ...] = ("rouge_1", "rouge_2", "rouge_l")
OF_TASK = {"translate": TRANSLATION, "summarize": SUMMARY}
"""What the outputs of each task are measured by."""
BEST_OF_TASK = {"translate": "bleu", "summarize": "rouge_l"}


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


@dataclass
class Best:
    """The best validation of a run by one metric, and how many came after it without a better."""

    metric: str
    score: float | None = None  # None before the first validation
    without_better: int = 0

    def offer(self, score: float) -> bool:
        """Count a validation; whether it is the best one so far. An equal one is not better.

        A score that is not a number is the worst.
        """
        better = self.score is None or rank(self.metric, score) > rank(self.metric, self.score)
        if better:
            self.score = score
        self.without_better = 0 if better else self.without_better + 1
        return better

    def describe(self) -> str:
        """`best BLEU 38.54`, or that there is none."""
        label = LABELS[self.metric]
        if self.score is None:
            return f"no {label} yet"
        return f"best {label} {self.score:.{3 if self.metric == 'loss' else 2}f}"


def rank(metric: str, score: float) -> float:
    """The higher, the better `score` is."""
    if math.isnan(score):
        return -math.inf
    return -score if metric == "loss" else score
