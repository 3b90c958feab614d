"""The load generator: requests at a rate (open loop) or from so many clients (closed loops).

In an open loop requests arrive when a schedule says so, which was drawn before the first one, and
an answer's latency counts from the arrival on the schedule: a server that is slow, or a generator
that is, cannot make the load lighter nor hide what waits. A closed loop is a client that sends its
next request when it has the answer to the last one.
"""

import asyncio
import contextlib
import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.connection import Connection, Message, expecting
from benchmarks.dialects import Dialect

PATIENCE_S = 120.0
"""How long answers are awaited after the last arrival."""
IDLE_S = 2.0
"""A connection that was idle for longer is not used again: the server may be closing it."""
RETRY_S = 0.05
"""A client that is refused, or whose connection broke, comes back after so long."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, and what its answer has to be."""

    message: Message
    sentences: int
    answers: tuple[str, ...] | None = None
    """The answers given alone; None accepts whatever comes."""
    body: bytes | None = None
    """The whole body of that answer, if there is one: equal bytes need not be read."""
    pieces: int = 0


@dataclass(slots=True)
class Outcome:
    """What became of a request. Times are those of the event loop's clock."""

    ask: Ask
    planned: float
    sent: float = 0.0
    finished: float = 0.0
    status: int = 0
    """0 if there was no answer."""
    body: bytes = b""
    """Kept unless it is the expected one."""
    equal: bool = False
    """The body is the expected one, byte for byte."""
    accepted: bool = False
    """The server has asked for the body."""
    unconnected: bool = False
    """There was no connection to send it on."""

    def kind(self, dialect: Dialect) -> str:
        """right, wrong, refused (429), error (any other status) or lost (no answer)."""
        if self.status == 0:
            return "lost"
        if self.status != 200:
            return "refused" if self.status == 429 else "error"
        if self.equal:
            return "right"
        found = dialect.answers(self.body)
        if found is None:
            return "error"
        return "right" if self.ask.answers in (None, tuple(found)) else "wrong"


def poisson(rate: float, seconds: float, seed: int) -> list[float]:
    """Arrivals at `rate` a second, independent of one another, as offsets within `seconds`."""
    draw = random.Random(seed)
    arrivals = itertools.accumulate(draw.expovariate(rate) for _ in itertools.count())
    return list(itertools.takewhile(lambda arrival: arrival < seconds, arrivals))


class Load:
    """Requests to one server and what became of each. Used once, within a running event loop."""

    def __init__(self, port: int, asks: Sequence[Ask], *, hold: bool = False) -> None:
        """
        Args:
            asks: sent in turn, again and again.
            hold: send bodies only when the server asks for them, so as to know what it accepted.
        """
        self._port = port
        self._asks: Iterator[Ask] = itertools.cycle(asks)
        self._hold = hold
        self._loop = asyncio.get_running_loop()
        self._idle: list[Connection] = []
        self._busy: dict[Connection, Outcome] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # that open connections
        self._closed = False  # closed loops
        self._remaining = -1  # requests that closed loops still send; negative: no limit
        self._under_way = 0
        self._stopped, self._over = asyncio.Event(), asyncio.Event()
        self.outcomes: list[Outcome] = []
        self.started = 0.0

    async def offer(self, schedule: Sequence[float]) -> list[Outcome]:
        """An open loop: a request at each offset of `schedule`. `stop` ends it before its time."""
        self.started = self._loop.time()
        self._arrive(iter(schedule), None)
        return await self._end()

    async def loops(
        self, clients: int, *, seconds: float | None = None, requests: int = -1
    ) -> list[Outcome]:
        """Closed loops, for so long, or so many requests in all, or until `stop`."""
        self._closed = True
        self._remaining = requests
        self.started = self._loop.time()
        if seconds is not None:
            self._loop.call_later(seconds, self.stop)
        for _ in range(clients):
            self._next()
        return await self._end()

    def stop(self) -> None:
        """No further requests; what is under way is awaited."""
        self._stopped.set()
        self._settle()

    def _arrive(self, arrivals: Iterator[float], due: float | None) -> None:
        """Send the request that was due and all that are, and come back for the next."""
        while not self._stopped.is_set():
            if due is not None:
                self._start(self.started + due)
            due = next(arrivals, None)
            if due is None:
                return self.stop()
            if self.started + due > self._loop.time():
                self._loop.call_at(self.started + due, self._arrive, arrivals, due)
                return None

    async def _end(self) -> list[Outcome]:
        """Wait for what is under way, and close all connections."""
        await self._stopped.wait()
        with contextlib.suppress(TimeoutError):  # what is still under way then is lost
            await asyncio.wait_for(self._over.wait(), PATIENCE_S)
        connections = [*self._idle, *self._busy]
        self._idle, self._busy = [], {}
        for connection in connections:
            connection.close()
        return self.outcomes

    # One request

    def _start(self, planned: float) -> None:
        self._under_way += 1
        outcome = Outcome(next(self._asks), planned)
        self.outcomes.append(outcome)
        if self._idle and self._loop.time() - self._idle[-1].idle_since < IDLE_S:
            self._send(self._idle.pop(), outcome)
            return
        stale, self._idle = self._idle, []  # the last one is the freshest
        for connection in stale:
            connection.close()
        task = self._loop.create_task(self._open(outcome))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, outcome: Outcome) -> None:
        def connection() -> Connection:
            return Connection(self._answered, self._ended, self._accepted)

        try:
            _, made = await self._loop.create_connection(connection, "127.0.0.1", self._port)
        except OSError:
            outcome.unconnected = True
            self._done(RETRY_S)
        else:
            self._send(made, outcome)

    def _send(self, connection: Connection, outcome: Outcome) -> None:
        self._busy[connection] = outcome
        outcome.sent = self._loop.time()
        message = outcome.ask.message
        connection.send(expecting(message) if self._hold else message, hold=self._hold)

    def _accepted(self, connection: Connection) -> None:
        self._busy[connection].accepted = True

    def _answered(self, connection: Connection, status: int, body: bytes) -> None:
        outcome = self._busy.pop(connection)
        outcome.finished = now = self._loop.time()
        outcome.status = status
        outcome.equal = body == outcome.ask.body
        if not outcome.equal:
            outcome.body = body
        if connection.reusable:
            connection.idle_since = now
            self._idle.append(connection)
        else:
            connection.close()
        self._done(0 if status == 200 else RETRY_S)

    def _ended(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)
        if self._busy.pop(connection, None):
            self._done(RETRY_S)

    def _done(self, wait: float) -> None:
        """A request is over; the client of a closed loop sends its next one, after `wait`."""
        self._under_way -= 1
        if self._closed and wait:
            self._loop.call_later(wait, self._next)
        elif self._closed:
            self._next()
        self._settle()

    def _next(self) -> None:
        if self._remaining == 0:
            return self.stop()
        if not self._stopped.is_set():
            self._remaining -= 1
            self._start(self._loop.time())
        return None

    def _settle(self) -> None:
        if self._stopped.is_set() and not self._under_way:
            self._over.set()
