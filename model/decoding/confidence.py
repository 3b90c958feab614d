"""Confidence: how good an output probably is, as outputs of its probability were on the dev set.

Of recurrent networks the log-probability ranks outputs, but is no quality by itself. The table of a
checkpoint says, for outputs of about the same mean log-probability, how good those for the dev set
were (histogram binning, Zadrozny & Elkan 2001). Bins whose quality would fall while the
log-probability rises are joined, so that the table is isotonic (Zadrozny & Elkan 2002).
"""

import math
from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from model.errors import ConfigError

QualityMetric = Literal["chrf", "rouge_l"]
"""What the quality of a single output is measured by: in both, 1 is the reference itself."""

MOST_BINS = 1000
"""Far more than a dev set has use for. A table may come from a stranger."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """The table of a checkpoint (confidence.json): bins of the mean log-probability, ascending."""

    metric: QualityMetric
    bounds: tuple[float, ...]
    """The highest mean log-probability in each bin but the last, which is open. It is that of
    `TextHypothesis.mean_log_prob`: in nats per piece, EOS counted."""
    sentences: tuple[int, ...]
    """How many outputs for the dev set are in each bin."""
    quality: tuple[float, ...]
    """Their mean quality, 0 to 1; it does not descend."""

    def __post_init__(self) -> None:
        bins = len(self.quality)
        if not 1 <= bins <= MOST_BINS:
            raise ConfigError(f"quality: {bins:,} bins, but a table has 1 to {MOST_BINS:,}.")
        if (len(self.bounds), len(self.sentences)) != (bins - 1, bins):
            raise ConfigError(
                f"bounds, sentences: {len(self.bounds):,} and {len(self.sentences):,}, but for "
                f"{bins:,} of quality there are {bins - 1:,} and {bins:,}."
            )
        if not (all(map(math.isfinite, self.bounds)) and _all(self.bounds, strictly=True)):
            raise ConfigError("bounds: not finite numbers of which each is above the one before.")
        if min(self.sentences) < 1:
            raise ConfigError("sentences: a bin has fewer than 1.")
        if not _all((0.0, *self.quality, 1.0), strictly=False):
            raise ConfigError("quality: not numbers from 0 to 1 that never descend.")

    def confidence(self, mean_log_prob: float) -> float:
        """The expected quality, 0 to 1, of an output with this mean log-probability.

        It is the `metric` (of a single output, divided by 100) that outputs of this bin have on
        average for the dev set. For other text than that of the dev set it may be anything.
        """
        return self.quality[bisect_left(self.bounds, mean_log_prob)]

    def describe(self) -> str:
        """Describe it, such as `12 bins, chrF 0.31 to 0.78 on 1,000 lines`."""
        label = {"chrf": "chrF", "rouge_l": "ROUGE-L"}[self.metric]
        return (
            f"{len(self.quality)} bins, {label} {self.quality[0]:.2f} to {self.quality[-1]:.2f} "
            f"on {sum(self.sentences):,} lines"
        )


def _all(values: tuple[float, ...], *, strictly: bool) -> bool:
    """Whether the values ascend, or at least do not descend; not if one is NaN."""
    return all(a < b if strictly else a <= b for a, b in pairwise(values))
