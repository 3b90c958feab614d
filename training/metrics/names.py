"""Names of the metrics, their labels for people, and the metrics of each task."""

from typing import Literal

Metric = Literal["bleu", "chrf", "rouge_1", "rouge_2", "rouge_l"]
"""All are from 0 to 100; higher is better."""

LABELS: dict[str, str] = {
    "loss": "loss",
    "bleu": "BLEU",
    "chrf": "chrF",
    "rouge_1": "ROUGE-1",
    "rouge_2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
    "length_ratio": "length ratio",
}
"""Labels for people."""

TRANSLATION: tuple[Metric, ...] = ("bleu", "chrf")
SUMMARY: tuple[Metric, ...] = ("rouge_1", "rouge_2", "rouge_l")
OF_TASK = {"translate": TRANSLATION, "summarize": SUMMARY}
"""Default metrics of each task."""
BEST_OF_TASK = {"translate": "bleu", "summarize": "rouge_l"}
