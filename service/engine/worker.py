"""Worker: one model being served, with coroutines that await its answers.

The sentences of a request join those in flight at the next step, and the request is answered at the
step that finishes its last sentence (continuous batching). Neither torch nor the tokenizer runs on
the event loop: everything between a text and its translation happens in the engine thread, except
that unusually long texts are cut into sentences and assembled again in a thread of their own. A
text that is read in windows takes several rounds (`model.translation.rounds`): each is a job of its
own, and what comes between two of them is done in such a thread, too.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from model.checkpoint.checkpoint import Checkpoint
from model.decoding.engine import Engine, check_room, room_for
from model.decoding.lexical_shortlist import Shortlist
from model.decoding.options import SearchOptions
from model.decoding.precision.precision import Runnable, runnable
from model.decoding.rules.word_limits import PieceWords
from model.decoding.selftest import rows_are_independent
from model.text.profile import TextProfile
from model.text.segmentation import Segmenter
from model.translation.assemble import Translation, assemble, check_languages
from model.translation.phrases import Phrases
from model.translation.rounds import Prepared, following
from model.translator import SHORTEST_LIMIT
from service.engine.engine_loop import EngineLoop
from service.engine.engine_thread import EngineThread
from service.engine.job import Job, Unassembled
from service.engine.preprocess import Preprocessor
from service.engine.reply import LoopNotifier, PendingReply
from service.engine.request_params import RequestParams
from service.engine.scorer import Scored, ScoreJob, Scorer, encode_pairs
from service.observability.metrics import Metrics
from service.observability.request_record import Phase, reached

log = logging.getLogger(__name__)

STUCK_S = 60.0
LARGE = 2_000
"""A text with more characters is cut into sentences in a thread of its own."""
ROWS = {"cpu": 160, "cuda": 640}
"""Limit of hypotheses in flight in each engine, by kind of device."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stats:
    """Queue lengths and slots of a worker."""

    waiting: int
    """Number of sentences queued for an engine."""
    waiting_pieces: int
    """Number of source pieces in them."""
    in_use: int
    """Number of sentences in the engines."""
    slots: int
    """Number of sentences that fit into the engines with the default options."""


