"""Sequence worker: one model of symbols or vectors being served, as `Worker` is one of text.

The sequences of a request join those in flight at the next step of the engine (continuous
batching), and the request is answered at the step that finishes its last one. What comes before
and after that is done in threads of the pool: neither torch nor NumPy runs on the event loop.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch

from model.checkpoint.checkpoint import Checkpoint
from model.decoding.engine import Engine
from model.decoding.options import SearchOptions
from model.decoding.precision.precision import Runnable, runnable
from model.decoding.request import Request
from model.decoding.selftest import rows_are_independent
from model.errors import RequestError
from model.text.tokenizer import EOS_ID, PAD_ID
from model.vectors.vector_form import VectorForm
from service.engine.engine_loop import EngineLoop
from service.engine.engine_thread import EngineThread
from service.engine.reply import LoopNotifier, PendingReply
from service.engine.request_params import RequestParams
from service.engine.scorer import Scorer
from service.engine.sequence_job import Found, SequenceJob
from service.engine.sequences import Answer, Prepared, SymbolOutput, VectorOutput
from service.engine.worker import ROWS, STUCK_S, Stats
from service.observability.metrics import Metrics
from service.observability.request_record import Phase, reached

log = logging.getLogger(__name__)

Kind = Literal["symbols", "vectors"]

SLOT_STEPS = 2**18
"""Symbols or vectors for which all slots of an engine have room together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SequenceProfile:
    """What a model of sequences reads and writes, in the place of a `TextProfile`."""

    source_kind: Kind
    target_kind: Kind
    width: int
    """How many numbers a source vector has; 0 if it reads symbols."""
    task: str = "transduce"
    source_language: str = ""
    target_language: str = ""

    def describe(self) -> str:
        """`transduce, symbols to symbols`."""
        return f"{self.task}, {self.source_kind} to {self.target_kind}"


