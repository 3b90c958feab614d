"""Best: the best validation of a run by one metric."""

import math
from dataclasses import dataclass

from training.metrics.names import LABELS


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
