"""Scheduler: decides which queued item runs next. It has no threads and reads no clock.

Clients, that is API keys or else addresses, share the engine equally, counted in source pieces and
however much each submits. Within a client, each document is a flow of its own and all other
requests together are one more flow. This is weighted fair queueing (Demers et al. 1989): serving a
flow advances its virtual time by the cost, and the flow with the least virtual time is next.

The interactive requests of a client are ordered by due time. A request is due when it arrives, plus
up to `AGEING_S` the lower its priority is: a low-priority request is overtaken by later arrivals,
but only by those that arrive within that time. A priority has no effect on other clients.

`BackgroundBudget` divides the time of the engine between interactive steps and background work.
"""

import heapq
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from service.engine.request_params import HIGHEST, RequestParams

QUIET_SHARE = 1 / 3
"""Seconds of background work per second of interactive steps. Short requests then take a third
longer, plus the rest of the background step during which they arrive."""
BUSY_SHARE = 1.0
"""The same while more short requests are queued than fit into the engine: then documents get half
of the time."""


class BackgroundBudget:
    """Accounts for the time spent. Documents, long batches and scoring are background work."""

    def __init__(self) -> None:
        self._owed = 0.0  # seconds by which background work is ahead of its share

    def foreground(self, seconds: float, *, backlog: bool) -> None:
        """Record an interactive step; `backlog`: requests are queued that did not fit into it."""
        share = BUSY_SHARE if backlog else QUIET_SHARE
        self._owed = max(self._owed - seconds * share, 0.0)

    def background(self, seconds: float) -> None:
        """Record the time of background work."""
        self._owed += seconds

    def reset(self) -> None:
        """Clear the account: background work is free while nothing interactive is queued."""
        self._owed = 0.0

    @property
    def allows_background(self) -> bool:
        """Whether background work may run now."""
        return self._owed <= 0


KEPT_IDLE = 100
"""Idle clients whose virtual time is kept without a look at whether it still matters."""
AGEING_S = 10.0
"""The most by which the lowest priority delays a request, compared with the highest."""

Name = TypeVar("Name", bound=Hashable)
Owner = TypeVar("Owner", bound=Hashable)


class FairShares(Generic[Name]):
    """Virtual times of flows. Serving the least advanced one gives active flows equal shares."""

    def __init__(self) -> None:
        self._start: dict[Name, float] = {}  # virtual time of each flow
        self._active: dict[Name, None] = {}  # flows that have work, in order of activation
        self._now = 0.0  # virtual time of a flow that has always had work

    def activate(self, name: Name) -> None:
        """Mark `name` as having work. The time during which it had none earns no credit."""
        if name not in self._active:
            self._active[name] = None
            self._start[name] = max(self._start.get(name, 0.0), self._now)

    def deactivate(self, name: Name, *, returns: bool) -> None:
        """Mark `name` as idle. If it `returns`, its virtual time is kept while it is ahead."""
        del self._active[name]
        if not self._active:
            self._now = 0.0
            self._start.clear()
        elif not (returns and self._start[name] > self._now):
            del self._start[name]
        if len(self._start) > 2 * len(self._active) + KEPT_IDLE:
            self._start = {
                one: start
                for one, start in self._start.items()
                if one in self._active or start > self._now
            }

    def first(self) -> Name:
        """Return the flow to serve next; at least one must be active."""
        return min(self._active, key=self._start.__getitem__)

    def charge(self, name: Name, cost: float) -> None:
        """Charge `name` for having been served."""
        self._now += cost / len(self._active)
        self._start[name] += cost


class _Flow(NamedTuple):
    """The flow that an item belongs to."""

    client: str
    document: int | None  # number of the document; None: all other requests of the client


@dataclass(slots=True)
class _Entry(Generic[Owner]):
    owner: Owner
    flow: _Flow
    costs: Sequence[int]
    weight: int
    next: int = 0


class _Client(Generic[Owner]):
    """The queued work of one client."""

    def __init__(self) -> None:
        self.shares: FairShares[int | None] = FairShares()
        self.flows: dict[int | None, list[tuple[float, int, _Entry[Owner]]]] = {}


class Scheduler(Generic[Owner]):
    """Queue of the work of many owners. An item is an owner and the index of one of its costs."""

    def __init__(self) -> None:
        self.items = 0
        """Number of queued items."""
        self.pieces = 0
        """Sum of their costs, in source pieces."""
        self._shares: FairShares[str] = FairShares()
        self._clients: dict[str, _Client[Owner]] = {}
        self._entries: dict[Owner, _Entry[Owner]] = {}
        self._count = 0

    def push(self, owner: Owner, costs: Sequence[int], params: RequestParams, now: float) -> None:
        """Queue one item of `owner` for each of the `costs`, in source pieces."""
        if not costs:
            return
        self._count += 1
        flow_id = _Flow(params.client, self._count if params.document else None)
        entry = _Entry(owner, flow_id, costs, 1 + params.priority)
        self._entries[owner] = entry
        client = self._clients.setdefault(params.client, _Client())
        flow = client.flows.setdefault(flow_id.document, [])
        heapq.heappush(flow, (_due(params, now), self._count, entry))
        client.shares.activate(flow_id.document)
        self._shares.activate(params.client)
        self.items += len(costs)
        self.pieces += sum(costs)

    def head(self) -> tuple[Owner, int] | None:
        """Return the item that `pop` would return, or None if the queue is empty."""
        if not self._entries:
            return None
        client = self._clients[self._shares.first()]
        entry = client.flows[client.shares.first()][0][2]
        return entry.owner, entry.next

    def pop(self) -> tuple[Owner, int]:
        """Remove and return the next item; the queue must not be empty."""
        client = self._clients[self._shares.first()]
        entry = client.flows[client.shares.first()][0][2]
        number, cost = entry.next, entry.costs[entry.next]
        entry.next += 1
        self.items -= 1
        self.pieces -= cost
        self._shares.charge(entry.flow.client, cost)
        client.shares.charge(entry.flow.document, cost / entry.weight)
        if entry.next == len(entry.costs):
            heapq.heappop(client.flows[entry.flow.document])
            self._forget(entry)
        return entry.owner, number

    def drop(self, owner: Owner) -> None:
        """Remove all queued items of `owner`, if there are any."""
        entry = self._entries.get(owner)
        if entry is None:
            return
        rest = entry.costs[entry.next :]
        self.items -= len(rest)
        self.pieces -= sum(rest)
        flow = self._clients[entry.flow.client].flows[entry.flow.document]
        flow[:] = [kept for kept in flow if kept[2] is not entry]
        heapq.heapify(flow)
        self._forget(entry)

    def _forget(self, entry: _Entry[Owner]) -> None:
        """Clean up after `entry` has left its flow: an empty flow or client gets no share."""
        del self._entries[entry.owner]
        client = self._clients[entry.flow.client]
        if not client.flows[entry.flow.document]:
            del client.flows[entry.flow.document]
            client.shares.deactivate(entry.flow.document, returns=entry.flow.document is None)
        if not client.flows:
            del self._clients[entry.flow.client]
            self._shares.deactivate(entry.flow.client, returns=True)


def _due(params: RequestParams, now: float) -> float:
    """Return when a request that arrives at `now` is due; never later than its deadline."""
    due = now + AGEING_S * (HIGHEST - params.priority) / HIGHEST
    return due if params.deadline is None else min(due, params.deadline)
