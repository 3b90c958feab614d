"""Engine loop: what the engine thread of a model of text does in one pass, in this order.

1. drop requests whose deadline has passed, queued or in flight
2. cut new short requests into sentences
3. run a step of the interactive engine, if it has work
4. if the budget allows background work: run a step of the engine for documents and long batches,
   score some pairs, or cut some texts of a long request into sentences
"""

import logging
import time
from collections.abc import Callable

from model.decoding.options import SearchOptions
from service.engine.engine_pair import EnginePair
from service.engine.engine_runner import EngineRunner
from service.engine.job import Job
from service.engine.live_work import LiveWork
from service.engine.preprocess import Preprocessor
from service.engine.scheduler import BackgroundBudget
from service.engine.scorer import ScoreJob, Scorer
from service.errors import DeadlinePassed, EngineFailed

log = logging.getLogger(__name__)

TextWork = Job | ScoreJob


class EngineLoop:
    """The engines of a worker, the scorer, and their jobs. Used only by the engine thread."""

    def __init__(self, engines: EnginePair, preprocessor: Preprocessor, scorer: Scorer) -> None:
        self.engines, self.scorer = engines, scorer
        self._preprocessor = preprocessor
        self._budget = BackgroundBudget()
        self._live: LiveWork[TextWork] = LiveWork()
        self._next_kind = 0  # of background work

    @property
    def busy(self) -> bool:
        """Whether `run_pass` has anything to do."""
        return bool(len(self._live) or self.engines.busy)

    def add_job(self, job: Job) -> None:
        """Add texts to translate."""
        self._live.add(job)
        self._preprocessor.enqueue(job)

    def add_pairs(self, pairs: ScoreJob) -> None:
        """Add pairs to score."""
        self._live.add(pairs)
        try:
            self.scorer.enqueue(pairs, time.monotonic())
        except Exception:
            log.exception("pairs could not be queued")
            self._fail(pairs, EngineFailed())
        self._forget_if_done(pairs)

    def cancel(self, work: TextWork) -> None:
        """Drop the work of a client that has left."""
        work.reply.done = True
        self._drop(work)

    def fail(self, error: Callable[[], Exception]) -> None:
        """Answer all work with an error; `error` makes one for each."""
        for work in self._live:
            self._fail(work, error())

    def run_pass(self) -> None:
        """Run one pass."""
        for late in self._live.expired(time.monotonic()):
            self._fail(late, DeadlinePassed())
        self._enqueue_planned(self._preprocessor.plan_small())
        interactive = self.engines.interactive
        if interactive.busy:
            seconds = self._step(interactive)
            self._budget.foreground(seconds, backlog=interactive.queue.items > 0)
        else:
            self._budget.reset()
        if self._budget.allows_background:
            start = time.monotonic()
            self._work_in_background()
            self._budget.background(time.monotonic() - start)

    def warm_up(self, options: SearchOptions, longest: int) -> None:
        """See `EnginePair.warm_up`."""
        self.engines.warm_up(options, longest)

    def _work_in_background(self) -> None:
        """Do some background work, each kind in turn; nothing if there is none.

        No generator keeps the place between two calls: it would hold the engine loop, and the loop
        the generator, and a model that has been replaced would stay in memory.
        """
        for _ in range(3):
            kind, self._next_kind = self._next_kind, (self._next_kind + 1) % 3
            if kind == 0 and self.engines.bulk.busy:
                self._step(self.engines.bulk)
                return
            if kind == 1 and self.scorer.queue.items:
                self._score()
                return
            if kind == 2 and self._preprocessor.has_large:
                self._enqueue_planned(self._preprocessor.plan_large())
                return

    def _enqueue_planned(self, planned: list[tuple[Job, Exception | None]]) -> None:
        """Queue the jobs that are planned and fail those that could not be."""
        for job, error in planned:
            if error is not None:
                self._fail(job, error)
            else:
                job.reply.count_pieces(job.size, job.pieces)
                self.engines.enqueue(job)
                self._forget_if_done(job)

    def _step(self, runner: EngineRunner) -> float:
        """Run a step of `runner` and return its seconds."""
        seconds, answered = self.engines.step(runner)
        if answered:
            self._live.forget_answered()
        return seconds

    def _score(self) -> None:
        start = time.monotonic()
        try:
            pairs = self.scorer.step()
        except Exception:
            log.exception("scoring failed, and with it one request")
            self._live.forget_answered()
            return
        self.engines.count_seconds(time.monotonic() - start)
        if pairs.reply.done:
            self.engines.record_speed(pairs, pairs.pieces)
        self._forget_if_done(pairs)

    def _fail(self, work: TextWork, error: Exception) -> None:
        work.reply.fail(error)
        self._drop(work)

    def _drop(self, work: TextWork) -> None:
        self._live.discard(work)
        if isinstance(work, ScoreJob):
            self.scorer.cancel(work)
        else:
            self.engines.cancel(work)

    def _forget_if_done(self, work: TextWork) -> None:
        if work.reply.done:
            self._live.discard(work)
