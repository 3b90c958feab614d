"""Reply: the way back from the thread of the engine to the event loops that wait."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from service.engine.request_params import RequestParams

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class Outbox:
    """What the thread of the engine has to tell event loops.

    A loop is woken once for all that it is told at a time: waking costs more than telling.
    """

    def __init__(self) -> None:
        self._mail: dict[asyncio.AbstractEventLoop, list[Callable[[], None]]] = {}

    def post(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        """Let `loop` make a call, with the next `flush`."""
        self._mail.setdefault(loop, []).append(call)

    def flush(self) -> None:
        """Wake the loops that there is mail for."""
        mail, self._mail = self._mail, {}
        for loop, calls in mail.items():
            with suppress(RuntimeError):  # closed: nobody is there who could be told
                loop.call_soon_threadsafe(_make, calls)


def _make(calls: Sequence[Callable[[], None]]) -> None:
    for call in calls:
        try:
            call()
        except Exception:
            log.exception("an answer could not be handed over; the others are")


class Ticket(Generic[Answer]):
    """Who waits for an answer, and on what terms. To be made on the event loop that waits."""

    def __init__(self, params: RequestParams, outbox: Outbox) -> None:
        self.params = params
        self.arrival = time.monotonic()
        self.over = False
        """Answered, failed or given up. Of the thread of the engine, as all that follows."""
        self.started = False
        self.joined: float | None = None
        """When its first sentence was in an engine, by `time.monotonic`."""
        self.found: float | None = None
        """When its last sentence was over."""
        self._outbox = outbox
        self._loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Answer] = self._loop.create_future()
        """Of the event loop."""
        self.news: asyncio.Queue[str | None] = asyncio.Queue()
        """Of the event loop: what a stream has to say, and None when the answer is there."""

    def give(self, answer: Answer) -> None:
        """Send the answer. Whoever has left does not get it, and that is no error."""
        self._end(lambda: self.answer.set_result(answer))

    def fail(self, error: Exception) -> None:
        """Send an error in place of the answer.

        Without the frames that it came through: they hold the work whose answer it becomes, and
        that would be a cycle.
        """
        self._end(lambda: self.answer.set_exception(error.with_traceback(None)))

    def tell(self, text: str) -> None:
        """Send the beginning of the answer."""
        self._outbox.post(self._loop, lambda: self.news.put_nowait(text))

    def correct(self, texts: Iterable[str], pieces: int) -> None:
        """Say how many source pieces these texts of the request have."""
        bytes_ = sum(len(text.encode()) for text in texts)

        def tell() -> None:
            if not self.answer.done():  # else it has given its room back already
                self.params.admitted.correct(bytes_, pieces)

        self._outbox.post(self._loop, tell)

    def measured(self, pieces: int, seconds: float) -> None:
        """Say how fast the engine is."""
        self._outbox.post(self._loop, lambda: self.params.admitted.measured(pieces, seconds))

    def _end(self, settle: Callable[[], None]) -> None:
        if self.over:
            return
        self.over = True

        def deliver() -> None:
            if not self.answer.done():  # cancelled
                settle()
            self.news.put_nowait(None)

        self._outbox.post(self._loop, deliver)
