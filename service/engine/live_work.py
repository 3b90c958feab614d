"""Live work: the work of an engine loop that is not answered yet, and its deadlines."""

import heapq
import weakref
from collections.abc import Iterator
from typing import Generic, TypeVar

from service.engine.scorer import ScoreJob
from service.engine.sequence_job import EngineJob

Work = TypeVar("Work", bound=EngineJob | ScoreJob)


class LiveWork(Generic[Work]):
    """Work that is not answered yet. Used only by the engine thread."""

    def __init__(self) -> None:
        self._live: set[Work] = set()
        # A heap. It keeps no work alive that is over long before its deadline.
        self._deadlines: list[tuple[float, int, weakref.ref[Work]]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Work]:
        return iter(list(self._live))

    def add(self, work: Work) -> None:
        """Add work, with its deadline if it has one."""
        self._live.add(work)
        deadline = work.reply.params.deadline
        if deadline is not None:
            self._count += 1
            heapq.heappush(self._deadlines, (deadline, self._count, weakref.ref(work)))

    def discard(self, work: Work) -> None:
        """Forget work, if it is known."""
        self._live.discard(work)

    def forget_answered(self) -> None:
        """Forget all work that is answered, or was dropped."""
        self._live = {work for work in self._live if not work.reply.done}

    def expired(self, now: float) -> Iterator[Work]:
        """Yield the work whose deadline, by `time.monotonic`, has passed."""
        if len(self._deadlines) > 2 * len(self._live) + 64:  # most belong to finished requests
            self._deadlines = [entry for entry in self._deadlines if entry[2]() in self._live]
            heapq.heapify(self._deadlines)
        while self._deadlines and self._deadlines[0][0] <= now:
            work = heapq.heappop(self._deadlines)[2]()
            if work is not None:
                yield work
