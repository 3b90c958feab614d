"""Engine runner: one engine and its queue.

The engine receives only as many sentences as it has slots for, plus a few to encode with them, so
that the scheduler and not the engine's own queue decides which sentence is next.

When the engine raises, it is replaced by a new one, and its requests are retried (see suspects.py).
A retried request gets the same answer as without the failure.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from model.decoding.beam_search import Hypothesis
from model.decoding.engine import Engine
from model.decoding.long_engine import LongEngine
from model.decoding.out_of_memory import is_out_of_memory
from model.decoding.request import Event, Progress, Refused, Request
from model.errors import RequestError
from service.engine.request_params import RequestParams
from service.engine.scheduler import Scheduler
from service.engine.sequence_job import EngineJob
from service.engine.suspects import Group, Suspects
from service.errors import EngineFailed

log = logging.getLogger(__name__)

LOOKAHEAD = 16
"""Sentences that an engine receives beyond its slots, to be encoded in one batch."""

AnyEngine = Engine | LongEngine

Member = tuple[EngineJob, int]
"""A sentence, as a job and the index of one of its requests."""


@dataclass(frozen=True, slots=True)
class SentenceFinished:
    """A sentence is finished."""

    job: EngineJob
    number: int
    hypotheses: tuple[Hypothesis, ...]


@dataclass(frozen=True, slots=True)
class SentenceProgress:
    """The stable prefix of a streamed sentence has grown."""

    job: EngineJob
    number: int
    pieces: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class JobFailed:
    """A job cannot be answered."""

    job: EngineJob
    error: Exception


Outcome = SentenceFinished | SentenceProgress | JobFailed


class EngineRunner:
    """The sentences in one engine and in its queue. Used only by the engine thread."""

    def __init__(
        self, make_engine: Callable[[int], AnyEngine], max_rows: int, lookahead: int = LOOKAHEAD
    ) -> None:
        """
        Args:
            make_engine: receives the limit of hypotheses in flight, see `Engine`.
            lookahead: sentences that the engine receives beyond its slots.
        """
        self._lookahead = lookahead
        self._make_engine = make_engine
        self.max_rows = max_rows
        """The limit of hypotheses in flight."""
        self._suspects: Suspects | None = None  # after a failure, until all have been tried
        self.failures = 0
        """How often the engine has raised."""
        self.out_of_memory = False
        """Whether the last failure was an out-of-memory error."""
        self.queue: Scheduler[EngineJob] = Scheduler()
        self.rows = 0
        """Number of hypotheses of the sentences in the engine."""
        self._engine: AnyEngine | None = None
        self._members: dict[int, Member] = {}  # by the engine's ids
        self._ids: dict[EngineJob, dict[int, int]] = {}  # by job and number: the engine's ids
        self.started: list[EngineJob] = []
        """Jobs whose first sentence entered the engine in the last step."""

    @property
    def busy(self) -> bool:
        """Whether `step` has anything to do."""
        return bool(self._members or self._suspects or self.queue.items)

    @property
    def sentences(self) -> int:
        """Number of sentences in the engine."""
        return len(self._members)

    def warm_up(self, batches: Iterable[list[Request]]) -> None:
        """Create the engine and decode some sentences in it, one batch after the other."""
        self._engine = engine = self._make_engine(self.max_rows)
        for batch in batches:
            for request in batch:
                engine.add(request)
            while engine.busy:
                engine.step()

    def enqueue(self, job: EngineJob, params: RequestParams, now: float) -> None:
        """Queue the sentences of a planned job."""
        self.queue.push(job, [len(request.src) for request in job.requests], params, now)

    def cancel(self, job: EngineJob) -> None:
        """Remove all sentences of `job` from the queue and from the engine."""
        self.queue.drop(job)
        if self._suspects is not None:
            self._suspects.discard(job)
        for id in self._ids.pop(job, {}).values():
            self._remove(id)
            if self._engine is not None:
                self._engine.cancel(id)

    def step(self) -> list[Outcome]:
        """Add queued sentences to the engine and extend those in flight by one piece.

        Handles every exception of the engine; running out of memory halves its limit of rows.
        """
        outcomes: list[Outcome] = []
        self.started = []
        try:
            self._fill(outcomes)
            if self._engine is not None and self._members:
                outcomes += [self._outcome(event) for event in self._engine.step()]
            return outcomes
        except Exception as error:
            log.exception("the engine failed; the requests in it are tried again")
            self.out_of_memory = is_out_of_memory(error)
        # Outside of `except`, where the exception holds on to the engine's memory.
        return outcomes + self._recover()

    def _fill(self, outcomes: list[Outcome]) -> None:
        """Fill the engine from the queue, unless there are suspects, which are decoded alone."""
        if self._suspects is not None and not self._members:
            self._retry(self._suspects, outcomes)
        if self._suspects is not None:
            return
        while (head := self.queue.head()) is not None and self._fits(*head):
            self._submit(*self.queue.pop(), outcomes)

    def _retry(self, suspects: Suspects, outcomes: list[Outcome]) -> None:
        """Give the next group of suspects, if there is one, to the engine, which is empty."""
        while not self._members and (group := suspects.next_group()) is not None:
            members = [(job, number) for job, numbers in group.items() for number in numbers]
            pending = dict(enumerate(members, start=-1 - len(members)))  # up to -2, see `_submit`
            for id, member in pending.items():  # all are suspects if the engine raises meanwhile
                self._add(id, *member)
            for id, member in pending.items():
                if id in self._members:  # else its job was refused with another sentence
                    self._remove(id)
                    self._submit(*member, outcomes)
        if not self._members:
            self._suspects = None

    def _fits(self, job: EngineJob, number: int) -> bool:
        beam = job.requests[number].options.beam_size
        return not self._members or self.rows + beam <= self.max_rows + self._lookahead * beam

    def _submit(self, job: EngineJob, number: int, outcomes: list[Outcome]) -> None:
        """Give a sentence to the engine."""
        request: Request = job.requests[number]
        pending = -1  # so that the sentence is among the suspects if the engine raises
        self._add(pending, job, number)
        if self._engine is None:
            self._engine = self._make_engine(self.max_rows)
        try:
            id = self._engine.add(request)
        except RequestError as error:
            self._remove(pending)
            self.cancel(job)
            outcomes.append(JobFailed(job, error))
            return
        self._remove(pending)
        self._add(id, job, number)
        if not job.reply.started:
            job.reply.started = True
            self.started.append(job)

    def _add(self, id: int, job: EngineJob, number: int) -> None:
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

    def _outcome(self, event: Event) -> Outcome:
        if isinstance(event, Refused):
            job, _ = self._remove(event.id)
            self.cancel(job)
            return JobFailed(job, event.error)
        if isinstance(event, Progress):
            return SentenceProgress(*self._members[event.id], event.stable_prefix)
        return SentenceFinished(*self._remove(event.id), event.hypotheses)

    def _recover(self) -> list[Outcome]:
        """Discard the engine after a failure; its requests become suspects."""
        self.failures += 1
        self._engine = None
        group: Group = {}
        for job, number in self._members.values():
            group.setdefault(job, []).append(number)
        self._members, self._ids, self.rows = {}, {}, 0
        if self._suspects is None:
            self._suspects = Suspects(self.max_rows)
        if self.out_of_memory:
            self.max_rows = max(self.max_rows // 2, 1)
        culprit = self._suspects.failed(group)
        if culprit is None:
            return []
        if self.out_of_memory:  # only this request needs more memory than there is
            self.max_rows = self._suspects.rows_before
        self.cancel(culprit)
        return [JobFailed(culprit, EngineFailed())]
