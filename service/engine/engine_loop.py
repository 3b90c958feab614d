"""Engine loop: everything that the thread of an engine does in one pass, in its order.

1. requests whose deadline has passed are dropped, waiting or in flight
2. short requests that have come are taken apart into sentences
3. the interactive engine makes a step, if it has work
4. if it is the turn of the background: a step of the engine for documents and long batches, or
   some of the scoring, or some sentences of a long request are taken apart
"""

import dataclasses
import heapq
import logging
import time
import weakref
from collections.abc import Callable, Iterator

from model.decoding.engine import Engine
from model.decoding.options import SearchOptions
from model.decoding.request import Request
from model.errors import RequestError
from model.text.tokenizer import EOS_ID, Tokenizer
from model.translation.assemble import assemble
from service.engine.engine_runner import EngineRunner, Failed, Found, Grown, Outcome
from service.engine.job import Job, Unassembled
from service.engine.preprocess import MANY, Preprocessor
from service.engine.scheduler import Turns
from service.engine.scorer import ScoreJob, Scorer
from service.errors import DeadlinePassed, EngineFailed
from service.observability.metrics import EngineMetrics

log = logging.getLogger(__name__)

WINDOW_S = 0.25
"""Work that a measurement of the speed takes."""

AnyJob = Job | ScoreJob


