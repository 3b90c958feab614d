"""Sequence worker: one model of symbols or vectors being served, as `Worker` is one of text.

The sequences of a request join those in flight at the next step of the engine (continuous
batching), and the request is answered at the step that finishes its last one. What comes before
and after that is done in threads of the pool: neither torch nor NumPy runs on the event loop.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch

from model.checkpoint.checkpoint import Checkpoint
from model.decoding.engine import Engine
from model.decoding.options import SearchOptions
from model.decoding.precision.precision import Runnable, runnable
from model.decoding.request import Request
from model.decoding.selftest import rows_are_independent
from model.errors import RequestError
from model.text.kind import Kind
from model.text.profile import TRANSDUCE
from model.text.tokenizer import PAD_ID
from model.vectors.series_window import SeriesWindow
from model.vectors.vector_form import VectorForm
from service.engine.engine_loop import EngineLoop, Sample
from service.engine.engine_thread import EngineThread
from service.engine.reply import LoopNotifier, PendingReply
from service.engine.request_params import RequestParams
from service.engine.scorer import Scorer
from service.engine.sequence_job import Found, SequenceJob
from service.engine.sequences import Answer, LineOutput, Prepared, VectorOutput
from service.engine.worker import ROWS, STUCK_S, Stats, record_phases, sample
from service.observability.metrics import Metrics
from service.observability.request_record import Phase, reached

log = logging.getLogger(__name__)

SLOT_STEPS = 2**18
"""Symbols or vectors for which all slots of an engine have room together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SequenceProfile:
    """What a model of sequences reads and writes, in the place of a `TextProfile`."""

    source_kind: Kind
    target_kind: Kind
    width: int
    """How many numbers a source vector has; 0 if it reads lines."""
    window: SeriesWindow | None = None
    """What each source is, if all are windows of series."""
    task: str = TRANSDUCE
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
        output = VectorOutput if isinstance(checkpoint.vocabulary, VectorForm) else LineOutput
        self._output = output(checkpoint, checkpoint.search if defaults is None else defaults)
        self.options = self._output.options
        self.field, self.answer_name = self._output.field, self._output.name
        width = self._output.width
        source_kind, target_kind = checkpoint.kinds
        self.profile = SequenceProfile(
            source_kind=source_kind,
            target_kind=target_kind,
            width=width,
            window=self._output.window,
            target_language=checkpoint.profile.target_language,
        )
        self._network = runnable(checkpoint.network, dtype, device)
        self._device, self._dtype = device, dtype
        rows = max_rows or ROWS.get(device.type, ROWS["cpu"])
        rows = max(1, min(rows, SLOT_STEPS // self._output.longest))
        make = _maker(self._network, self._output.longest, self._output.room)
        scorer = Scorer(checkpoint.network, device)  # nobody asks it yet
        metrics = metrics or Metrics()
        self._loop = EngineLoop(make, _sample_of(width), scorer, rows, metrics.engine(name))
        self._notifier = LoopNotifier()
        self._thread = EngineThread(self._loop, self._notifier, stuck_s)

    @property
    def defaults(self) -> dict[str, object]:
        """The options that a request may have, with their defaults."""
        return self._output.defaults

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
        ready = await asyncio.to_thread(self._prepared, sequences, params.options)
        requests = [each[0] for each in ready if isinstance(each, tuple)]
        found = await self._searched(requests, size, params)
        answers = await asyncio.to_thread(self._answers, ready, found)
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
            record_phases(reply)
            return found
        finally:
            self._thread.release(job)
            del job  # see `EngineThread.release`

    def _prepared(self, sequences: Sequence[object], options: SearchOptions) -> list[Prepared]:
        ready = []
        for number, sequence in enumerate(sequences):
            with self._naming(number, len(sequences)):
                ready.append(self._output.prepare(sequence, options))
        return ready

    def _answers(self, ready: Sequence[Prepared], found: Found) -> list[Answer]:
        rest, answers = iter(found), []
        for number, each in enumerate(ready):
            with self._naming(number, len(ready)):
                answers.append(each[1](next(rest)) if isinstance(each, tuple) else each)
        return answers

    @contextmanager
    def _naming(self, number: int, count: int) -> Iterator[None]:
        """Have an error name the sequence that it is about, of `count`."""
        field = self.field
        try:
            yield
        except RequestError as error:
            error.field = field if count == 1 else f"{field}.{number}"
            raise

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
        return Stats.of([self._loop.interactive, self._loop.bulk], self.options.beam_size)


def _maker(network: Runnable, longest: int, room: int) -> Callable[[int], Engine]:
    """A function that makes engines, given `max_rows`. It holds no worker, see `Worker`."""
    return lambda rows: Engine(network, max_rows=rows, max_source=longest, max_length=room)


def _sample_of(width: int) -> Sample:
    """What makes a request to try an engine with: of symbols, or of vectors of a width."""
    if not width:
        return sample
    return lambda length: Request(
        src=(PAD_ID,) * length, options=SearchOptions(), frames=torch.zeros(length, width)
    )
