"""Engine loop: everything that the engine thread does in one pass, in this order.

1. drop requests whose deadline has passed, queued or in flight
2. cut new short requests into sentences, if they are text
3. run a step of the interactive engine, if it has work
4. if the budget allows background work: run a step of the engine for documents and long batches,
   score some pairs, or cut some texts of a long request into sentences
"""

import dataclasses
import heapq
import logging
import time
import weakref
from collections.abc import Callable, Iterator
from functools import partial

from model.decoding.options import SearchOptions
from model.decoding.request import Request
from model.errors import RequestError
from service.engine.engine_runner import (
    LOOKAHEAD,
    AnyEngine,
    EngineRunner,
    JobFailed,
    Outcome,
    SentenceFinished,
    SentenceProgress,
)
from service.engine.job import MAX_INTERACTIVE
from service.engine.preprocess import Preprocessor
from service.engine.scheduler import BackgroundBudget
from service.engine.scorer import ScoreJob, Scorer
from service.engine.sequence_job import EngineJob
from service.errors import DeadlinePassed, EngineFailed
from service.observability.metrics import EngineMetrics

log = logging.getLogger(__name__)

SPEED_WINDOW_S = 0.25
"""Seconds of computing after which the speed is reported."""

AnyJob = EngineJob | ScoreJob

Sample = Callable[[int], Request]
"""Makes a request whose source has this length, to try an engine with."""


