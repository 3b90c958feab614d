"""Sampler: the order of the training pairs: shares of the corpora, passes, epochs and windows.

    pass     over a corpus: its blocks of neighbouring lines in a random order
    epoch    as many pairs as all corpora have, of each its share, going on where the last one ended
    window   a part of an epoch that is in memory at a time, of each corpus its share

Every position is computed from its number, so nothing but numbers must be kept to go on.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

BLOCK = 1024
"""Lines that stay together and are read at once."""
WINDOW = 1 << 16
"""Approximate pairs in a window, inside which the order is fully random."""


class Run(NamedTuple):
    """Consecutive lines of a corpus, in one pass over it."""

    number: int
    """Number of the pass."""
    start: int
    stop: int


def epoch_counts(sizes: Sequence[int], weights: Sequence[float], temperature: float) -> list[int]:
    """Count the pairs of each corpus in an epoch, in total as many as there are.

    The share of corpus c is w_c n_c^(1/T) / sum over all corpora (Arivazhagan et al. 2019, section
    4.2): by size for T = 1, equal for a large T. With T = 1 and equal weights each pair comes once.
    Every corpus gives one pair at least: none is left out for ever by rounding.
    """
    shares = np.array(weights) * np.array(sizes, dtype=np.float64) ** (1 / temperature)
    total = sum(sizes)
    if len(set(weights)) == 1 and temperature == 1:
        return list(sizes)
    exact = shares / shares.sum() * total
    counts = np.maximum(np.floor(exact).astype(np.int64), 1)
    # Pairs that rounding left over go to the largest fractions; an excess is taken from the largest
    # corpus.
    left = total - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[: max(left, 0)]] += 1
    counts[np.argmax(counts)] += min(left, 0)
    return [int(count) for count in counts]


def num_windows(counts: Sequence[int]) -> int:
    """Count the windows of an epoch."""
    return max(1, -(-sum(counts) // WINDOW))


def window_runs(
    sizes: Sequence[int], counts: Sequence[int], *, epoch: int, window: int, seed: int
) -> list[list[Run]]:
    """List the lines that a window takes from each corpus."""
    windows = num_windows(counts)
    return [
        list(
            runs(
                size,
                epoch * count + count * window // windows,
                epoch * count + count * (window + 1) // windows,
                seed=seed,
                corpus=number,
            )
        )
        for number, (size, count) in enumerate(zip(sizes, counts, strict=True))
    ]


def runs(size: int, start: int, stop: int, *, seed: int, corpus: int) -> Iterator[Run]:
    """Find the lines from `start` to before `stop` in the endless passes over a corpus."""
    blocks = -(-size // BLOCK)
    while start < stop:
        number, place = divmod(start, size)
        order = np.random.default_rng([seed, corpus, number, 2]).permutation(blocks)
        ends = np.cumsum(np.where(order == blocks - 1, size - (blocks - 1) * BLOCK, BLOCK))
        at = int(np.searchsorted(ends, place, side="right"))
        while place < size and start < stop:
            block, end = int(order[at]), int(ends[at])
            length = min(BLOCK, size - block * BLOCK)
            first = block * BLOCK + place - (end - length)
            taken = min(end - place, stop - start)
            yield Run(number, first, first + taken)
            start, place, at = start + taken, place + taken, at + 1
