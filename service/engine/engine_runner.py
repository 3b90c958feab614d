"""Engine runner: one engine, what waits for it, and which sentence is to blame when it fails.

The engine is given no more sentences than it has slots for, and a few to encode with them, so that
the scheduler decides who is next and not the engine's own queue.

When the engine raises, it is thrown away, and those that were in it are tried again in a new one,
half of the requests at a time, and halves of a half that fails: in the end only a request that
fails alone is given up. One that is tried again gives the answer that it would have given.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from model.decoding.beam_search import Hypothesis
from model.decoding.engine import Engine
from model.decoding.out_of_memory import is_out_of_memory
from model.decoding.request import Finished, Progress, Request
from model.errors import RequestError
from service.engine.job import Job
from service.engine.request_params import RequestParams
from service.engine.scheduler import Scheduler
from service.errors import EngineFailed

log = logging.getLogger(__name__)

LOOKAHEAD = 16
"""Sentences that an engine gets beyond its slots: encoding takes so many at once."""

Member = tuple[Job, int]
"""A sentence: the number of a request of a job."""
Group = dict[Job, list[int]]
"""Sentences by their jobs."""


@dataclass(frozen=True, slots=True)
class Found:
    """A sentence is over."""

    job: Job
    number: int
    hypotheses: tuple[Hypothesis, ...]


@dataclass(frozen=True, slots=True)
class Grown:
    """More of a streamed sentence is certain."""

    job: Job
    number: int
    pieces: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """A job cannot be answered."""

    job: Job
    error: Exception


Outcome = Found | Grown | Failed


class EngineRunner:
    """Sentences in one engine and waiting for it. Of the thread of the engine alone."""

    def __init__(self, make_engine: Callable[[int], Engine], max_rows: int) -> None:
        """`make_engine` is given the most hypotheses that may be in flight, see `Engine`."""
        self._make_engine = make_engine
        self.max_rows = max_rows
        self.failures = 0
        """How often the engine has raised."""
        self.short_of_memory = False
        """Whether it was for want of memory the last time."""
        self.waiting: Scheduler[Job] = Scheduler()
        self.rows = 0
        """Hypotheses of the sentences in the engine."""
        self._engine: Engine | None = None
        self._members: dict[int, Member] = {}  # by the engine's ids
        self._ids: dict[Job, dict[int, int]] = {}  # by job and number: the engine's ids
        self._trials: list[Group] = []  # suspects, to be tried in this order from the end
        self._on_trial = False  # those in the engine are
        self._rows_before = max_rows  # when the first of the suspects ran out of memory
        self.begun: list[Job] = []
        """Jobs whose first sentence went into the engine with the last step."""

    @property
    def busy(self) -> bool:
        """Whether `step` has anything to do."""
        return bool(self._members or self._trials or self.waiting.waiting)

    @property
    def sentences(self) -> int:
        """Sentences in the engine."""
        return len(self._members)

    def warm_up(self, batches: Iterable[list[Request]]) -> None:
        """Search some sentences, one batch after the other, in an engine that stays."""
        self._engine = engine = self._make_engine(self.max_rows)
        for batch in batches:
            for request in batch:
                engine.add(request)
            while engine.busy:
                engine.step()

    def join(self, job: Job, params: RequestParams, now: float) -> None:
        """Let the sentences of a planned job wait."""
        self.waiting.push(job, [len(request.src) for request in job.requests], params, now)

    def leave(self, job: Job) -> None:
        """Nobody wants the answer of `job` any more: what it has here is given up."""
        self.waiting.drop(job)
        for group in self._trials:
            group.pop(job, None)
        for id in self._ids.pop(job, {}).values():
            self._remove(id)
            if self._engine is not None:
                self._engine.cancel(id)

    def step(self) -> list[Outcome]:
        """Let sentences join and extend those in flight by one piece.

        Whatever the engine raises ends here; memory that is short leaves it fewer rows.
        """
        outcomes: list[Outcome] = []
        self.begun = []
        try:
            self._feed(outcomes)
            if self._engine is not None and self._members:
                outcomes += [self._outcome(event) for event in self._engine.step()]
            return outcomes
        except Exception as error:
            log.exception("the engine failed; the requests in it are tried again")
            self.short_of_memory = is_out_of_memory(error)
        # Outside of `except`, where the exception holds on to the engine's memory.
        return outcomes + self._survive()

    def _feed(self, outcomes: list[Outcome]) -> None:
        """Fill the engine, with suspects first and alone."""
        if self._members and self._on_trial:
            return
        self._on_trial = False
        while self._trials and not self._members:
            self._on_trial = True
            for job, numbers in self._trials.pop().items():
                for number in numbers:
                    self._put(job, number, outcomes)
        if self._members and self._on_trial:
            return
        self._on_trial = False
        while (head := self.waiting.head()) is not None and self._fits(*head):
            self._put(*self.waiting.pop(), outcomes)

    def _fits(self, job: Job, number: int) -> bool:
        beam = job.requests[number].options.beam_size
        return not self._members or self.rows + beam <= self.max_rows + LOOKAHEAD * beam

    def _put(self, job: Job, number: int, outcomes: list[Outcome]) -> None:
        """Give a sentence to the engine."""
        request: Request = job.requests[number]
        pending = -1  # should the engine raise, the sentence is among the suspects
        self._add(pending, job, number)
        if self._engine is None:
            self._engine = self._make_engine(self.max_rows)
        try:
            id = self._engine.add(request)
        except RequestError as error:
            self._remove(pending)
            self.leave(job)
            outcomes.append(Failed(job, error))
            return
        self._remove(pending)
        self._add(id, job, number)
        if not job.ticket.started:
            job.ticket.started = True
            self.begun.append(job)

    def _add(self, id: int, job: Job, number: int) -> None:
        self._members[id] = job, number
        self._ids.setdefault(job, {})[number] = id
        self.rows += job.requests[number].options.beam_size

    def _remove(self, id: int) -> Member:
        job, number = self._members.pop(id)
        self.rows -= job.requests[number].options.beam_size
        if job in self._ids:
            del self._ids[job][number]
            if not self._ids[job]:
                del self._ids[job]
        return job, number

    def _outcome(self, event: Finished | Progress) -> Outcome:
        if isinstance(event, Progress):
            return Grown(*self._members[event.id], event.stable_prefix)
        return Found(*self._remove(event.id), event.hypotheses)

    def _survive(self) -> list[Outcome]:
        """The engine is in any state: try again with a new one, or give up who fails alone."""
        self.failures += 1
        self._engine = None
        suspects: Group = {}
        for job, number in self._members.values():
            suspects.setdefault(job, []).append(number)
        self._members, self._ids, self.rows = {}, {}, 0
        tried, self._on_trial = self._on_trial, False
        if not (tried or self._trials):
            self._rows_before = self.max_rows
        if self.short_of_memory:
            self.max_rows = max(self.max_rows // 2, 1)
        if len(suspects) == 1 and tried:
            (guilty,) = suspects
            self.leave(guilty)
            if self.short_of_memory:  # it needs more than there is; the others do not
                self.max_rows = self._rows_before
            return [Failed(guilty, EngineFailed())]
        jobs = list(suspects)
        half = len(jobs) // 2
        for some in (jobs[half:], jobs[:half]):
            if some:
                self._trials.append({job: suspects[job] for job in some})
        return []