class SequenceWorker:
    """Transduces for many clients at once. No answer depends on the other requests."""

    def __init__(
        self,
        name: str,
        checkpoint: Checkpoint,
        *,
        device: torch.device,
        dtype: torch.dtype,
        defaults: SearchOptions | None = None,
        stuck_s: float = STUCK_S,
        max_rows: int | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        """The arguments are those of `Worker`.

        Raises:
            RequestError: the default options allow more symbols than there is room for, or are for
                text only.
        """
        self.name, self.digest, self.card = name, checkpoint.digest, checkpoint.card
        output = VectorOutput if isinstance(checkpoint.vocabulary, VectorForm) else SymbolOutput
        self._output = output(checkpoint, checkpoint.search if defaults is None else defaults)
        self.options = self._output.options
        width = self._output.width
        self.profile = SequenceProfile(
            source_kind="vectors" if width else "symbols",
            target_kind=self._output.target_kind,
            width=width,
        )
        self._network = runnable(checkpoint.network, dtype, device)
        self._device, self._dtype = device, dtype
        rows = max_rows or ROWS.get(device.type, ROWS["cpu"])
        rows = max(1, min(rows, SLOT_STEPS // self._output.longest))
        make = _maker(self._network, self._output.longest, self._output.room)
        scorer = Scorer(checkpoint.network, device)  # nobody asks it yet
        metrics = metrics or Metrics()
        self._loop = EngineLoop(make, _sampler(width), scorer, rows, metrics.engine(name))
        self._notifier = LoopNotifier()
        self._thread = EngineThread(self._loop, self._notifier, stuck_s)

    def start(self) -> None:
        """Start the engine thread and return once it is warm.

        Raises:
            Exception: whatever the first search raised. The worker is then stopped.
        """
        if self._device.type == "cpu" and not rows_are_independent(self._network, self._dtype):
            log.warning("on this machine the last bits of a score depend on the other requests")
        self._thread.start(partial(self._loop.warm_up, self.options, self._output.longest))

    def stop(self, drain_s: float = 0.0) -> None:
        """Refuse new requests, finish pending ones within `drain_s` and fail the rest.

        It blocks until that is done, so it must not be called on the event loop that awaits the
        answers.
        """
        self._thread.stop(drain_s)

    def answer_bytes(self, steps: Sequence[int], params: RequestParams) -> int:
        """A rough estimate of the size of an answer, from the lengths of the sources."""
        return self._output.answer_bytes(steps, params)

    async def transduce(
        self, sequences: Sequence[object], size: int, params: RequestParams
    ) -> list[Answer]:
        """Transduce lines of symbols, or sequences of vectors. Cancelling this removes them.

        Args:
            size: bytes that are reserved for the sequences, see `Reservation.count_pieces`.

        Raises:
            RequestError: the options, or a sequence, are not for this model.
            DeadlinePassed: the deadline of `params` passed first.
            ShuttingDown: `stop` was called.
            EngineFailed: this request makes the engine fail.
        """
        self._output.check(params.options)
        self._thread.check_open()
        ready = await asyncio.to_thread(self._prepare, sequences, params.options)
        requests = [each[0] for each in ready if isinstance(each, tuple)]
        found = iter(await self._searched(requests, size, params))
        hypotheses = [next(found) if isinstance(each, tuple) else () for each in ready]
        answers = await asyncio.to_thread(
            lambda: [
                each[1](those) if isinstance(each, tuple) else each
                for each, those in zip(ready, hypotheses, strict=True)
            ]
        )
        reached(Phase.ASSEMBLED)
        return answers

    async def _searched(
        self, requests: Sequence[Request], size: int, params: RequestParams
    ) -> Found:
        reply: PendingReply[Found] = PendingReply(params, self._notifier)
        job = SequenceJob(reply, requests, size)
        try:
            self._thread.submit(partial(self._loop.add_job, job))
            reached(Phase.SUBMITTED)
            found = await reply.answer
            for phase, at in ((Phase.JOINED, reply.joined_at), (Phase.DECODED, reply.decoded_at)):
                if at is not None:
                    reached(phase, at)
            return found
        finally:
            if reply.answer.done() and not reply.answer.cancelled():
                reply.answer.exception()  # retrieved, since asyncio warns of one that never was
            else:
                reply.answer.cancel()
                self._thread.send(partial(self._loop.cancel, job))
            del job  # an error holds the frames that it passed through, and would hold the job

    def _prepare(self, sequences: Sequence[object], options: SearchOptions) -> list[Prepared]:
        ready = []
        kind = "vectors" if self.profile.width else "symbols"
        for number, sequence in enumerate(sequences):
            try:
                ready.append(self._output.prepare(sequence, options))
            except RequestError as error:
                error.field = kind if len(sequences) == 1 else f"{kind}.{number}"
                raise
        return ready

    def alive(self, now: float) -> bool:
        """Return False if it has work but made no step for `stuck_s`; `now` is time.monotonic."""
        return self._thread.alive(now)

    def ready(self) -> bool:
        """Return whether it accepts requests and has recovered from the last engine failure.

        While it has not recovered, each call makes it try again with a single step.
        """
        return self._thread.ready(time.monotonic())

    def stats(self) -> Stats:
        """Return the current queue lengths and slots."""
        runners = [self._loop.interactive, self._loop.bulk]
        return Stats(
            waiting=sum(runner.queue.items for runner in runners),
            waiting_pieces=sum(runner.queue.pieces for runner in runners),
            in_use=sum(runner.sentences for runner in runners),
            slots=sum(max(1, runner.max_rows // self.options.beam_size) for runner in runners),
        )


def _maker(network: Runnable, longest: int, room: int) -> Callable[[int], Engine]:
    """A function that makes engines, given `max_rows`. It holds no worker, see `Worker`."""
    return lambda rows: Engine(network, max_rows=rows, max_source=longest, max_length=room)


def _sampler(width: int) -> Callable[[int], Request]:
    """A function that makes a request with a source of so many symbols, or vectors of a width."""
    if not width:
        return lambda length: Request(src=(EOS_ID + 1,) * length, options=SearchOptions())
    return lambda length: Request(
        src=(PAD_ID,) * length, options=SearchOptions(), frames=torch.zeros(length, width)
    )
