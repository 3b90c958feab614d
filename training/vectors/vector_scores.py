"""Scores of vectors against references: errors in their unit, and of the last one in percent."""

# Shapes: T length, W numbers in a vector.

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from training.validation.corpus_scores import SEED, Interval, Score

Vectors = NDArray[np.float32] | NDArray[np.float64]

SIGNATURE = "all numbers of all vectors alike"
LAST_SIGNATURE = "100 * sum |y - y*| / sum |y*| of the last vector, mean over the sequences"


def vector_scores(
    outputs: Sequence[Vectors], references: Sequence[Vectors], *, bootstrap: int
) -> dict[str, Score]:
    """Score `outputs` (T, W), of which at least one, each against a reference of its shape.

    mae, rmse: the mean absolute error, and the root of the mean squared error, over all numbers;
    last_step_percent: the error of the last vector in percent of its reference, without sequences
    whose last reference is zero; NaN if none is left.

    Args:
        bootstrap: draws of the sequences, for 95 % intervals; 0 for none.
    """
    pairs = list(zip(outputs, references, strict=True))
    apart = [one.astype(np.float64) - other for one, other in pairs]
    sizes = np.array([one.size for one in apart], np.float64)
    absolute = np.array([np.abs(one).sum() for one in apart])
    squared = np.array([np.square(one).sum() for one in apart])
    wholes = np.array([np.abs(one[-1]).sum(dtype=np.float64) for one in references])
    last = np.array([np.abs(one[-1]).sum() for one in apart])
    counted = wholes > 0
    percent = np.divide(100 * last, wholes, out=np.zeros_like(last), where=counted)

    def scores(rows: NDArray[np.int64]) -> list[float]:
        total = sizes[rows].sum()
        shares = percent[rows][counted[rows]]
        return [
            float(absolute[rows].sum() / total),
            float(np.sqrt(squared[rows].sum() / total)),
            float(shares.mean()) if len(shares) else float("nan"),
        ]

    values = scores(np.arange(len(pairs)))
    drawn = [scores(rows) for rows in draws(len(pairs), bootstrap)]
    named = zip(("mae", "rmse", "last_step_percent"), values, strict=True)
    return {
        name: Score(
            value=value,
            interval=middle([draw[number] for draw in drawn]) if drawn else None,
            signature=LAST_SIGNATURE if name == "last_step_percent" else SIGNATURE,
        )
        for number, (name, value) in enumerate(named)
    }


def draws(count: int, number: int) -> Iterator[NDArray[np.int64]]:
    """The rows of each of `number` draws of `count` sequences, with replacement; they are fixed."""
    generator = np.random.default_rng(SEED)
    for _ in range(number):
        yield generator.integers(count, size=count)


def middle(drawn: list[float]) -> Interval:
    """The middle 95 % of the draws."""
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Interval(mean=float(np.nanmean(drawn)), half_width=float(high - low) / 2)
