"""What a worker leaves behind: nothing that only a collection of cycles would free.

Python collects cycles by how many objects there are, and to it a model is few, however large its
tensors are. The collector is therefore off in these tests.
"""

import asyncio
import contextlib
import gc
import time
import weakref
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from model.checkpoint.checkpoint import load_checkpoint
from model.decoding.options import SearchOptions
from model.errors import RequestError
from service.engine.job import Job
from service.engine.request_params import RequestParams
from service.engine.scorer import ScoreJob
from service.engine.worker import Worker
from service.errors import DeadlinePassed, ShuttingDown
from service.limits.admission import Admission
from tests.patience import PATIENCE_S
from tests.service.admitted import admitted

LONG = SearchOptions(beam_size=2, min_length=50, max_length_a=0, max_length_b=50)
QUICK = SearchOptions(beam_size=2, max_length_a=0, max_length_b=3)


@pytest.fixture(autouse=True)
def uncollected() -> Iterator[None]:
    """Cycles stay for the length of a test."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def made(checkpoint: Path, dtype: torch.dtype = torch.float32) -> Worker:
    return Worker("tiny", load_checkpoint(checkpoint), device=torch.device("cpu"), dtype=dtype)


def parts_of(worker: Worker) -> dict[str, "weakref.ref[Any]"]:
    """References that keep nothing alive, to what is large."""
    network = worker._network
    runner = worker._engine_loop.interactive
    return {
        "worker": weakref.ref(worker),
        "network": weakref.ref(network),
        "engine": weakref.ref(runner._engine or runner),
        "tokenizer": weakref.ref(worker.tokenizer),
    }


def params(
    options: SearchOptions, admission: contextlib.ExitStack, deadline: float | None = None
) -> RequestParams:
    reservation = admission.enter_context(admitted(Admission(10**6, 10**9), 1))
    return RequestParams(options=options, reservation=reservation, deadline=deadline)


async def work_of_each_kind(worker: Worker) -> None:
    with contextlib.ExitStack() as stack:
        quick = params(SearchOptions(beam_size=2, max_length_b=3, avoid=("rot",)), stack)
        await worker.translate(["der Hund läuft.", "das Haus ist rot. " * 200], quick)
        async with contextlib.aclosing(worker.stream("das Haus ist rot.", quick)) as stream:
            async for _ in stream:
                pass
        await worker.score(["das Haus"], ["the house"], quick)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int8])
def test_a_worker_is_freed_when_it_has_stopped(tiny_checkpoint: Path, dtype: torch.dtype) -> None:
    worker = made(tiny_checkpoint, dtype)
    worker.start()
    asyncio.run(asyncio.wait_for(work_of_each_kind(worker), PATIENCE_S))
    parts = parts_of(worker)
    worker.stop()
    del worker
    assert {name for name, part in parts.items() if part() is not None} == set()


def test_a_worker_that_never_started_is_freed(tiny_checkpoint: Path) -> None:
    worker = made(tiny_checkpoint)
    parts = parts_of(worker)
    del worker
    assert {name for name, part in parts.items() if part() is not None} == set()


def test_a_worker_that_could_not_start_is_freed(tiny_checkpoint: Path) -> None:
    worker = made(tiny_checkpoint)
    parts = parts_of(worker)

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):  # in the thread, where a warm-up fails
        worker._thread.start(fail)
    del worker
    assert {name for name, part in parts.items() if part() is not None} == set()


# What becomes of a request


async def answered(worker: Worker, stack: contextlib.ExitStack) -> None:
    await worker.translate(["der Hund läuft."], params(QUICK, stack))


async def answered_long_before_its_deadline(worker: Worker, stack: contextlib.ExitStack) -> None:
    later = time.monotonic() + 3600
    await worker.translate(["der Hund läuft."], params(QUICK, stack, deadline=later))


async def too_late(worker: Worker, stack: contextlib.ExitStack) -> None:
    with pytest.raises(DeadlinePassed):
        await worker.translate(["der Hund läuft."], params(LONG, stack, deadline=0.0))


async def too_late_to_score(worker: Worker, stack: contextlib.ExitStack) -> None:
    with pytest.raises(DeadlinePassed):
        await worker.score(["der Hund"], ["the dog"], params(LONG, stack, deadline=0.0))


async def refused(worker: Worker, stack: contextlib.ExitStack) -> None:
    impossible = SearchOptions(beam_size=2, max_length_a=0, max_length_b=1, prefix="the house is")
    with pytest.raises(RequestError):
        await worker.translate(["der Hund läuft."], params(impossible, stack))


async def cancelled(worker: Worker, stack: contextlib.ExitStack) -> None:
    task = asyncio.create_task(worker.translate(["der Hund läuft."] * 40, params(LONG, stack)))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # What follows it has been told of.
    await answered(worker, stack)


async def abandoned(worker: Worker, stack: contextlib.ExitStack) -> None:
    stream = worker.stream("der Hund läuft.", params(LONG, stack))
    await anext(stream)
    await stream.aclose()
    await answered(worker, stack)


async def shut_down(worker: Worker, stack: contextlib.ExitStack) -> None:
    task = asyncio.create_task(worker.translate(["der Hund läuft."] * 40, params(LONG, stack)))
    await asyncio.sleep(0.02)
    await asyncio.to_thread(worker.stop)
    with pytest.raises(ShuttingDown):
        await task


@pytest.mark.parametrize(
    "end",
    [
        answered,
        answered_long_before_its_deadline,
        too_late,
        too_late_to_score,
        refused,
        cancelled,
        abandoned,
        shut_down,
    ],
)
def test_a_request_is_freed_however_it_ends(
    tiny_checkpoint: Path,
    end: Callable[[Worker, contextlib.ExitStack], Coroutine[Any, Any, None]],
) -> None:
    worker = made(tiny_checkpoint)
    worker.start()

    async def test() -> None:
        with contextlib.ExitStack() as stack:
            await end(worker, stack)

    try:
        asyncio.run(asyncio.wait_for(test(), PATIENCE_S))
    finally:
        worker.stop()
    assert [work for work in gc.get_objects() if type(work) in (Job, ScoreJob)] == []
