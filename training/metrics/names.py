"""The names of the metrics, what people call them, and which of them suit a task."""

from typing import Literal

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
