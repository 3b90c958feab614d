"""Engine pair: the engine for short requests, and the one for documents and long batches."""

import dataclasses
import logging
import time
from collections.abc import Callable, Iterator

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
from service.engine.scorer import ScoreJob
from service.engine.sequence_job import EngineJob
from service.observability.metrics import EngineMetrics

log = logging.getLogger(__name__)

SPEED_WINDOW_S = 0.25
"""Seconds of computing after which the speed is reported."""

Sample = Callable[[int], Request]
"""Makes a request whose source has this length, to try an engine with."""


class EnginePair:
    """The two engines of a model and the jobs in them. Used only by the engine thread."""

    def __init__(
        self,
        make_engine: Callable[[int], AnyEngine],
        sample: Sample,
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
        self.faulty = False
        """Whether the engine has raised and has not passed a probe since."""
        self._make_engine, self._sample = make_engine, sample
        self._metrics = metrics
        self._pieces, self._seconds = 0, 0.0  # work done since the speed was last reported

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return self.interactive.busy or self.bulk.busy

    def enqueue(self, job: EngineJob) -> None:
        """Queue the requests of `job` for the engine that suits their number.

        What needs no engine is finished at once, and the job fails if that raises.
        """
        params = job.reply.params
        if params.document or len(job.requests) > MAX_INTERACTIVE:
            self.bulk.enqueue(job, dataclasses.replace(params, document=True), time.monotonic())
        else:
            self.interactive.enqueue(job, params, time.monotonic())
        try:
            job.begin()
        except RequestError as error:
            self._fail(job, error)

    def cancel(self, job: EngineJob) -> None:
        """Remove all requests of `job` from the queues and the engines."""
        self.interactive.cancel(job)
        self.bulk.cancel(job)

    def step(self, runner: EngineRunner) -> tuple[float, list[EngineJob]]:
        """Run a step of `runner`, one of the two.

        Returns:
            The seconds that it took, and the jobs that it has answered.
        """
        rows, failures, start = runner.rows, runner.failures, time.monotonic()
        outcomes = runner.step()
        seconds = time.monotonic() - start
        self.count_seconds(seconds)
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
        return seconds, [outcome.job for outcome in outcomes if outcome.job.reply.done]

    def warm_up(self, options: SearchOptions, longest: int) -> None:
        """Decode as requests with these options will, to compile kernels and allocate buffers."""
        self.interactive.warm_up(self._warm_up_batches(options, longest))

    def probe(self) -> None:
        """Transduce a source of one step in a new engine, and set `faulty` if that failed."""
        options = SearchOptions(beam_size=1, max_length_a=0, max_length_b=1)
        try:
            engine = self._make_engine(1)
            engine.add(dataclasses.replace(self._sample(1), options=options))
            while engine.busy:
                engine.step()
            self.faulty = False
        except Exception:
            log.exception("the engine cannot transduce a single step")
            self._metrics.failures["probe"].inc()
            self.faulty = True

    def count_seconds(self, seconds: float) -> None:
        """Count seconds of computing, of a step or of other work."""
        self._seconds += seconds

    def record_speed(self, work: EngineJob | ScoreJob, pieces: int) -> None:
        """Count finished pieces of `work` and report the speed once per `SPEED_WINDOW_S`."""
        self._pieces += pieces
        if self._seconds >= SPEED_WINDOW_S:
            work.reply.record_speed(self._pieces, self._seconds)
            self._pieces, self._seconds = 0, 0.0

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
        self.record_speed(job, pieces)
        try:
            job.finish_sentence(found.number, found.hypotheses)
        except RequestError as error:
            self._fail(job, error)

    def _fail(self, job: EngineJob, error: Exception) -> None:
        job.reply.fail(error)
        self.cancel(job)
