"""Scheduler: which of the waiting pieces of work goes next. No threads, and no clock of its own.

API keys share the engine by source pieces, whatever each of them offers; below a key its documents
do, and all that are no documents together. This is weighted fair queueing (Demers et al. 1989):
who is served moves on by what that cost, and whoever is the least far on is next.

Among the single requests of a key the one goes first that is due first. A request is due when it
arrives, and later by up to `AGEING_S` the lower its priority: so a low one waits, but for no longer
than that behind those that arrive after it. Nobody's priority costs another key anything.

`Turns` shares the time of the engine between steps that people wait for and background work.
"""

import heapq
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from service.engine.request_params import HIGHEST, RequestParams

QUIET_SHARE = 1 / 3
"""Seconds of background work for each second of steps that somebody waits for. Short requests then
take a third longer, and the time of the one step of a document that they come into."""
BUSY_SHARE = 1.0
"""The same when more short requests wait than fit: they all wait by now, and documents count as
much as they do."""


class Turns:
    """Keeps account of the seconds. Documents, long batches and scoring are the background."""

    def __init__(self) -> None:
        self._owed = 0.0  # seconds that the background was ahead of its share

    def foreground(self, seconds: float, *, backlog: bool) -> None:
        """A step that people wait for took this long; does anything wait that did not fit?"""
        share = BUSY_SHARE if backlog else QUIET_SHARE
        self._owed = max(self._owed - seconds * share, 0.0)

    def background(self, seconds: float) -> None:
        """Work in the background took this long."""
        self._owed += seconds

    def alone(self) -> None:
        """Nobody waits: nothing is owed for what is done meanwhile."""
        self._owed = 0.0

    @property
    def allows_background(self) -> bool:
        """Whether it is the turn of the background."""
        return self._owed <= 0


AGEING_S = 10.0
"""How much longer the lowest priority waits than the highest, at most."""

Name = TypeVar("Name", bound=Hashable)
Owner = TypeVar("Owner", bound=Hashable)


class Shares(Generic[Name]):
    """Who of those that have work is served next, so that all get the same."""

    def __init__(self) -> None:
        self._start: dict[Name, float] = {}  # how far each one is
        self._active: dict[Name, None] = {}  # those that have work, in the order of their coming
        self._now = 0.0  # how far somebody is who has always had work

    def enter(self, name: Name) -> None:
        """`name` has work. Time in which it had none earns it nothing."""
        if name not in self._active:
            self._active[name] = None
            self._start[name] = max(self._start.get(name, 0.0), self._now)

    def leave(self, name: Name, *, returns: bool) -> None:
        """`name` has no work left. If it `returns`, it is remembered as long as it is ahead."""
        del self._active[name]
        if not self._active:
            self._now = 0.0
            self._start.clear()
        elif not (returns and self._start[name] > self._now):
            del self._start[name]

    def first(self) -> Name:
        """Who is next; there must be one."""
        return min(self._active, key=self._start.__getitem__)

    def serve(self, name: Name, cost: float) -> None:
        """`name` got something that cost this much."""
        self._now += cost / len(self._active)
        self._start[name] += cost


class _Place(NamedTuple):
    """Where the work of an owner waits."""

    key: str
    flow: int | None  # the number of a document; None for the single requests of a key


@dataclass(slots=True)
class _Entry(Generic[Owner]):
    owner: Owner
    place: _Place
    costs: Sequence[int]
    weight: int
    next: int = 0


class _Key(Generic[Owner]):
    """What one API key has waiting."""

    def __init__(self) -> None:
        self.shares: Shares[int | None] = Shares()
        self.flows: dict[int | None, list[tuple[float, int, _Entry[Owner]]]] = {}


class Scheduler(Generic[Owner]):
    """Waiting work of many owners. An item is an owner and the number of one of its costs."""

    def __init__(self) -> None:
        self.waiting = 0
        """Items."""
        self.pieces = 0
        """What they cost together."""
        self._shares: Shares[str] = Shares()
        self._keys: dict[str, _Key[Owner]] = {}
        self._entries: dict[Owner, _Entry[Owner]] = {}
        self._count = 0

    def push(self, owner: Owner, costs: Sequence[int], params: RequestParams, now: float) -> None:
        """Let `owner` wait with an item for each of the `costs`, in source pieces."""
        if not costs:
            return
        self._count += 1
        place = _Place(params.key, self._count if params.document else None)
        entry = _Entry(owner, place, costs, 1 + params.priority)
        self._entries[owner] = entry
        key = self._keys.setdefault(params.key, _Key())
        flow = key.flows.setdefault(place.flow, [])
        heapq.heappush(flow, (_due(params, now), self._count, entry))
        key.shares.enter(place.flow)
        self._shares.enter(params.key)
        self.waiting += len(costs)
        self.pieces += sum(costs)

    def head(self) -> tuple[Owner, int] | None:
        """The item that `pop` would give."""
        if not self._entries:
            return None
        key = self._keys[self._shares.first()]
        entry = key.flows[key.shares.first()][0][2]
        return entry.owner, entry.next

    def pop(self) -> tuple[Owner, int]:
        """The next item; there must be one."""
        key = self._keys[self._shares.first()]
        entry = key.flows[key.shares.first()][0][2]
        number, cost = entry.next, entry.costs[entry.next]
        entry.next += 1
        self.waiting -= 1
        self.pieces -= cost
        self._shares.serve(entry.place.key, cost)
        key.shares.serve(entry.place.flow, cost / entry.weight)
        if entry.next == len(entry.costs):
            heapq.heappop(key.flows[entry.place.flow])
            self._forget(entry)
        return entry.owner, number

    def drop(self, owner: Owner) -> None:
        """Forget what `owner` has waiting; no effect if it is nothing."""
        entry = self._entries.get(owner)
        if entry is None:
            return
        rest = entry.costs[entry.next :]
        self.waiting -= len(rest)
        self.pieces -= sum(rest)
        flow = self._keys[entry.place.key].flows[entry.place.flow]
        flow[:] = [kept for kept in flow if kept[2] is not entry]
        heapq.heapify(flow)
        self._forget(entry)

    def _forget(self, entry: _Entry[Owner]) -> None:
        """`entry` is out of its flow: what is empty now has no share any more."""
        del self._entries[entry.owner]
        key = self._keys[entry.place.key]
        if not key.flows[entry.place.flow]:
            del key.flows[entry.place.flow]
            key.shares.leave(entry.place.flow, returns=entry.place.flow is None)
        if not key.flows:
            del self._keys[entry.place.key]
            self._shares.leave(entry.place.key, returns=True)


def _due(params: RequestParams, now: float) -> float:
    """When a request that arrives now should be served; no later than somebody wants it."""
    due = now + AGEING_S * (HIGHEST - params.priority) / HIGHEST
    return due if params.deadline is None else min(due, params.deadline)
