"""Job: one request on its way from an event loop through the thread of the engine and back."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from model.decoding.options import SearchOptions
from model.decoding.request import Request
from model.decoding.search import Hypothesis
from model.text.segmentation import Plan
from model.translation import Prepared, Translation
from service.admission import Admitted
from service.streaming import Growing
from service.terms import Terms

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

    def __init__(self, terms: Terms, admitted: Admitted, outbox: Outbox) -> None:
        self.terms = terms
        self.arrival = time.monotonic()
        self.over = False
        """Answered, failed or given up. Of the thread of the engine, as all that follows."""
        self.started = False
        self.joined: float | None = None
        """When its first sentence was in an engine, by `time.monotonic`."""
        self.found: float | None = None
        """When its last sentence was over."""
        self._admitted = admitted
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
        """Send an error in place of the answer."""
        self._end(lambda: self.answer.set_exception(error))

    def tell(self, text: str) -> None:
        """Send the beginning of the answer."""
        self._outbox.post(self._loop, lambda: self.news.put_nowait(text))

    def correct(self, texts: Iterable[str], pieces: int) -> None:
        """Say how many source pieces these texts of the request have."""
        bytes_ = sum(len(text.encode()) for text in texts)

        def tell() -> None:
            if not self.answer.done():  # else it has given its room back already
                self._admitted.correct(bytes_, pieces)

        self._outbox.post(self._loop, tell)

    def measured(self, pieces: int, seconds: float) -> None:
        """Say how fast the engine is."""
        self._outbox.post(self._loop, lambda: self._admitted.measured(pieces, seconds))

    def _end(self, settle: Callable[[], None]) -> None:
        if self.over:
            return
        self.over = True

        def deliver() -> None:
            if not self.answer.done():  # cancelled
                settle()
            self.news.put_nowait(None)

        self._outbox.post(self._loop, deliver)


@dataclass(frozen=True, slots=True)
class Unassembled:
    """A text of many parts, all of them over. To put it together would hold up the engine."""

    plan: Plan
    found: Sequence[Sequence[Hypothesis]]
    """The hypotheses of each part."""


class Job:
    """Texts to translate. But for its making, of the thread of the engine."""

    def __init__(
        self,
        ticket: Ticket[list[Translation | Unassembled]],
        texts: Sequence[str],
        options: SearchOptions,
        *,
        stream: bool,
        aligned: bool,
        prepared: dict[int, Prepared],
    ) -> None:
        """`prepared` has those of the texts, by number, that were taken apart already."""
        self.aligned = aligned
        self.ticket = ticket
        self.texts, self.options, self.stream = texts, options, stream
        self.given = prepared
        self.plans: list[Plan] = []
        self.requests: list[Request] = []  # of all texts, in order
        self.text_of: list[int] = []  # by the number of a request
        self.found: list[list[tuple[Hypothesis, ...]]] = []  # by text, for each of its parts
        self.first: list[int] = []  # by text, the number of its first request
        self.missing: list[int] = []  # by text, how many of its parts are not over
        self.translations: list[Translation | Unassembled | None] = [None] * len(texts)
        self.open = len(texts)  # texts that have no translation yet
        self.growing: Growing | None = None

    @property
    def pieces(self) -> int:
        """Source pieces of what is planned."""
        return sum(len(request.src) for request in self.requests)

    def plan(self, plan: Plan, requests: list[Request]) -> None:
        """How the next text is translated."""
        text = len(self.plans)
        self.plans.append(plan)
        self.first.append(len(self.requests))
        self.requests += requests
        self.text_of += [text] * len(requests)
        self.found.append([()] * len(requests))
        self.missing.append(len(requests))

    def find(self, number: int, hypotheses: tuple[Hypothesis, ...]) -> int | None:
        """The request `number` is over.

        Returns:
            Which text is complete with it, if one is.
        """
        text = self.text_of[number]
        self.found[text][number - self.first[text]] = hypotheses
        self.missing[text] -= 1
        return text if not self.missing[text] else None
