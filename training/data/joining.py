"""Joining: two or three pairs of a corpus become one line, so that a model learns to read several.

Random pairs serve as well as neighbours in a document do (Nguyen et al. 2021, "Data augmentation by
concatenation for low-resource translation"), and need no documents.
"""

# Shapes: N pairs, L lines.

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.data.batching import Ids
from training.data.counter_rng import Keys, numbers
from training.system.distributed import equal_part


class Groups(NamedTuple):
    """Which pairs make a line. Each pair is in one line."""

    order: NDArray[np.int64]  # (N,) pairs, those of a line next to each other
    sizes: NDArray[np.int64]  # (L,) pairs of each line

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each line (L,) begins in `order`."""
        return np.cumsum(self.sizes) - self.sizes

    def totals(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sum up the values of the pairs (N,) of each line (L,)."""
        return np.add.reduceat(values[self.order], self.starts)

    def spread(self, lines: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Give each pair (N,) what its line (L,) has."""
        pairs = np.empty(len(self.order), np.bool_)
        pairs[self.order] = np.repeat(lines, self.sizes)
        return pairs

    def mean_weights(
        self, weights: NDArray[np.float32], targets: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Average the weights (N,) of the pairs of each line (L,), in proportion to their targets.

        Args:
            targets: (N,) their pieces.
        """
        if len(self.sizes) == len(self.order):
            return weights[self.order]
        shares = np.add.reduceat(targets[self.order].astype(np.float64), self.starts)
        sums = np.add.reduceat((weights * targets.astype(np.float64))[self.order], self.starts)
        return (sums / shares).astype(np.float32)

    def share(self, number: int, count: int) -> tuple[NDArray[np.bool_], "Groups"]:
        """Select slice `number` of `count` consecutive slices of the lines.

        Returns:
            Which of the pairs (N,) they have, and the lines among those pairs alone.
        """
        cut = equal_part(len(self.sizes), number, count)
        sizes = self.sizes[cut]
        start = int(self.sizes[: cut.start].sum())
        order = self.order[start : start + int(sizes.sum())]
        held = np.zeros(len(self.order), np.bool_)
        held[order] = True
        return held, Groups((np.cumsum(held) - 1)[order], sizes)

    def join(self, sentences: Sequence[Ids]) -> list[Ids]:
        """Concatenate the sentences of the pairs (N) of each line (L).

        The ids spell the sentences with a space between them, since each begins with one.
        """
        places = self.order.tolist()
        return [
            sentences[places[start]]
            if size == 1
            else np.concatenate([sentences[place] for place in places[start : start + size]])
            for start, size in zip(self.starts.tolist(), self.sizes.tolist(), strict=True)
        ]


def singles(count: int) -> Groups:
    """Let each of `count` pairs be a line, in the same order."""
    return Groups(np.arange(count), np.ones(count, np.int64))


def draw_groups(
    keys: Keys,
    share: float,
    source: NDArray[np.int64],
    target: NDArray[np.int64],
    *,
    most: tuple[int, int],
) -> Groups:
    """Join random pairs, so that `share` of the lines are two or three pairs, as often the one.

    Pairs that would make a longer line than `most` stay by themselves, so there may be fewer.

    Args:
        keys: (N,) of random numbers, see `line_keys`.
        source: (N,) pieces of each source.
        target: (N,) pieces of each target.
        most: pieces of a source and of a target.
    """
    if not share:
        return singles(len(keys))
    order = np.argsort(keys, kind="stable")
    drawn = numbers(keys[order], np.full(len(keys), 2)).reshape(-1, 2)
    sizes = 1 + (drawn[:, 0] < np.uint64(int(share * 2**64))) * (1 + (drawn[:, 1] >> 63))
    sizes = sizes.astype(np.int64)
    ends = np.cumsum(sizes)
    sizes = sizes[: int(np.searchsorted(ends, len(keys))) + 1]
    sizes[-1] -= int(sizes.sum()) - len(keys)  # the last line has what is left
    groups = Groups(order, sizes)
    fits = groups.totals(source) <= most[0]
    fits &= groups.totals(target) <= most[1]
    return Groups(order, np.repeat(np.where(fits, sizes, 1), np.where(fits, 1, sizes)))
