"""SequenceWorker: failures, deadlines, cancelling and stopping, as for text."""

import asyncio
import gc
import time
import weakref
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model.checkpoint.checkpoint import load_checkpoint
from model.decoding.engine import Engine
from model.decoding.options import SearchOptions
from model.decoding.request import Request
from model.errors import RequestError
from model.translation.assemble import Translation
from service.engine.request_params import RequestParams
from service.engine.sequence_worker import SequenceWorker
from service.engine.sequences import Answer
from service.errors import DeadlinePassed, EngineFailed, ShuttingDown
from service.limits.admission import Admission
from tests.patience import PATIENCE_S
from tests.service.admitted import admitted

ENDLESS = SearchOptions(beam_size=2, min_length=14, max_length_a=0, max_length_b=15)
FILM = [[1000.0, 1001.0, 1002.0]] * 6


@asynccontextmanager
async def running(run: Path, **arguments: Any) -> AsyncIterator[SequenceWorker]:
    cpu = torch.device("cpu")
    worker = SequenceWorker(
        "tiny", load_checkpoint(run), device=cpu, dtype=torch.float32, **arguments
    )
    await asyncio.to_thread(worker.start)
    try:
        yield worker
    finally:
        await asyncio.to_thread(worker.stop)


async def transduce(
    worker: SequenceWorker,
    sequences: Sequence[object],
    options: SearchOptions | None = None,
    deadline: float | None = None,
) -> list[Answer]:
    with admitted(Admission(10**6, 10**9), 100) as reservation:
        params = RequestParams(
            options=options or worker.options, reservation=reservation, deadline=deadline
        )
        return await worker.transduce(sequences, 0, params)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, timeout=PATIENCE_S))


def text(answer: Answer) -> str:
    assert isinstance(answer, Translation)
    return answer.text


def test_many_requests_give_what_each_gives_alone(symbol_checkpoint: Path) -> None:
    lines = ["abc", "h", "", "gfedcba", "aaaaaaaaaaaa"]

    async def test() -> None:
        async with running(symbol_checkpoint, max_rows=6) as worker:
            alone = [text((await transduce(worker, [line]))[0]) for line in lines]
            together = await asyncio.gather(*(transduce(worker, [line]) for line in lines * 5))
            assert [text(one) for (one,) in together] == alone * 5
            assert [text(one) for one in await transduce(worker, lines)] == alone
            assert worker.stats().in_use == worker.stats().waiting == 0

    run(test())


def test_a_deadline_that_passes_frees_the_slots(symbol_checkpoint: Path) -> None:
    async def test() -> None:
        async with running(symbol_checkpoint) as worker:
            with pytest.raises(DeadlinePassed):
                await transduce(worker, ["abc"] * 200, deadline=time.monotonic())
            assert len(await transduce(worker, ["abc"])) == 1
            assert worker.stats().in_use == worker.stats().waiting == 0

    run(test())


def test_a_client_that_leaves_takes_its_work_along(symbol_checkpoint: Path) -> None:
    async def test() -> None:
        async with running(symbol_checkpoint) as worker:
            task = asyncio.ensure_future(transduce(worker, ["abcdefgh"] * 2000, ENDLESS))
            while not worker.stats().waiting:
                await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await transduce(worker, ["h"])
            assert worker.stats().waiting == 0

    run(test())


def test_a_request_that_breaks_the_engine_fails_alone(
    symbol_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source of 12 symbols breaks every engine that it is given to."""
    add, step = Engine.add, Engine.step
    broken: weakref.WeakSet[Engine] = weakref.WeakSet()

    def adding(self: Engine, request: Request) -> int:
        if len(request.src) == 12:
            broken.add(self)
        return add(self, request)

    def stepping(self: Engine) -> Any:
        if self in broken:
            raise RuntimeError("broken")
        return step(self)

    async def test() -> None:
        async with running(symbol_checkpoint) as worker:
            (wanted,) = await transduce(worker, ["abc"])

            monkeypatch.setattr(Engine, "add", adding)
            monkeypatch.setattr(Engine, "step", stepping)
            results = await asyncio.gather(
                transduce(worker, ["a" * 12]),
                *(transduce(worker, ["abc"]) for _ in range(4)),
                return_exceptions=True,
            )
            assert isinstance(results[0], EngineFailed)
            assert [text(one[0]) for one in results[1:] if isinstance(one, list)] == (
                [text(wanted)] * 4
            )
            assert worker.ready()

    run(test())


def test_no_work_is_taken_while_it_stops(symbol_checkpoint: Path) -> None:
    async def test() -> None:
        async with running(symbol_checkpoint) as worker:
            await asyncio.to_thread(worker.stop)
            with pytest.raises(ShuttingDown):
                await transduce(worker, ["abc"])
            assert not worker.ready()

    run(test())


def test_an_output_that_is_not_finite_is_refused(vector_checkpoint: Path) -> None:
    checkpoint = load_checkpoint(vector_checkpoint)
    assert checkpoint.network.target_statistics
    checkpoint.network.target_statistics.std.fill_(float("inf"))

    async def test() -> None:
        cpu = torch.device("cpu")
        worker = SequenceWorker("tiny", checkpoint, device=cpu, dtype=torch.float32)
        await asyncio.to_thread(worker.start)
        try:
            with pytest.raises(RequestError, match="not finite"):
                await transduce(worker, [FILM])
        finally:
            await asyncio.to_thread(worker.stop)

    run(test())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_vectors_in_company(vector_checkpoint: Path, dtype: torch.dtype) -> None:
    async def test() -> None:
        cpu = torch.device("cpu")
        worker = SequenceWorker("tiny", load_checkpoint(vector_checkpoint), device=cpu, dtype=dtype)
        await asyncio.to_thread(worker.start)
        try:
            films = [FILM[:length] for length in (1, 6, 3)]
            alone = [(await transduce(worker, [film]))[0] for film in films]
            together = await asyncio.gather(*(transduce(worker, [film]) for film in films * 4))
            for (one,), wanted in zip(together, alone * 4, strict=True):
                np.testing.assert_array_equal(one, wanted)
        finally:
            await asyncio.to_thread(worker.stop)

    run(test())


def test_one_that_is_stopped_is_freed(symbol_checkpoint: Path) -> None:
    left: list[weakref.ref[Any]] = []

    async def test() -> None:
        async with running(symbol_checkpoint) as worker:
            await transduce(worker, ["abc"])
            with pytest.raises(RequestError):
                await transduce(worker, ["xyz"])
            left.append(weakref.ref(worker))
            left.append(weakref.ref(worker._network))

    gc.disable()
    try:
        run(test())
        assert [each() for each in left] == [None, None]
    finally:
        gc.enable()