class EngineLoop:
    """The two engines of a worker, the scorer, and their jobs. Used only by the engine thread."""

    def __init__(
        self,
        make_engine: Callable[[int], AnyEngine],
        sample: Sample,
        scorer: Scorer,
        max_rows: int,
        metrics: EngineMetrics,
        lookahead: int = LOOKAHEAD,
    ) -> None:
        """
        Args:
            max_rows: limits the hypotheses in each of the two engines.
            lookahead: see `EngineRunner`.
        """
        self.interactive, self.bulk = (
            EngineRunner(make_engine, max_rows, lookahead),
            EngineRunner(make_engine, max_rows, lookahead),
        )
        self.scorer = scorer
        self.faulty = False
        """Whether the engine has raised and has not passed a probe since."""
        self._make_engine, self._sample = make_engine, sample
        self._preprocessor = Preprocessor()
        self._metrics = metrics
        self._budget = BackgroundBudget()
        self._pieces, self._seconds = 0, 0.0  # work done since the speed was last reported
        self._live: set[AnyJob] = set()
        # A heap. It keeps no work alive that is over long before its deadline.
        self._deadlines: list[tuple[float, int, weakref.ref[AnyJob]]] = []
        self._count = 0
        self._next_kind = 0  # of background work

    @property
    def busy(self) -> bool:
        """Whether `run_pass` has anything to do."""
        return bool(self._live or self.interactive.busy or self.bulk.busy)

    def add_job(self, job: EngineJob) -> None:
        """Add texts to translate, or sequences to transduce."""
        self._register(job)
        self._preprocessor.enqueue(job)

    def add_pairs(self, pairs: ScoreJob) -> None:
        """Add pairs to score."""
        self._register(pairs)
        try:
            self.scorer.enqueue(pairs, time.monotonic())
        except Exception:
            log.exception("pairs could not be queued")
            self._fail(pairs, EngineFailed())
        self._forget_if_done(pairs)

    def cancel(self, work: AnyJob) -> None:
        """Drop the work of a client that has left."""
        work.reply.done = True
        self._drop(work)

    def fail(self, error: Callable[[], Exception]) -> None:
        """Answer all work with an error; `error` makes one for each."""
        for work in list(self._live):
            self._fail(work, error())

    def run_pass(self) -> None:
        """Run one pass."""
        self._drop_expired(time.monotonic())
        self._enqueue_planned(self._preprocessor.plan_small())
        if self.interactive.busy:
            seconds = self._step(self.interactive)
            self._budget.foreground(seconds, backlog=self.interactive.queue.items > 0)
        else:
            self._budget.reset()
        if self._budget.allows_background:
            start = time.monotonic()
            self._work_in_background()
            self._budget.background(time.monotonic() - start)

    def warm_up(self, options: SearchOptions, longest: int) -> None:
        """Decode as requests with these options will, to compile kernels and allocate buffers."""
        self.interactive.warm_up(self._warm_up_batches(options, longest))

    def probe(self) -> None:
        """Search for a source of one step in a new engine, and set `faulty` if that failed."""
        options = SearchOptions(beam_size=1, max_length_a=0, max_length_b=1)
        try:
            engine = self._make_engine(1)
            engine.add(dataclasses.replace(self._sample(1), options=options))
            while engine.busy:
                engine.step()
            self.faulty = False
        except Exception:
            log.exception("the engine cannot take a single step")
            self._metrics.failures["probe"].inc()
            self.faulty = True

    def _warm_up_batches(self, options: SearchOptions, longest: int) -> Iterator[list[Request]]:
        """Yield batches of one and of many sources, of several lengths and with few steps."""
        quick = SearchOptions(
            beam_size=options.beam_size, min_length=2, max_length_a=0, max_length_b=2
        )
        for length in (8, 24, 40):
            one = dataclasses.replace(self._sample(min(length, longest)), options=quick)
            slots = max(1, self.interactive.max_rows // quick.beam_size)
            for count in (1, slots):
                yield [dataclasses.replace(one, stream=count == 1)] * count

    def _work_in_background(self) -> None:
        """Do some background work, each kind in turn; nothing if there is none.

        No generator keeps the place between two calls: it would hold the engine loop, and the loop
        the generator, and a model that has been replaced would stay in memory.
        """
        for _ in range(3):
            kind, self._next_kind = self._next_kind, (self._next_kind + 1) % 3
            if kind == 0 and self.bulk.busy:
                self._step(self.bulk)
                return
            if kind == 1 and self.scorer.queue.items:
                self._score()
                return
            if kind == 2 and self._preprocessor.has_large:
                self._enqueue_planned(self._preprocessor.plan_large())
                return

    def _register(self, work: AnyJob) -> None:
        self._live.add(work)
        deadline = work.reply.params.deadline
        if deadline is not None:
            self._count += 1
            heapq.heappush(self._deadlines, (deadline, self._count, weakref.ref(work)))

    def _drop_expired(self, now: float) -> None:
        if len(self._deadlines) > 2 * len(self._live) + 64:  # most belong to finished requests
            self._deadlines = [entry for entry in self._deadlines if entry[2]() in self._live]
            heapq.heapify(self._deadlines)
        while self._deadlines and self._deadlines[0][0] <= now:
            work = heapq.heappop(self._deadlines)[2]()
            if work is not None:
                self._fail(work, DeadlinePassed())

    def _enqueue_planned(self, planned: list[tuple[EngineJob, Exception | None]]) -> None:
        """Queue the jobs that are planned and fail those that could not be."""
        for job, error in planned:
            if error is not None:
                self._fail(job, error)
            else:
                job.reply.count_pieces(job.size, job.pieces)
                self._enqueue(job)

    def _enqueue(self, job: EngineJob) -> None:
        """Queue the sentences of a planned job for the engine that suits its size."""
        params = job.reply.params
        if params.document or len(job.requests) > MAX_INTERACTIVE:
            self.bulk.enqueue(job, dataclasses.replace(params, document=True), time.monotonic())
        else:
            self.interactive.enqueue(job, params, time.monotonic())
        self._conclude(job, job.begin)

    def _step(self, runner: EngineRunner) -> float:
        """Run a step of `runner` and process its outcomes; return the seconds of the step."""
        rows, failures, start = runner.rows, runner.failures, time.monotonic()
        outcomes = runner.step()
        seconds = time.monotonic() - start
        self._seconds += seconds
        self._metrics.step_seconds.observe(seconds)
        self._metrics.step_rows.inc(max(rows, runner.rows))
        started, runner.started = runner.started, []  # an idle engine keeps none of them alive
        for job in started:
            job.reply.joined_at = start
            self._metrics.queue_seconds.observe(start - job.reply.arrival)
        for outcome in outcomes:
            self._handle(outcome)
        if runner.failures > failures:
            self._metrics.failures["memory" if runner.out_of_memory else "step"].inc()
            self.faulty = True
            self.probe()
        return seconds

    def _handle(self, outcome: Outcome) -> None:
        job = outcome.job
        if job.reply.done:
            return
        if isinstance(outcome, JobFailed):
            self._fail(job, outcome.error)
        elif isinstance(outcome, SentenceProgress):
            job.send_partial(outcome.number, outcome.pieces, done=False)
        else:
            self._finish_sentence(job, outcome)

    def _finish_sentence(self, job: EngineJob, found: SentenceFinished) -> None:
        pieces = len(job.requests[found.number].src)
        best = found.hypotheses[0].pieces if found.hypotheses else ()
        self._metrics.sentences.inc()
        self._metrics.source_pieces.inc(pieces)
        self._metrics.target_pieces.inc(len(best))
        self._record_speed(job, pieces)
        self._conclude(job, partial(job.finish_sentence, found.number, found.hypotheses))

    def _conclude(self, job: EngineJob, finish: Callable[[], None]) -> None:
        """Let a job finish what it can, and fail it if that raises."""
        try:
            finish()
        except RequestError as error:
            self._fail(job, error)
        self._forget_if_done(job)

    def _record_speed(self, work: AnyJob, pieces: int) -> None:
        """Count finished pieces of `work` and report the speed once per `SPEED_WINDOW_S`."""
        self._pieces += pieces
        if self._seconds >= SPEED_WINDOW_S:
            work.reply.record_speed(self._pieces, self._seconds)
            self._pieces, self._seconds = 0, 0.0

    def _score(self) -> None:
        start = time.monotonic()
        try:
            pairs = self.scorer.step()
        except Exception:
            log.exception("scoring failed, and with it one request")
            self._live = {work for work in self._live if not work.reply.done}
            return
        self._seconds += time.monotonic() - start
        if pairs.reply.done:
            self._record_speed(pairs, pairs.pieces)
        self._forget_if_done(pairs)

    def _fail(self, work: AnyJob, error: Exception) -> None:
        work.reply.fail(error)
        self._drop(work)

    def _drop(self, work: AnyJob) -> None:
        self._live.discard(work)
        if isinstance(work, ScoreJob):
            self.scorer.cancel(work)
        else:
            self.interactive.cancel(work)
            self.bulk.cancel(work)

    def _forget_if_done(self, work: AnyJob) -> None:
        if work.reply.done:
            self._live.discard(work)
