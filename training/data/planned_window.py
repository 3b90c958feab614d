"""Planned window: the batches of a window, and those of its pairs that a process holds.

Each process reads and segments an equal share of a window. The batches follow from the lengths of
all its pairs, which the processes tell one another; then each gets the pairs of its own parts of
the batches from those that have read them. So a pair is read once and held once, and the batches
are those that one process would make.
"""

# Shapes: L pairs or joined lines of a window, P processes.

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data.batching import Ids, Rows, Whole
from training.data.indexed_corpus import Side
from training.system.distributed import Number, World, equal_part

Places = NDArray[np.int64]
Plan = Callable[[NDArray[np.int64], NDArray[np.int64]], list[Places]]
"""Makes the batches of a window from the lengths of its sources and targets."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedWindow:
    """A window, of which this process holds the pairs of its parts of the batches."""

    held: Rows
    batches: list[Places]
    """Places of the pairs of each batch in the window."""
    world: World
    source_lengths: NDArray[np.int64]  # (L,)
    target_lengths: NDArray[np.int64]  # (L,)
    weights: NDArray[np.float32]  # (L,)
    where: Places  # (L,) place of each pair among those that are held

    def batch(self, places: Places) -> Rows:
        """Make the batch of the pairs at `places`, one of `batches`."""
        if self.world.size == 1:
            return self.held.only(places)
        own = equal_part(len(places), self.world.rank, self.world.size)
        targets = self.target_lengths[places] + 1
        whole = Whole(
            lines=len(places),
            first=own.start,
            source_tokens=int(self.source_lengths[places].sum()),
            target_tokens=int(targets.sum()),
            target_weight=float(targets.astype(np.float64) @ self.weights[places]),
        )
        return self.held.only(self.where[places[own]])._replace(whole=whole)


def plan_window(
    read: Rows, counts: Sequence[int], plan: Plan, *, hidden: bool, world: World
) -> PlannedWindow:
    """Plan the batches of a window, and get the pairs of this process's parts of them.

    Every process must call this.

    Args:
        read: this process's share of each corpus, see `Groups.share`.
        counts: how many pairs the window has of each corpus.
        hidden: whether inputs may differ from targets.
    """
    sources, targets, weights = _lengths(read.sources), _lengths(read.targets), read.weights
    places = [_places(counts, rank, world.size) for rank in range(world.size)]
    if world.size > 1:
        sources, targets = (_told(side, places, world) for side in (sources, targets))
        weights = _told(weights, places, world)
    batches = plan(sources, targets)
    where = np.arange(len(sources))
    held = read
    if world.size > 1:
        owners = _owners(batches, len(sources), world.size)
        got = np.concatenate([one[owners[one] == world.rank] for one in places])
        where[got] = np.arange(len(got))
        held = _handed_out(read, places, owners, (sources, targets), hidden=hidden, world=world)
        held = held._replace(weights=weights[got])
    return PlannedWindow(
        held=held,
        batches=batches,
        world=world,
        source_lengths=sources,
        target_lengths=targets,
        weights=weights,
        where=where,
    )


def _handed_out(
    read: Rows,
    places: Sequence[Places],
    owners: NDArray[np.int64],
    lengths: tuple[NDArray[np.int64], NDArray[np.int64]],
    *,
    hidden: bool,
    world: World,
) -> Rows:
    """Give each pair to the process that computes it; the pairs of this one, by who read them."""
    mine = owners[places[world.rank]]
    giving = [np.flatnonzero(mine == rank).tolist() for rank in range(world.size)]
    getting = [one[owners[one] == world.rank] for one in places]

    def side(sentences: Sequence[Ids], lengths: NDArray[np.int64]) -> list[Ids]:
        none = np.zeros(0, np.int32)
        parts = [np.concatenate([none, *(sentences[one] for one in some)]) for some in giving]
        got = world.exchange(parts, [int(lengths[some].sum()) for some in getting])
        return Side(np.concatenate(got), lengths[np.concatenate(getting)]).split()

    sources, targets = side(read.sources, lengths[0]), side(read.targets, lengths[1])
    inputs = side(read.inputs, lengths[1]) if hidden else targets
    return Rows(sources, targets, np.zeros(0, np.float32), inputs)


def _owners(batches: Sequence[Places], total: int, count: int) -> NDArray[np.int64]:
    """Number of the process (L,) that computes each pair."""
    owners = np.empty(total, np.int64)
    for places in batches:
        for rank in range(count):
            owners[places[equal_part(len(places), rank, count)]] = rank
    return owners


def _places(counts: Sequence[int], number: int, count: int) -> Places:
    """Places in the window of share `number` of `count` of each corpus."""
    firsts = np.cumsum(counts) - counts
    parts = [equal_part(total, number, count) for total in counts]
    return np.concatenate(
        [
            np.arange(part.start, part.stop) + first
            for first, part in zip(firsts, parts, strict=True)
        ]
    )


def _told(mine: NDArray[Number], places: Sequence[Places], world: World) -> NDArray[Number]:
    """Tell all processes what is known of the pairs read here; what is known of all (L,)."""
    parts = world.exchange([mine] * world.size, [len(one) for one in places])
    found = np.empty(sum(map(len, parts)), mine.dtype)
    for part, where in zip(parts, places, strict=True):
        found[where] = part
    return found


def _lengths(sentences: Sequence[Ids]) -> NDArray[np.int64]:
    return np.fromiter(map(len, sentences), dtype=np.int64, count=len(sentences))
