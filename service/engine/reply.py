"""Reply: carries answers from the engine thread back to the event loops that await them."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from service.engine.request_params import RequestParams

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class LoopNotifier:
    """Collects calls of the engine thread to event loops.

    Each `flush` wakes a loop once for all its calls, since waking it costs more than making them.
    """

    def __init__(self) -> None:
        self._pending: dict[asyncio.AbstractEventLoop, list[Callable[[], None]]] = {}

    def call_soon(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        """Schedule a call on `loop`; the next `flush` delivers it."""
        self._pending.setdefault(loop, []).append(call)

    def flush(self) -> None:
        """Deliver all pending calls, waking each loop once."""
        pending, self._pending = self._pending, {}
        for loop, calls in pending.items():
            with suppress(RuntimeError):  # the loop is closed: nothing awaits the answer any more
                loop.call_soon_threadsafe(_run_calls, calls)


def _run_calls(calls: Sequence[Callable[[], None]]) -> None:
    for call in calls:
        try:
            call()
        except Exception:
            log.exception("an answer could not be handed over; the others are")


class PendingReply(Generic[Answer]):
    """An answer that is awaited, and the parameters of its request.

    Must be created on the event loop that awaits it.
    """

    def __init__(self, params: RequestParams, notifier: LoopNotifier) -> None:
        self.params = params
        self.arrival = time.monotonic()
        self.done = False
        """Answered, failed or cancelled. Used only by the engine thread, like the next three."""
        self.started = False
        self.joined_at: float | None = None
        """When its first sentence entered an engine, by `time.monotonic`."""
        self.decoded_at: float | None = None
        """When its last sentence was finished."""
        self._notifier = notifier
        self._loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Answer] = self._loop.create_future()
        """Used only on the event loop, like `partials`."""
        self.partials: asyncio.Queue[str | None] = asyncio.Queue()
        """Partial answers of a stream, and None once the answer is complete."""

    def finish(self, answer: Answer) -> None:
        """Send the answer. It is dropped if the client has left."""
        self._end(lambda: self.answer.set_result(answer))

    def fail(self, error: Exception) -> None:
        """Send an error in place of the answer.

        Without the frames that it came through: they hold the work whose answer it becomes, and
        that would be a cycle.
        """
        self._end(lambda: self.answer.set_exception(error.with_traceback(None)))

    def send_partial(self, text: str) -> None:
        """Send the stable prefix of the answer."""
        self._notifier.call_soon(self._loop, lambda: self.partials.put_nowait(text))

    def count_pieces(self, bytes_: int, pieces: int) -> None:
        """Replace the bytes reserved for the texts by the number of their source pieces."""

        def correct() -> None:
            if not self.answer.done():  # otherwise the reservation is already released
                self.params.reservation.count_pieces(bytes_, pieces)

        self._notifier.call_soon(self._loop, correct)

    def record_speed(self, pieces: int, seconds: float) -> None:
        """Report a measurement of the engine's speed to the admission control."""
        reservation = self.params.reservation
        self._notifier.call_soon(self._loop, lambda: reservation.record_speed(pieces, seconds))

    def _end(self, settle: Callable[[], None]) -> None:
        if self.done:
            return
        self.done = True

        def deliver() -> None:
            if not self.answer.done():  # cancelled
                settle()
            self.partials.put_nowait(None)

        self._notifier.call_soon(self._loop, deliver)
