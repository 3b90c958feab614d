"""Turns: what is compared takes turns, and is told beside what one side differs from itself."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T")


def alternate(sides: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """What each side gave in each round; the order of a round is that of the last one, reversed."""
    found: dict[str, list[T]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: -1 if number % 2 else 1]:
            found[name].append(sides[name]())
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One figure of two sides, more of which is better, in two rounds at least."""

    name: str
    base: tuple[float, ...]
    here: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Of the medians, here / base."""
        return statistics.median(self.here) / statistics.median(self.base)

    @property
    def noise(self) -> tuple[float, float]:
        """How far the base was from itself, and so this side; see `unrest`."""
        return unrest(self.base), unrest(self.here)

    @property
    def within(self) -> bool:
        """Whether the sides differ by no more than one of them from itself."""
        most = max(self.noise)
        return 1 / most <= self.ratio <= most


def unrest(rates: Sequence[float]) -> float:
    """The largest ratio of two consecutive rounds, the larger one over the smaller."""
    return max(max(pair) / min(pair) for pair in pairwise(rates))
