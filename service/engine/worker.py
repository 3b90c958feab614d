"""Worker: one model being served, as coroutines that await its answers.

A request joins the sentences in flight at the next step and is answered at the step that ends its
last sentence. Neither torch nor the tokenizer runs on the event loop: everything between a text and
its translation happens in the thread of the engine, but that texts of unusual length are taken
apart, and put together again, in a thread of their own.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from model.checkpoint.checkpoint import Checkpoint
from model.decoding.engine import Engine, check_room, room_for
from model.decoding.lexical_shortlist import Shortlist
from model.decoding.options import SearchOptions
from model.decoding.precision.precision import Runnable, runnable
from model.decoding.selftest import rows_are_independent
from model.text.profile import TextProfile
from model.text.segmentation import Segmenter
from model.translation.assemble import Prepared, Translation, assemble, check_languages
from model.translation.phrases import Phrases
from model.translator import SHORTEST_LIMIT
from service.engine.engine_loop import EngineLoop
from service.engine.engine_thread import EngineThread
from service.engine.job import Job, Unassembled
from service.engine.preprocess import Preprocessor
from service.engine.reply import Outbox, Ticket
from service.engine.request_params import RequestParams
from service.engine.scorer import Scored, ScoreJob, Scorer, encode_pairs
from service.observability.metrics import Metrics
from service.observability.request_record import Phase, reached

log = logging.getLogger(__name__)

STUCK_S = 60.0
LARGE = 2_000
"""Characters from which on a text is taken apart in a thread of its own."""
ROWS = {"cpu": 160, "cuda": 640}
"""Hypotheses in flight in each engine, by the kind of device."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stats:
    """What a worker is doing."""

    waiting: int
    """Sentences that wait for an engine."""
    waiting_pieces: int
    """Source pieces in them."""
    in_use: int
    """Sentences in the engines."""
    slots: int
    """Sentences that fit into the engines with the default options."""


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
        defaults: SearchOptions | None = None,
        profile: TextProfile | None = None,
        stuck_s: float = STUCK_S,
        max_rows: int | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        """
        Args:
            name: what clients call the model.
            device, dtype: where and in what precision the network computes.
            shortlist: of the checkpoint, if it is to be used.
            defaults: the options of requests that bring none; those of the checkpoint if None.
            profile: what the model does with text; that of the checkpoint if None.
            stuck_s: how long a step may take before `alive` is False.
            max_rows: hypotheses in flight in each of the two engines; see `ROWS` if None.
            metrics: where the engines write what they do; metrics of its own if None.

        Raises:
            RequestError: the default options allow more target pieces than any engine has room for,
                or ask for other languages than those of the model.
        """
        self.name, self.digest, self.card = name, checkpoint.digest, checkpoint.card
        self.options = checkpoint.search if defaults is None else defaults
        self.tokenizer = checkpoint.tokenizer
        self._phrases = Phrases(checkpoint.tokenizer)
        self._network = runnable(checkpoint.network, dtype, device)
        self._device, self._dtype = device, dtype
        self.limit = max(checkpoint.config.max_length, SHORTEST_LIMIT)
        """Source pieces of a sentence."""
        self.profile = checkpoint.profile if profile is None else profile
        self._segmenter = Segmenter(checkpoint.tokenizer, self.limit, self.profile)
        self._max_length = room_for(self.options, self.limit)
        check_room(self.options, self.limit, self._max_length)
        self._phrases.check(self.options)
        check_languages(self.options, self.profile)
        scorer = Scorer(checkpoint.network, device, checkpoint.tokenizer)
        self._preprocessor = Preprocessor(checkpoint.tokenizer, self._phrases, self._segmenter)
        rows = max_rows or ROWS.get(device.type, ROWS["cpu"])
        self._engine_loop = EngineLoop(
            _maker(
                self._network,
                max_source=self.limit,
                max_length=self._max_length,
                continues=self._phrases.spelling.continues,
                shortlist=shortlist,
            ),
            checkpoint.tokenizer,
            self._preprocessor,
            scorer,
            rows,
            (metrics or Metrics()).engine(name),
        )
        self._outbox = Outbox()
        self._thread = EngineThread(self._engine_loop, self._outbox, stuck_s)

    def start(self) -> None:
        """Begin to translate; returns when everything is warm.

        Raises:
            Exception: whatever the first translation raised. The worker is stopped then.
        """
        if self._device.type == "cpu" and not rows_are_independent(self._network, self._dtype):
            log.warning("on this machine the last bits of a score depend on the other requests")
        self._thread.start(partial(self._engine_loop.warm_up, self.options, self.limit))

    def stop(self, drain_s: float = 0.0) -> None:
        """Take no more requests, finish those that are there within `drain_s`, fail the rest.

        Blocks until that is done: not for the event loop, where the answers are awaited.
        """
        self._thread.stop(drain_s)

    async def translate(self, texts: Sequence[str], params: RequestParams) -> list[Translation]:
        """The translations of `texts`, in their order. If cancelled, they leave the engine.

        Raises:
            RequestError: the options allow more target pieces than the engine has room for, or
                demand what these texts, or this model, cannot have.
            DeadlinePassed: that of `params` came first.
            ShuttingDown: `stop` was called.
            EngineFailed: this request makes the engine fail.
        """
        job = await self._job(texts, params, stream=False)
        self._thread.submit(partial(self._engine_loop.add_job, job))
        reached(Phase.SUBMITTED)
        try:
            answer = await job.ticket.answer
            translations = [await self._whole(each, job) for each in answer]
            _phases(job.ticket)
            return translations
        finally:
            self._see_off(job)
            del job  # see `_see_off`

    async def stream(
        self, text: str, params: RequestParams
    ) -> AsyncGenerator[str | Translation, None]:
        """The beginning of the translation, longer each time, and then all of it.

        Each text is a prefix of the final one, and the last word that may still grow is left out.

        Raises:
            RequestError, DeadlinePassed, ShuttingDown, EngineFailed: see `translate`.
        """
        job = await self._job([text], params, stream=True)
        self._thread.submit(partial(self._engine_loop.add_job, job))
        reached(Phase.SUBMITTED)
        try:
            while (prefix := await job.ticket.news.get()) is not None:
                yield prefix
            (answer,) = await job.ticket.answer
            translation = await self._whole(answer, job)
            _phases(job.ticket)
            yield translation
        finally:
            self._see_off(job)
            del job  # see `_see_off`

    async def score(
        self, sources: Sequence[str], targets: Sequence[str], params: RequestParams
    ) -> list[Scored]:
        """How probable each target is, given its source. Of the options the length penalty counts.

        Raises:
            RequestError: a text is too long to be scored.
            DeadlinePassed, ShuttingDown, EngineFailed: see `translate`.
        """
        self._thread.check_open()
        as_pieces = await asyncio.to_thread(
            encode_pairs, self._segmenter.encode, self.tokenizer, sources, targets
        )
        ticket: Ticket[list[Scored]] = Ticket(params, self._outbox)
        pairs = ScoreJob(ticket, [*sources, *targets], as_pieces)
        self._thread.submit(partial(self._engine_loop.add_pairs, pairs))
        try:
            return await pairs.ticket.answer
        finally:
            self._see_off(pairs)
            del pairs  # see `_see_off`

    def alive(self, now: float) -> bool:
        """False if there is work, and no step has ended for `stuck_s`; `now` by time.monotonic."""
        return self._thread.alive(now)

    def ready(self) -> bool:
        """Whether it takes requests, and has translated since the engine last failed.

        While it has not, each call lets it try again with a single piece.
        """
        return self._thread.ready(time.monotonic())

    def stats(self) -> Stats:
        """What it is doing."""
        engine_loop = self._engine_loop
        slots = max(1, engine_loop.interactive.max_rows // self.options.beam_size)
        return Stats(
            waiting=engine_loop.interactive.waiting.waiting + engine_loop.bulk.waiting.waiting,
            waiting_pieces=engine_loop.interactive.waiting.pieces + engine_loop.bulk.waiting.pieces,
            in_use=engine_loop.interactive.sentences + engine_loop.bulk.sentences,
            slots=slots + max(1, engine_loop.bulk.max_rows // self.options.beam_size),
        )

    async def _job(self, texts: Sequence[str], params: RequestParams, *, stream: bool) -> Job:
        """A job for the engine's thread, with those texts cut that would hold it up."""
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
        ticket: Ticket[list[Translation | Unassembled]] = Ticket(params, self._outbox)
        return Job(ticket, texts, stream=stream, prepared=prepared)

    async def _whole(self, answer: Translation | Unassembled, job: Job) -> Translation:
        """A text put together, if that is not done."""
        if isinstance(answer, Translation):
            return answer
        n_best = job.options.n_best
        put_together = partial(
            assemble, answer.plan, answer.found, n_best, self.tokenizer, aligned=job.aligned
        )
        return await asyncio.to_thread(put_together)

    def _see_off(self, work: Job | ScoreJob) -> None:
        """The client waits no longer: with its answer, or because it has left.

        The caller then forgets `work`: an error in its answer holds the frames that it has passed
        through, and a frame that held the work would close a cycle, which keeps the texts alive.
        """
        answer = work.ticket.answer
        if answer.done() and not answer.cancelled():
            answer.exception()  # looked at, or asyncio complains that nobody did
        else:
            answer.cancel()
            self._thread.send(partial(self._engine_loop.leave, work))


def _maker(
    network: Runnable,
    *,
    max_source: int,
    max_length: int,
    continues: Tensor,
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
            shortlist=shortlist,
        )

    return make


def _phases(ticket: Ticket[list[Translation | Unassembled]]) -> None:
    """Write down in the record of the request when the engine had it."""
    if ticket.joined is not None:
        reached(Phase.JOINED, ticket.joined)
    if ticket.found is not None:
        reached(Phase.FOUND, ticket.found)
    reached(Phase.ASSEMBLED)
