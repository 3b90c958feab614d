"""Names of the metrics, their labels for people, and the metrics of each task."""

from typing import Literal

Metric = Literal[
    "bleu",
    "chrf",
    "rouge_1",
    "rouge_2",
    "rouge_l",
    "symbol_error_rate",
    "sequence_error_rate",
    "mae",
    "rmse",
    "last_step_percent",
]
"""All are in percent, but for the errors of vectors, which are in their unit. Higher is better, but
for `LOWER_IS_BETTER`."""

LABELS: dict[str, str] = {
    "loss": "loss",
    "bleu": "BLEU",
    "chrf": "chrF",
    "rouge_1": "ROUGE-1",
    "rouge_2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
    "length_ratio": "length ratio",
    "symbol_error_rate": "symbol error rate",
    "sequence_error_rate": "sequence error rate",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "last_step_percent": "error of the last vector in %",
    "mase": "MASE",
    "seasonal_naive_mase": "MASE of the seasonal naive",
}
"""Labels for people."""

TRANSLATION: tuple[Metric, ...] = ("bleu", "chrf")
SUMMARY: tuple[Metric, ...] = ("rouge_1", "rouge_2", "rouge_l")
SYMBOLS: tuple[Metric, ...] = ("symbol_error_rate", "sequence_error_rate")
"""The metrics of symbols; the first is what the best checkpoint is chosen by."""
VECTORS: tuple[Metric, ...] = ("mae", "rmse", "last_step_percent")
"""The metrics of vectors, likewise."""
LOWER_IS_BETTER = frozenset(("loss", *SYMBOLS, *VECTORS))
OF_TASK = {"translate": TRANSLATION, "summarize": SUMMARY}
"""Default metrics of each task."""
BEST_OF_TASK = {"translate": "bleu", "summarize": "rouge_l"}
