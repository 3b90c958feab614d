"""The best validation of a run, by one metric."""

import math
from dataclasses import dataclass

from training.metrics.names import LABELS, LOWER_IS_BETTER


@dataclass
class Best:
    """Best score of a run by one metric, and the number of validations since."""

    metric: str
    score: float | None = None  # None before the first validation
    without_better: int = 0

    def offer(self, score: float) -> bool:
        """Count a validation; return whether it is the best so far. An equal one is not better.

        A score that is not a number is the worst.
        """
        better = self.score is None or rank(self.metric, score) > rank(self.metric, self.score)
        if better:
            self.score = score
        self.without_better = 0 if better else self.without_better + 1
        return better

    def describe(self) -> str:
        """Describe the best score, such as `best BLEU 38.54`."""
        label = LABELS[self.metric]
        if self.score is None:
            return f"no {label} yet"
        return f"best {label} {self.score:.{3 if self.metric == 'loss' else 2}f}"


def rank(metric: str, score: float) -> float:
    """Rank a score: higher is better for every metric."""
    if math.isnan(score):
        return -math.inf
    return -score if metric in LOWER_IS_BETTER else score
