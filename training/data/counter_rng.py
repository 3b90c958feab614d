"""Counter-based random numbers: each is a hash of its purpose, so the order of draws is irrelevant.

A line's numbers depend on the seed, the pass over its corpus, the corpus and the line: they are the
same for any number of workers, in whatever order these come to it. (Salmon et al. 2011, "Parallel
random numbers: as easy as 1, 2, 3"; the hash is the output function of SplitMix64, Steele et al.
2014.)
"""

# Shapes: N lines, M numbers of all lines.

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]

_GAMMA = np.array([0x9E3779B97F4A7C15], np.uint64)  # 2^64 / golden ratio, odd
_FIRST = np.array([0xBF58476D1CE4E5B9], np.uint64)
_SECOND = np.array([0x94D049BB133111EB], np.uint64)
_S30, _S27, _S31 = (np.array([shift], np.uint64) for shift in (30, 27, 31))


def splitmix64(states: Keys) -> Keys:
    """The number that SplitMix64 gives in each state: any two states give different ones."""
    z = states + _GAMMA
    z = (z ^ (z >> _S30)) * _FIRST
    z = (z ^ (z >> _S27)) * _SECOND
    return z ^ (z >> _S31)


def line_keys(seed: int, use: int, corpus: int, passes: Keys, lines: Keys) -> Keys:
    """A key (N,) for each line in a pass. `use` tells apart what the numbers are for."""
    key = np.array([seed % 2**64], np.uint64)
    for part in (np.array([use], np.uint64), np.array([corpus], np.uint64), passes, lines):
        key = splitmix64(key ^ splitmix64(part))
    return key


def numbers(keys: Keys, counts: NDArray[np.int64]) -> Keys:
    """`counts` (N,) numbers of 64 random bits from each key, those of a line next to each other."""
    places = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return splitmix64(np.repeat(keys, counts) + places.astype(np.uint64) * _GAMMA)


def chosen(keys: Keys, counts: NDArray[np.int64], rate: float) -> NDArray[np.bool_]:
    """Like `numbers`, but true with probability `rate`, which is below 1."""
    return numbers(keys, counts) < np.uint64(int(rate * 2**64))