class Worker:
    """Translates for many clients at once. No answer depends on the other requests."""

    def __init__(
        self,
        name: str,
        checkpoint: Checkpoint,
        *,
        device: torch.device,
        dtype: torch.dtype,
        shortlist: Shortlist | None = None,
        defaults: SearchOptions | None = None,
        profile: TextProfile | None = None,
        stuck_s: float = STUCK_S,
        max_rows: int | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        """
        Args:
            name: the name of the model in requests.
            device, dtype: where and in what precision the network computes.
            shortlist: the shortlist of the checkpoint, if it is to be used.
            defaults: options of requests that specify none; those of the checkpoint if None.
            profile: task and languages of the model; those of the checkpoint if None.
            stuck_s: how long a step may take before `alive` returns False.
            max_rows: limit of hypotheses in each of the two engines; see `ROWS` if None.
            metrics: receives the metrics of the engines; a new, private one if None.

        Raises:
            RequestError: the default options allow more target pieces than any engine has room for,
                or ask for languages other than those of the model.
        """
        self.name, self.digest, self.card = name, checkpoint.digest, checkpoint.card
        self.options = checkpoint.search if defaults is None else defaults
        self.tokenizer = checkpoint.tokenizer
        self._network = runnable(checkpoint.network, dtype, device)
        self._device, self._dtype = device, dtype
        self.limit = max(checkpoint.config.max_length, SHORTEST_LIMIT)
        """The most source pieces of a sentence."""
        self.profile = checkpoint.profile if profile is None else profile
        self._phrases = Phrases(checkpoint.tokenizer, self.profile.length_buckets)
        self._segmenter = Segmenter(checkpoint.tokenizer, self.limit, self.profile)
        self._max_length = room_for(self.options, self.limit)
        self._check_defaults()
        self._preprocessor = Preprocessor(checkpoint.tokenizer, self._phrases, self._segmenter)
        self._engine_loop = EngineLoop(
            self._engine_maker(shortlist),
            checkpoint.tokenizer,
            self._preprocessor,
            Scorer(checkpoint.network, device, checkpoint.tokenizer),
            max_rows or ROWS.get(device.type, ROWS["cpu"]),
            (metrics or Metrics()).engine(name),
        )
        self._notifier = LoopNotifier()
        self._thread = EngineThread(self._engine_loop, self._notifier, stuck_s)

    def _engine_maker(self, shortlist: Shortlist | None) -> Callable[[int], Engine]:
        return _maker(
            self._network,
            max_source=self.limit,
            max_length=self._max_length,
            continues=self._phrases.spelling.continues,
            words=self._phrases.spelling.words,
            shortlist=shortlist,
        )

    def _check_defaults(self) -> None:
        """Check the default options; see `__init__` for what is raised."""
        check_room(self.options, self.limit, self._max_length)
        self._phrases.check(self.options)
        check_languages(self.options, self.profile)

    def start(self) -> None:
        """Start the engine thread and return once it is warm.

        Raises:
            Exception: whatever the first translation raised. The worker is then stopped.
        """
        if self._device.type == "cpu" and not rows_are_independent(self._network, self._dtype):
            log.warning("on this machine the last bits of a score depend on the other requests")
        self._thread.start(partial(self._engine_loop.warm_up, self.options, self.limit))

    def stop(self, drain_s: float = 0.0) -> None:
        """Refuse new requests, finish pending ones within `drain_s` and fail the rest.

        It blocks until that is done, so it must not be called on the event loop that awaits the
        answers.
        """
        self._thread.stop(drain_s)

    async def translate(self, texts: Sequence[str], params: RequestParams) -> list[Translation]:
        """Translate `texts`, in order. Cancelling this removes them from the engine.

        Raises:
            RequestError: the options allow more target pieces than the engine has room for, or
                cannot be satisfied for these texts or this model.
            DeadlinePassed: the deadline of `params` passed first.
            ShuttingDown: `stop` was called.
            EngineFailed: this request makes the engine fail.
        """
        steps = await self._searched(await self._make_job(texts, params, stream=False))
        found = dict(enumerate(steps))
        while later := {i: step for i, step in found.items() if isinstance(step, Prepared)}:
            steps = await self._searched(self._later_job(list(later.values()), params))
            found |= zip(later, steps, strict=True)
        return [step for step in found.values() if isinstance(step, Translation)]

    async def _searched(self, job: Job) -> list[Translation | Prepared]:
        """Submit `job` and return what comes of each text: its translation, or its next round."""
        self._submit(job)
        try:
            answer = await job.reply.answer
            steps = [await self._assembled(each, job) for each in answer]
            _record_phases(job.reply)
            return steps
        finally:
            self._release(job)
            del job  # see `_release`

    async def stream(
        self, text: str, params: RequestParams
    ) -> AsyncGenerator[str | Translation, None]:
        """Yield growing prefixes of the translation, and at the end all of it.

        Each string is a prefix of the final text, without its last word, which may still grow. Of
        a text that takes several rounds, the last is streamed.

        Raises:
            RequestError, DeadlinePassed, ShuttingDown, EngineFailed: see `translate`.
        """
        job = await self._make_job([text], params, stream=True)
        while True:
            self._submit(job)
            try:
                while (prefix := await job.reply.partials.get()) is not None:
                    yield prefix
                (answer,) = await job.reply.answer
                step = await self._assembled(answer, job)
                _record_phases(job.reply)
            finally:
                self._release(job)
                del job  # see `_release`
            if isinstance(step, Translation):
                break
            job = self._later_job([step], params, stream=True)
        yield step

    async def score(
        self, sources: Sequence[str], targets: Sequence[str], params: RequestParams
    ) -> list[Scored]:
        """Score each target, given its source. Only the length penalty of the options matters.

        Raises:
            RequestError: a text is too long to be scored.
            DeadlinePassed, ShuttingDown, EngineFailed: see `translate`.
        """
        self._thread.check_open()
        as_pieces = await asyncio.to_thread(
            encode_pairs, self._segmenter.encode, self.tokenizer, sources, targets
        )
        reply: PendingReply[list[Scored]] = PendingReply(params, self._notifier)
        pairs = ScoreJob(reply, [*sources, *targets], as_pieces)
        self._thread.submit(partial(self._engine_loop.add_pairs, pairs))
        try:
            return await pairs.reply.answer
        finally:
            self._release(pairs)
            del pairs  # see `_release`

    def alive(self, now: float) -> bool:
        """Return False if it has work but made no step for `stuck_s`; `now` is time.monotonic."""
        return self._thread.alive(now)

    def ready(self) -> bool:
        """Return whether it accepts requests and has recovered from the last engine failure.

        While it has not recovered, each call makes it try again with a single piece.
        """
        return self._thread.ready(time.monotonic())

    def stats(self) -> Stats:
        """Return the current queue lengths and slots."""
        engine_loop = self._engine_loop
        slots = max(1, engine_loop.interactive.max_rows // self.options.beam_size)
        return Stats(
            waiting=engine_loop.interactive.queue.items + engine_loop.bulk.queue.items,
            waiting_pieces=engine_loop.interactive.queue.pieces + engine_loop.bulk.queue.pieces,
            in_use=engine_loop.interactive.sentences + engine_loop.bulk.sentences,
            slots=slots + max(1, engine_loop.bulk.max_rows // self.options.beam_size),
        )

    async def _make_job(self, texts: Sequence[str], params: RequestParams, *, stream: bool) -> Job:
        """Make a job for the engine thread, with long texts already cut into sentences."""
        options = params.options
        check_room(options, self.limit, self._max_length)
        check_languages(options, self.profile)
        self._thread.check_open()
        prepared: dict[int, Prepared] = {}
        for number, text in enumerate(texts):
            if len(text) > LARGE:
                prepared[number] = await asyncio.to_thread(
                    self._preprocessor.prepare, texts, number, options
                )
        return self._job(texts, params, prepared, stream=stream)

    def _later_job(
        self, rounds: Sequence[Prepared], params: RequestParams, *, stream: bool = False
    ) -> Job:
        """Make the job for a further round of some texts."""
        return self._job([""] * len(rounds), params, dict(enumerate(rounds)), stream=stream)

    def _job(
        self,
        texts: Sequence[str],
        params: RequestParams,
        prepared: Mapping[int, Prepared],
        *,
        stream: bool,
    ) -> Job:
        reply: PendingReply[list[Translation | Unassembled]] = PendingReply(params, self._notifier)
        return Job(reply, texts, stream=stream, prepared=dict(prepared))

    def _submit(self, job: Job) -> None:
        self._thread.submit(partial(self._engine_loop.add_job, job))
        reached(Phase.SUBMITTED)

    async def _assembled(
        self, answer: Translation | Unassembled, job: Job
    ) -> Translation | Prepared:
        """Return the translation of one text, assembling it first if necessary; or its next round.

        Raises:
            RequestError: there is no translation that meets the options.
        """
        if isinstance(answer, Translation):
            return answer
        return await asyncio.to_thread(self._step, answer, job.options.n_best, job.aligned)

    def _step(self, answer: Unassembled, n_best: int, aligned: bool) -> Translation | Prepared:
        """Do what `_assembled` does, in a thread."""
        step = following(answer.ready, answer.found, self._segmenter, self._phrases, self.tokenizer)
        if isinstance(step, Prepared):
            return step
        return assemble(step.plan, step.found, n_best, self.tokenizer, aligned=aligned)

    def _release(self, work: Job | ScoreJob) -> None:
        """Clean up after a request that was answered, or cancel its work if its client has left.

        The caller then forgets `work`: an error in its answer holds the frames that it has passed
        through, and a frame that held the work would close a cycle, which keeps the texts alive.
        """
        answer = work.reply.answer
        if answer.done() and not answer.cancelled():
            answer.exception()  # retrieved, since asyncio warns of an exception that never was
        else:
            answer.cancel()
            self._thread.send(partial(self._engine_loop.cancel, work))


def _maker(
    network: Runnable,
    *,
    max_source: int,
    max_length: int,
    continues: Tensor,
    words: PieceWords,
    shortlist: Shortlist | None,
) -> Callable[[int], Engine]:
    """A function that makes engines, given `max_rows`.

    A method would hold its worker, and nothing that a worker has may: one that has been replaced is
    freed when the last reference to it goes, for Python does not collect cycles because of the size
    of their tensors.
    """

    def make(max_rows: int) -> Engine:
        return Engine(
            network,
            max_rows=max_rows,
            max_source=max_source,
            max_length=max_length,
            continues=continues,
            words=words,
            shortlist=shortlist,
        )

    return make


def _record_phases(reply: PendingReply[list[Translation | Unassembled]]) -> None:
    """Record in the request's record when it entered and left the engine."""
    if reply.joined_at is not None:
        reached(Phase.JOINED, reply.joined_at)
    if reply.decoded_at is not None:
        reached(Phase.DECODED, reply.decoded_at)
    reached(Phase.ASSEMBLED)
