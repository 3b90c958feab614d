"""Sequence loop: what the engine thread of a model of symbols or vectors does in one pass."""

import time
from collections.abc import Callable

from model.decoding.options import SearchOptions
from service.engine.engine_pair import EnginePair
from service.engine.engine_runner import EngineRunner
from service.engine.live_work import LiveWork
from service.engine.scheduler import BackgroundBudget
from service.engine.sequence_job import SequenceJob
from service.errors import DeadlinePassed


class SequenceLoop:
    """The engines of a worker and their jobs. Used only by the engine thread.

    `EngineLoop` is that of a model of text, which has texts to cut and pairs to score as well.
    """

    def __init__(self, engines: EnginePair) -> None:
        self.engines = engines
        self._budget = BackgroundBudget()
        self._live: LiveWork[SequenceJob] = LiveWork()

    @property
    def busy(self) -> bool:
        """Whether `run_pass` has anything to do."""
        return bool(len(self._live) or self.engines.busy)

    def add_job(self, job: SequenceJob) -> None:
        """Add sequences to transduce."""
        self._live.add(job)
        job.reply.count_pieces(job.size, job.pieces)
        self.engines.enqueue(job)
        self._live.forget_answered()

    def cancel(self, job: SequenceJob) -> None:
        """Drop the work of a client that has left."""
        job.reply.done = True
        self._drop(job)

    def fail(self, error: Callable[[], Exception]) -> None:
        """Answer all work with an error; `error` makes one for each."""
        for job in self._live:
            self._fail(job, error())

    def run_pass(self) -> None:
        """Drop what is too late, and run a step of each engine that has work and may run."""
        for late in self._live.expired(time.monotonic()):
            self._fail(late, DeadlinePassed())
        interactive, bulk = self.engines.interactive, self.engines.bulk
        if interactive.busy:
            seconds = self._step(interactive)
            self._budget.foreground(seconds, backlog=interactive.queue.items > 0)
        else:
            self._budget.reset()
        if self._budget.allows_background and bulk.busy:
            self._budget.background(self._step(bulk))

    def warm_up(self, options: SearchOptions, longest: int) -> None:
        """See `EnginePair.warm_up`."""
        self.engines.warm_up(options, longest)

    def _step(self, runner: EngineRunner) -> float:
        """Run a step of `runner` and return its seconds."""
        seconds, answered = self.engines.step(runner)
        if answered:
            self._live.forget_answered()
        return seconds

    def _fail(self, job: SequenceJob, error: Exception) -> None:
        job.reply.fail(error)
        self._drop(job)

    def _drop(self, job: SequenceJob) -> None:
        self._live.discard(job)
        self.engines.cancel(job)
