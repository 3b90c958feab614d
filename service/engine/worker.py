"""Worker: one model being served, with coroutines that await its answers.

The sentences of a request join those in flight at the next step, and the request is answered at the
step that finishes its last sentence (continuous batching). Neither torch nor the tokenizer runs on
the event loop: everything between a text and its translation happens in the engine thread, except
that unusually long texts are cut into sentences and assembled again in a thread of their own. A
text that is read in windows takes several rounds (`model.translation.rounds`): each is a job of its
own, and what comes between two of them is done in such a thread, too. Texts that are read whole
though they are longer than the model reads have an engine thread of their own, see
`service.engine.long_texts`.
"""

import asyncio
import dataclasses
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Thread
from typing import Any, NamedTuple

import torch
from torch import Tensor

from model.checkpoint.checkpoint import Checkpoint
from model.config import to_dict
from model.decoding.engine import Engine, check_room, room_for
from model.decoding.lexical_shortlist import Shortlist
from model.decoding.long_engine import LongEngine, long_network
from model.decoding.options import SearchOptions
from model.decoding.precision.precision import Runnable, runnable
from model.decoding.request import Request
from model.decoding.rules.word_limits import PieceWords
from model.decoding.selftest import rows_are_independent
from model.errors import RequestError
from model.network.seq2seq import Seq2Seq
from model.text.profile import TextProfile
from model.text.segmentation import Segmenter
from model.text.tokenizer import EOS_ID, Tokenizer
from model.translation.assemble import Translation, assemble, check_languages
from model.translation.phrases import Phrases
from model.translation.rounds import Prepared, following
from model.translation.text_trace import TextTrace
from model.translator import SHORTEST_LIMIT
from service.engine.engine_loop import EngineLoop
from service.engine.engine_runner import EngineRunner
from service.engine.engine_thread import EngineThread
from service.engine.job import Job, TextPreparer, Unassembled, text_field
from service.engine.long_texts import LongTexts, Started
from service.engine.reply import LoopNotifier, PendingReply
from service.engine.request_params import RequestParams
from service.engine.scorer import Scored, ScoreJob, Scorer, encode_pairs
from service.engine.tracer import Tracer, traced_options
from service.observability.metrics import EngineMetrics, Metrics
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

    @classmethod
    def of(cls, runners: Sequence[EngineRunner], beam_size: int) -> "Stats":
        """Those of engines, by the beam of the default options."""
        return cls(
            waiting=sum(runner.queue.items for runner in runners),
            waiting_pieces=sum(runner.queue.pieces for runner in runners),
            in_use=sum(runner.sentences for runner in runners),
            slots=sum(max(1, runner.max_rows // beam_size) for runner in runners),
        )


class Part(NamedTuple):
    """Some of the texts of a request, and where they are translated."""

    job: Job
    numbers: list[int]
    """Their places among the texts of the request."""
    engine_loop: EngineLoop
    thread: EngineThread
    name: str = "text"
    """What messages call the text, if it is a single one."""

    def submit(self) -> None:
        """Give them to the engine.

        Raises:
            ShuttingDown: it refuses new work.
        """
        self.thread.submit(partial(self.engine_loop.add_job, self.job))

    def name_text(self, error: RequestError) -> None:
        """Have an `error` of the engine that is about a text of any length name that text."""
        if error.field == "source":
            error.field = self.name


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
        metrics = metrics or Metrics()
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
        self._preparer = TextPreparer(checkpoint.tokenizer, self._phrases, self._segmenter)
        self._engine_loop = EngineLoop(
            self._engine_maker(shortlist),
            sample,
            Scorer(checkpoint.network, device),
            max_rows or ROWS.get(device.type, ROWS["cpu"]),
            metrics.engine(name),
        )
        self._tracer = Tracer(
            checkpoint.network, checkpoint.tokenizer, self._segmenter, self._phrases
        )
        self._notifier = LoopNotifier()
        self._thread = EngineThread(self._engine_loop, self._notifier, stuck_s)
        self._long = LongTexts(self._long_maker(checkpoint.network, shortlist, metrics), stuck_s)

    def _long_maker(
        self, network: Seq2Seq, shortlist: Shortlist | None, metrics: Metrics
    ) -> Callable[[], EngineLoop]:
        return _long_loop_maker(
            self._network,
            network,
            self.tokenizer,
            self._phrases,
            self._segmenter,
            shortlist,
            partial(metrics.engine, f"{self.name}/long"),
        )

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

    @property
    def defaults(self) -> dict[str, object]:
        """The options that a request may have, with their defaults."""
        return to_dict(self.options)

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
        long_texts = Thread(target=self._long.stop, args=(drain_s,))
        long_texts.start()
        self._thread.stop(drain_s)
        long_texts.join()
        self._tracer.stop()

    async def translate(self, texts: Sequence[str], params: RequestParams) -> list[Translation]:
        """Translate `texts`, in order. Cancelling this removes them from the engine.

        Raises:
            RequestError: the options allow more target pieces than the engine has room for, or
                cannot be satisfied for these texts or this model.
            DeadlinePassed: the deadline of `params` passed first.
            ShuttingDown: `stop` was called.
            EngineFailed: this request makes the engine fail.
        """
        found = await self._searched(await self._parts(texts, params, stream=False))
        while later := {n: step for n, step in found.items() if isinstance(step, Prepared)}:
            found |= await self._searched([self._later_part(later, params)])
        in_order = (found[number] for number in range(len(texts)))
        return [step for step in in_order if isinstance(step, Translation)]

    async def _searched(self, parts: list[Part]) -> dict[int, Translation | Prepared]:
        """Submit `parts` and return what comes of each text: its translation, or its next round."""
        found: dict[int, Translation | Prepared] = {}
        try:
            for part in parts:
                part.submit()
            reached(Phase.SUBMITTED)
            for part in parts:
                for number, each in zip(part.numbers, await part.job.reply.answer, strict=True):
                    found[number] = await self._assembled(each, part.job)
            record_phases(parts[-1].job.reply)
            return found
        except RequestError as error:
            part.name_text(error)
            raise
        finally:
            for part in parts:
                part.thread.release(part.job)
            del part, parts  # see `EngineThread.release`

    async def stream(
        self, text: str, params: RequestParams
    ) -> AsyncGenerator[str | Translation, None]:
        """Yield growing prefixes of the translation, and at the end all of it.

        Each string is a prefix of the final text, without its last word, which may still grow. Of
        a text that takes several rounds, the last is streamed.

        Raises:
            RequestError, DeadlinePassed, ShuttingDown, EngineFailed: see `translate`.
        """
        (part,) = await self._parts([text], params, stream=True)
        while True:
            try:
                part.submit()
                reached(Phase.SUBMITTED)
                while (prefix := await part.job.reply.partials.get()) is not None:
                    yield prefix
                (answer,) = await part.job.reply.answer
                step = await self._assembled(answer, part.job)
                record_phases(part.job.reply)
            except RequestError as error:
                part.name_text(error)
                raise
            finally:
                part.thread.release(part.job)
                del part  # see `EngineThread.release`
            if isinstance(step, Translation):
                break
            part = self._later_part({0: step}, params, stream=True)
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
        pairs = ScoreJob(reply, [*sources, *targets], as_pieces, self.tokenizer)
        self._thread.submit(partial(self._engine_loop.add_pairs, pairs))
        try:
            return await pairs.reply.answer
        finally:
            self._thread.release(pairs)
            del pairs  # see `EngineThread.release`

    async def trace(self, text: str, params: RequestParams) -> TextTrace:
        """Translate one sentence, and tell what happens inside the network meanwhile.

        Raises:
            RequestError: it is not a single sentence, or too long; and see `translate`.
            DeadlinePassed, ShuttingDown, EngineFailed: see `translate`.
        """
        check_languages(params.options, self.profile)
        self._thread.check_open()
        src = await self._tracer.source(text, params.options)
        options = traced_options(params.options, len(src))
        (found,) = await self.translate([text], dataclasses.replace(params, options=options))
        return await self._tracer.trace(src, found.hypotheses[0])

    def alive(self, now: float) -> bool:
        """Return False if it has work but made no step for `stuck_s`; `now` is time.monotonic."""
        return self._thread.alive(now) and self._long.alive(now)

    def ready(self) -> bool:
        """Return whether it accepts requests and has recovered from the last engine failure.

        While it has not recovered, each call makes it try again with a single piece.
        """
        now = time.monotonic()
        both = self._thread.ready(now), self._long.ready(now)  # each of them may try again
        return all(both)

    def stats(self) -> Stats:
        """Return the current queue lengths and slots."""
        runners = [self._engine_loop.interactive, self._engine_loop.bulk]
        if self._long.started is not None:
            runners.append(self._long.started.engine_loop.interactive)
        return Stats.of(runners, self.options.beam_size)

    async def _parts(
        self, texts: Sequence[str], params: RequestParams, *, stream: bool
    ) -> list[Part]:
        """Make jobs for the engine thread, with long texts already cut into sentences.

        Each text that is read whole, whatever its length, is a job of its own in a thread for such.
        """
        options = params.options
        check_room(options, self.limit, self._max_length)
        check_languages(options, self.profile)
        self._thread.check_open()
        prepared: dict[int, Prepared] = {}
        any_length = options.on_long == "whole" and self.profile.reads_whole
        for number, text in enumerate(texts):
            if len(text) > LARGE or any_length:
                prepared[number] = await asyncio.to_thread(
                    self._preparer.prepare, texts, number, options
                )
        long_texts = [number for number, ready in prepared.items() if ready.any_length]
        others = [number for number in range(len(texts)) if number not in long_texts]
        parts = []
        if others or not texts:
            ready = {i: prepared[n] for i, n in enumerate(others) if n in prepared}
            reply: _Reply = PendingReply(params, self._notifier)
            job = Job(
                reply, [texts[n] for n in others], self._preparer, stream=stream, prepared=ready
            )
            parts.append(Part(job, others, self._engine_loop, self._thread))
        for n in long_texts:
            engine_loop, notifier, thread = await self._start_long()
            reply = PendingReply(params, notifier)
            job = Job(reply, [texts[n]], self._preparer, stream=stream, prepared={0: prepared[n]})
            name = text_field(n, len(texts))
            parts.append(Part(job, [n], engine_loop, thread, name))
        return parts

    async def _start_long(self) -> Started:
        """The thread for texts of any length, started for the first of them."""
        started = self._long.started
        return await asyncio.to_thread(self._long.start) if started is None else started

    def _later_part(
        self, rounds: Mapping[int, Prepared], params: RequestParams, *, stream: bool = False
    ) -> Part:
        """Make the job for a further round of the texts with these numbers."""
        reply: _Reply = PendingReply(params, self._notifier)
        ready = dict(enumerate(rounds.values()))
        job = Job(reply, [""] * len(rounds), self._preparer, stream=stream, prepared=ready)
        return Part(job, list(rounds), self._engine_loop, self._thread)

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
        step = following(
            answer.ready,
            answer.found,
            self._segmenter,
            self._phrases,
            self.tokenizer,
            aligned=aligned,
        )
        if isinstance(step, Prepared):
            return step
        return assemble(step.plan, step.found, n_best, self.tokenizer, aligned=aligned)


def sample(length: int) -> Request:
    """A request with so many source pieces, to try an engine with."""
    return Request(src=(EOS_ID + 1,) * length, options=SearchOptions())


_Reply = PendingReply[list[Translation | Unassembled]]


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


def _long_loop_maker(
    prepared: Runnable,
    network: Seq2Seq,
    tokenizer: Tokenizer,
    phrases: Phrases,
    segmenter: Segmenter,
    shortlist: Shortlist | None,
    metrics: Callable[[], EngineMetrics],
) -> Callable[[], EngineLoop]:
    """A function that makes the engine loop for texts of any length. It holds no worker, either."""
    device, spelling = prepared.device, phrases.spelling

    def make_engine(max_rows: int) -> LongEngine:
        return LongEngine(
            long_network(prepared, network),
            continues=spelling.continues,
            words=spelling.words,
            shortlist=shortlist,
        )

    def make() -> EngineLoop:
        return EngineLoop(make_engine, sample, Scorer(network, device), 1, metrics(), lookahead=0)

    return make


def record_phases(reply: PendingReply[Any]) -> None:
    """Record in the request's record when it entered and left the engine."""
    if reply.joined_at is not None:
        reached(Phase.JOINED, reply.joined_at)
    if reply.decoded_at is not None:
        reached(Phase.DECODED, reply.decoded_at)
    reached(Phase.ASSEMBLED)
