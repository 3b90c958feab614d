"""Worker: the one thread that owns an engine and steps it, and the coroutines that await answers.

A request joins the sentences in flight at the next step and is answered at the step that ends its
last sentence. Neither torch nor the tokenizer runs on the event loop: a pool of threads takes texts
apart and puts them together, and everything between happens in the thread of the engine.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread

import torch

from model.checkpoint import Checkpoint
from model.decoding.engine import Engine, check_phrases, check_room, room_for
from model.decoding.options import SearchOptions
from model.decoding.precision import runnable
from model.decoding.request import Finished, Request
from model.decoding.search import Hypothesis
from model.decoding.selftest import rows_are_independent
from model.decoding.shortlist import Shortlist
from model.phrases import Phrases
from model.score import score_pairs
from model.translation import Plan, Translation, assemble, plan_sources, plan_text
from model.translator import SHORTEST_LIMIT
from service.admission import Admitted
from service.errors import EngineFailed, ShuttingDown
from service.terms import Terms

log = logging.getLogger(__name__)

Found = list[tuple[Hypothesis, ...]]
"""The hypotheses for each source of a request."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """How probable one target is."""

    log_prob: float
    score: float
    pieces: tuple[str, ...]
    token_log_probs: tuple[float, ...]


class Worker:
    """Translates for many clients at once. What one gets does not depend on the others."""

    def __init__(
        self,
        name: str,
        checkpoint: Checkpoint,
        *,
        device: torch.device,
        dtype: torch.dtype,
        shortlist: Shortlist | None = None,
    ) -> None:
        """
        Args:
            device, dtype: where and in what precision the network computes.
            shortlist: of the checkpoint, if it is to be used.

        Raises:
            RequestError: the options of the checkpoint allow more target pieces than any engine
                has room for.
        """
        self.name = name
        self.card = checkpoint.card
        self.digest = checkpoint.digest
        self.options = checkpoint.search
        self.tokenizer = checkpoint.tokenizer
        self._phrases = Phrases(checkpoint.tokenizer)
        self._unpacked = checkpoint.network
        self._network = runnable(checkpoint.network, dtype, device)
        self._device, self._dtype = device, dtype
        self._shortlist = shortlist
        self.limit = max(checkpoint.config.max_length, SHORTEST_LIMIT)
        self._max_length = room_for(self.options, self.limit)
        check_room(self.options, self.limit, self._max_length)
        self._inbox: SimpleQueue[_Job | None] = SimpleQueue()  # None: stop
        # Of the event loop:
        self._running = False

    def start(self) -> None:
        """Begin to translate."""
        if self._device.type == "cpu" and not rows_are_independent(self._network, self._dtype):
            log.warning("on this machine the last bits of a score depend on the other requests")
        self._thread = Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()
        self._running = True

    def stop(self, drain_s: float = 0) -> None:
        """End after the step under way. Requests that still wait fail with `ShuttingDown`."""
        self._running = False
        self._inbox.put(None)
        self._thread.join()

    async def translate(
        self, texts: Sequence[str], options: SearchOptions, terms: Terms, admitted: Admitted
    ) -> list[Translation]:
        """The translations of `texts`, in their order. If cancelled, they leave the engine.

        Raises:
            RequestError: `options` allow more target pieces than the engine has room for, or
                demand what these texts, or this model, cannot have.
            ShuttingDown: `stop` was called.
            EngineFailed: a step raised.
        """
        check_room(options, self.limit, self._max_length)
        plans, requests = await asyncio.to_thread(self._plan, texts, options)
        admitted.correct(sum(len(request.src) for request in requests))
        found = await self._search(requests)
        return await asyncio.to_thread(self._assemble, plans, found, options.n_best)

    async def stream(
        self, text: str, options: SearchOptions, terms: Terms, admitted: Admitted
    ) -> AsyncIterator[str | Translation]:
        """Prefixes of the translation of `text`, and then the translation."""
        (translation,) = await self.translate([text], options, terms, admitted)
        for end in (i for i, c in enumerate(translation.text) if c == " "):
            yield translation.text[:end]
        yield translation

    async def score(
        self, sources: Sequence[str], targets: Sequence[str], terms: Terms, admitted: Admitted
    ) -> list[Scored]:
        """How probable each target is, given its source."""
        return await asyncio.to_thread(self._score, sources, targets)

    def _score(self, sources: Sequence[str], targets: Sequence[str]) -> list[Scored]:
        src = [self.tokenizer.encode(text.strip()) for text in sources]
        tgt = [self.tokenizer.encode(text.strip()) for text in targets]
        found = score_pairs(self._unpacked, src, tgt)
        return [
            Scored(
                log_prob=log_prob,
                score=log_prob,
                pieces=tuple(map(self.tokenizer.piece, ids)),
                token_log_probs=(0.0,) * len(ids),
            )
            for log_prob, ids in zip(found, tgt, strict=True)
        ]

    async def _search(self, requests: list[Request]) -> Found:
        if not self._running:
            raise _shutting_down()
        job = _Job(requests)
        self._inbox.put(job)
        return await asyncio.wrap_future(job.answer)  # cancelling the one cancels the other

    def _plan(
        self, texts: Sequence[str], options: SearchOptions
    ) -> tuple[list[Plan], list[Request]]:
        """How each text is translated, and what to search for it, all in order."""
        plans = [plan_text(text, self.tokenizer, self.limit) for text in texts]
        parts = [self._phrases.requests(plan_sources(plan), options) for plan in plans]
        requests = [request for part in parts for request in part]
        for request in requests:  # refused here, it disturbs nobody
            check_phrases(request)
        return plans, requests

    def _assemble(self, plans: list[Plan], found: Found, n_best: int) -> list[Translation]:
        remaining = iter(found)
        return [
            assemble(plan, [next(remaining) for _ in plan_sources(plan)], n_best, self.tokenizer)
            for plan in plans
        ]

    # The thread of the engine

    def _run(self) -> None:
        flight = _Flight(self._new_engine())
        while True:
            try:
                if not self._board(flight):
                    break
                flight.step()
            except Exception:
                # The engine may be in any state: its requests fail, the next ones get a new one.
                log.exception("a step of the engine failed, and with it the requests in flight")
                flight.fail(EngineFailed)
                flight = _Flight(self._new_engine())
        flight.fail(_shutting_down)

    def _board(self, flight: "_Flight") -> bool:
        """Let all join that have arrived, and wait for one if there is nothing to do.

        Returns:
            False: it is time to stop.
        """
        while not (flight.busy and self._inbox.empty()):
            job = self._inbox.get()
            if job is None:
                return False
            flight.add(job)
        return True

    def _new_engine(self) -> Engine:
        return Engine(
            self._network,
            max_source=self.limit,
            max_length=self._max_length,
            continues=self._phrases.spelling.continues,
            shortlist=self._shortlist,
        )


class _Job:
    """What one request has to be searched.

    The event loop awaits `answer` and may cancel it; everything else is the engine thread's.
    """

    def __init__(self, requests: list[Request]) -> None:
        self.requests = requests
        self.answer: Future[Found] = Future()
        self.found: Found = [()] * len(requests)
        self.places: dict[int, int] = {}  # the engine's id of a source not yet over -> its place


class _Flight:
    """An engine and the jobs in it. Of the engine's thread alone."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._jobs: set[_Job] = set()
        self._owners: dict[int, _Job] = {}  # by the engine's ids

    @property
    def busy(self) -> bool:
        """Whether `step` has anything to do."""
        return self._engine.busy

    def add(self, job: _Job) -> None:
        """Let the sentences of `job` join."""
        self._jobs.add(job)
        for place, request in enumerate(job.requests):
            id = self._engine.add(request)
            job.places[id] = place
            self._owners[id] = job
        self._answer_if_over(job)  # blank texts have no sources

    def step(self) -> None:
        """Drop the jobs whose clients have left, extend the others, answer those that are over."""
        for job in [job for job in self._jobs if job.answer.cancelled()]:
            self._jobs.remove(job)
            for id in job.places:
                self._engine.cancel(id)
                del self._owners[id]
        for event in self._engine.step():
            if isinstance(event, Finished):
                job = self._owners.pop(event.id)
                job.found[job.places.pop(event.id)] = event.hypotheses
                self._answer_if_over(job)

    def fail(self, error: Callable[[], Exception]) -> None:
        """Answer each job with an `error` of its own. The end of this flight."""
        for job in self._jobs:
            if job.answer.set_running_or_notify_cancel():
                job.answer.set_exception(error())

    def _answer_if_over(self, job: _Job) -> None:
        if not job.places:
            self._jobs.remove(job)
            # From here on the client can no longer cancel, so that answering cannot fail.
            if job.answer.set_running_or_notify_cancel():
                job.answer.set_result(job.found)


def _shutting_down() -> ShuttingDown:
    return ShuttingDown("The server is shutting down. Try again later.")
