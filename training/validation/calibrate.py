"""Calibration of the confidence: its table from the outputs for a dev set, and how wrong it is."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from model.decoding.confidence import Calibration, QualityMetric

BINS = 20
IN_BIN = 20
"""Outputs in a bin, at least; the mean chrF of so few is known within 0.06 or so."""


class _Bin(NamedTuple):
    bound: float
    sentences: int
    total: float

    @property
    def quality(self) -> float:
        return self.total / self.sentences


def calibrate(
    mean_log_probs: Sequence[float], qualities: Sequence[float], metric: QualityMetric
) -> Calibration:
    """Make the table from outputs, at least one, and how good each of them is, from 0 to 1.

    Bins have the same number of outputs, but equal log-probabilities stay together. Few outputs
    make few bins: fewer than `2 * IN_BIN` a single one.
    """
    scores, values = np.array(mean_log_probs), np.array(qualities)
    ordered, count = np.sort(scores), len(scores)
    bins = max(1, min(BINS, count // IN_BIN))
    ends = np.unique([ordered[count * i // bins - 1] for i in range(1, bins + 1)])
    members = np.searchsorted(ends, scores)  # the same rule as in Calibration.confidence
    sentences = np.bincount(members, minlength=len(ends)).tolist()
    totals = np.bincount(members, values, minlength=len(ends)).tolist()
    table = _isotonic(list(map(_Bin, ends.tolist(), sentences, totals)))
    return Calibration(
        metric=metric,
        bounds=tuple(each.bound for each in table[:-1]),
        sentences=tuple(each.sentences for each in table),
        quality=tuple(each.quality for each in table),
    )


def _isotonic(bins: Sequence[_Bin]) -> list[_Bin]:
    """Join neighbours until the quality ascends: pool adjacent violators (Ayer et al. 1955)."""
    pools: list[_Bin] = []
    for pool in bins:
        while pools and pools[-1].quality >= pool.quality:
            lower = pools.pop()
            pool = _Bin(pool.bound, lower.sentences + pool.sentences, lower.total + pool.total)
        pools.append(pool)
    return pools


def expected_calibration_error(
    mean_log_probs: Sequence[float], qualities: Sequence[float], metric: QualityMetric
) -> float:
    """How far the confidence is from the quality, of lines that the table was not made from.

        ECE = sum_b n_b / n |mean confidence - mean quality|

    over the n_b lines of equal confidence (Naeini et al. 2015). The table is made from the first
    line and every second one after it; n are the others, at least one.
    """
    table = calibrate(mean_log_probs[::2], qualities[::2], metric)
    differences: dict[float, float] = defaultdict(float)
    for score, quality in zip(mean_log_probs[1::2], qualities[1::2], strict=True):
        confidence = table.confidence(score)
        differences[confidence] += confidence - quality
    return sum(map(abs, differences.values())) / len(mean_log_probs[1::2])