class EngineLoop:
    """The engines of a worker and all that goes through them. Of one thread alone."""

    def __init__(
        self,
        make_engine: Callable[[int], Engine],
        tokenizer: Tokenizer,
        preprocessor: Preprocessor,
        scorer: Scorer,
        max_rows: int,
        metrics: EngineMetrics,
    ) -> None:
        """`max_rows` is the limit of hypotheses in each engine."""
        self.interactive, self.bulk = (
            EngineRunner(make_engine, max_rows),
            EngineRunner(make_engine, max_rows),
        )
        self.scorer = scorer
        self.faulty = False
        """The engine raised, and has not translated anything since."""
        self._make_engine = make_engine
        self._tokenizer, self._preprocessor = tokenizer, preprocessor
        self._metrics = metrics
        self._turns = Turns()
        self._pieces, self._seconds = 0, 0.0  # of work, since the last measurement of the speed
        self._live: set[AnyJob] = set()
        # A heap. It keeps no work alive that is over long before its deadline.
        self._deadlines: list[tuple[float, int, weakref.ref[AnyJob]]] = []
        self._count = 0
        self._next_kind = 0  # of the work in the background

    @property
    def busy(self) -> bool:
        """Whether `turn` has anything to do."""
        return bool(self._live or self.interactive.busy or self.bulk.busy)

    def add_job(self, job: Job) -> None:
        """Take on texts to translate."""
        self._welcome(job)
        self._preprocessor.join(job)

    def add_pairs(self, pairs: ScoreJob) -> None:
        """Take on pairs to score."""
        self._welcome(pairs)
        try:
            self.scorer.join(pairs, time.monotonic())
        except Exception:
            log.exception("pairs could not be taken on")
            self._fail(pairs, EngineFailed())
        self._forget_if_over(pairs)

    def leave(self, work: AnyJob) -> None:
        """The client has gone: its work ends here."""
        work.ticket.over = True
        self._drop(work)

    def fail(self, error: Callable[[], Exception]) -> None:
        """Answer everything that is there with an `error` of its own."""
        for work in list(self._live):
            self._fail(work, error())

    def turn(self) -> None:
        """One pass."""
        self._expire(time.monotonic())
        self._plan(self._preprocessor.few())
        if self.interactive.busy:
            seconds = self._step(self.interactive)
            self._turns.foreground(seconds, backlog=self.interactive.waiting.waiting > 0)
        else:
            self._turns.alone()
        if self._turns.allows_background:
            start = time.monotonic()
            self._work_in_background()
            self._turns.background(time.monotonic() - start)

    def warm_up(self, options: SearchOptions, longest: int) -> None:
        """Run what requests with these options will: kernels are compiled, buffers allocated."""
        self.interactive.warm_up(self._warming(options, longest))

    def probe(self) -> None:
        """Translate one piece with an engine of its own; `faulty` says whether that worked."""
        options = SearchOptions(beam_size=1, max_length_a=0, max_length_b=1)
        try:
            engine = self._make_engine(1)
            engine.add(Request(src=(EOS_ID + 1,), options=options))
            while engine.busy:
                engine.step()
            self.faulty = False
        except Exception:
            log.exception("the engine cannot translate a single piece")
            self._metrics.failures["probe"].inc()
            self.faulty = True

    def _warming(self, options: SearchOptions, longest: int) -> Iterator[list[Request]]:
        """Few and many sentences of some lengths, all of few steps."""
        quick = SearchOptions(
            beam_size=options.beam_size, min_length=2, max_length_a=0, max_length_b=2
        )
        for length in (8, 24, 40):
            src = (EOS_ID + 1,) * min(length, longest)
            slots = max(1, self.interactive.max_rows // quick.beam_size)
            for count in (1, slots):
                yield [Request(src=src, options=quick, stream=count == 1)] * count

    def _work_in_background(self) -> None:
        """Do some of the work in the background, of each kind in turn; nothing if there is none.

        No generator holds the place between two calls: it would hold the engine loop, and the loop
        the generator, and a model that has been replaced would stay in memory.
        """
        for _ in range(3):
            kind, self._next_kind = self._next_kind, (self._next_kind + 1) % 3
            if kind == 0 and self.bulk.busy:
                self._step(self.bulk)
                return
            if kind == 1 and self.scorer.waiting.waiting:
                self._score()
                return
            if kind == 2 and self._preprocessor.has_many:
                self._plan(self._preprocessor.many())
                return

    def _welcome(self, work: AnyJob) -> None:
        self._live.add(work)
        deadline = work.ticket.params.deadline
        if deadline is not None:
            self._count += 1
            heapq.heappush(self._deadlines, (deadline, self._count, weakref.ref(work)))

    def _expire(self, now: float) -> None:
        if len(self._deadlines) > 2 * len(self._live) + 64:  # most are of requests that are over
            self._deadlines = [entry for entry in self._deadlines if entry[2]() in self._live]
            heapq.heapify(self._deadlines)
        while self._deadlines and self._deadlines[0][0] <= now:
            work = heapq.heappop(self._deadlines)[2]()
            if work is not None:
                self._fail(work, DeadlinePassed())

    def _plan(self, planned: list[tuple[Job, Exception | None]]) -> None:
        """Let jobs join that have been taken apart."""
        for job, error in planned:
            if error is not None:
                self._fail(job, error)
            else:
                job.ticket.correct(job.texts, job.pieces)
                self._take_off(job)

    def _take_off(self, job: Job) -> None:
        """Let the sentences of a planned job wait for their engine."""
        params = job.ticket.params
        if params.document or len(job.requests) > MANY:
            self.bulk.join(job, dataclasses.replace(params, document=True), time.monotonic())
        else:
            self.interactive.join(job, params, time.monotonic())
        for text, missing in enumerate(job.missing):
            if not missing:
                self._complete(job, text)
        if not job.texts:
            job.ticket.give([])
        self._forget_if_over(job)

    def _step(self, runner: EngineRunner) -> float:
        """A step of `runner` and all that follows from it; how long the engine took."""
        rows, failures, start = runner.rows, runner.failures, time.monotonic()
        outcomes = runner.step()
        seconds = time.monotonic() - start
        self._seconds += seconds
        self._metrics.step_seconds.observe(seconds)
        self._metrics.step_rows.inc(max(rows, runner.rows))
        begun, runner.begun = runner.begun, []  # an idle engine keeps none of them alive
        for job in begun:
            job.ticket.joined = start
            self._metrics.queue_seconds.observe(start - job.ticket.arrival)
        for outcome in outcomes:
            self._follow(outcome)
        if runner.failures > failures:
            self._metrics.failures["memory" if runner.short_of_memory else "step"].inc()
            self.faulty = True
            self.probe()
        return seconds

    def _follow(self, outcome: Outcome) -> None:
        job = outcome.job
        if job.ticket.over:
            return
        if isinstance(outcome, Failed):
            self._fail(job, outcome.error)
        elif isinstance(outcome, Grown):
            self._tell(job, outcome.number, outcome.pieces, done=False)
        else:
            self._found(job, outcome)

    def _found(self, job: Job, found: Found) -> None:
        pieces = len(job.requests[found.number].src)
        best = found.hypotheses[0].pieces if found.hypotheses else ()
        self._metrics.sentences.inc()
        self._metrics.source_pieces.inc(pieces)
        self._metrics.target_pieces.inc(len(best))
        self._measured(job, pieces)
        if found.hypotheses:
            self._tell(job, found.number, found.hypotheses[0].pieces, done=True)
        text = job.find(found.number, found.hypotheses)
        if text is not None:
            self._complete(job, text)
            self._forget_if_over(job)

    def _measured(self, work: AnyJob, pieces: int) -> None:
        """So many pieces of `work` are done. Now and then its server is told how fast that is."""
        self._pieces += pieces
        if self._seconds >= WINDOW_S:
            work.ticket.measured(self._pieces, self._seconds)
            self._pieces, self._seconds = 0, 0.0

    def _tell(self, job: Job, number: int, pieces: tuple[int, ...], *, done: bool) -> None:
        if job.detokenizer is not None:
            text = job.detokenizer.grow(number, pieces, done=done)
            if text is not None:
                job.ticket.tell(text)

    def _complete(self, job: Job, text: int) -> None:
        """All parts of a text are over: put it together."""
        plan, found = job.plans[text], job.found[text]
        try:
            job.translations[text] = (
                Unassembled(plan, found)
                if len(found) > MANY
                else assemble(plan, found, job.options.n_best, self._tokenizer, aligned=job.aligned)
            )
        except RequestError as error:
            self._fail(job, error)
            return
        job.found[text] = []
        job.open -= 1
        if not job.open:
            job.ticket.found = time.monotonic()
            job.ticket.give([each for each in job.translations if each is not None])

    def _score(self) -> None:
        start = time.monotonic()
        try:
            pairs = self.scorer.step()
        except Exception:
            log.exception("scoring failed, and with it one request")
            self._live = {work for work in self._live if not work.ticket.over}
            return
        self._seconds += time.monotonic() - start
        if pairs.ticket.over:
            self._measured(pairs, pairs.pieces)
        self._forget_if_over(pairs)

    def _fail(self, work: AnyJob, error: Exception) -> None:
        work.ticket.fail(error)
        self._drop(work)

    def _drop(self, work: AnyJob) -> None:
        self._live.discard(work)
        if isinstance(work, ScoreJob):
            self.scorer.leave(work)
        else:
            self.interactive.leave(work)
            self.bulk.leave(work)

    def _forget_if_over(self, work: AnyJob) -> None:
        if work.ticket.over:
            self._live.discard(work)
