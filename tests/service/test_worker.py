"""Worker: one engine for many clients, each served as if it were alone."""

import asyncio
import dataclasses
import logging
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from model.checkpoint import Checkpoint, load_checkpoint
from model.decoding.options import SearchOptions
from model.decoding.packed import PackedNetwork
from model.errors import RequestError
from model.network.memory import Memory
from model.translator import Translator
from service.errors import EngineFailed, Overloaded, ShuttingDown
from service.worker import Worker

TEXTS = [
    "der Hund läuft.",
    "",
    "  ein Mann sieht die Frau auf der Straße!",
    "das Haus ist rot. der Hund schläft unter der Straße und läuft. eine Frau sieht 3 Hunde.",
    " \u3000",
    "日本語",
]
QUICK = SearchOptions(beam_size=2, max_length_a=0, max_length_b=1)
LONG = SearchOptions(beam_size=2, min_length=50, max_length_a=0, max_length_b=50)


@pytest.fixture
def checkpoint(tiny_checkpoint: Path) -> Checkpoint:
    """One for each test: some spoil its network."""
    return load_checkpoint(tiny_checkpoint)


@asynccontextmanager
async def running(
    checkpoint: Checkpoint, dtype: torch.dtype = torch.float32, max_requests: int = 100
) -> AsyncIterator[Worker]:
    worker = Worker(
        "tiny", checkpoint, device=torch.device("cpu"), dtype=dtype, max_requests=max_requests
    )
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, timeout=60))


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that grows by the name of the thread with every step of the decoder."""
    names: list[str] = []
    honest = PackedNetwork.step

    def counted(self: PackedNetwork, *arguments: Any) -> Any:
        names.append(threading.current_thread().name)
        return honest(self, *arguments)

    monkeypatch.setattr(PackedNetwork, "step", counted)
    return names


async def growth(steps: list[str]) -> None:
    """Return when another step has been made."""
    before = len(steps)
    while len(steps) == before:
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_worker_translates_as_the_translator_does(
    checkpoint: Checkpoint, dtype: torch.dtype
) -> None:
    options = SearchOptions(beam_size=3, n_best=2, max_length_a=1.0, max_length_b=3)
    translator = Translator(
        checkpoint.network,
        checkpoint.tokenizer,
        checkpoint.search,
        device=torch.device("cpu"),
        dtype=dtype,
    )

    async def test() -> None:
        async with running(checkpoint, dtype) as worker:
            assert await worker.translate(TEXTS, options) == translator.search(TEXTS, options)
            assert await worker.translate(TEXTS, worker.options) == translator.search(TEXTS)
            assert await worker.translate([], options) == []

    run(test())


def test_no_answer_depends_on_company(checkpoint: Checkpoint) -> None:
    async def test() -> None:
        async with running(checkpoint) as worker:
            alone = [await worker.translate([text], worker.options) for text in TEXTS]
            together = await asyncio.gather(
                *(worker.translate([text], worker.options) for text in reversed(TEXTS)),
                worker.translate(TEXTS * 3, LONG),
            )
            assert together[len(TEXTS) - 1 :: -1] == alone

    run(test())


def test_requests_join_those_in_flight(checkpoint: Checkpoint, steps: list[str]) -> None:

    async def test() -> None:
        async with running(checkpoint) as worker:
            steps.clear()
            long = asyncio.create_task(worker.translate(["der Hund"], LONG))
            await growth(steps)
            await worker.translate(["die Frau"], QUICK)
            assert not long.done()
            await long
            # 50 pieces and EOS; a batch of its own would have cost the quick one more.
            assert len(steps) == 51

    run(test())


def test_whoever_leaves_stops_the_work(checkpoint: Checkpoint, steps: list[str]) -> None:

    async def test() -> None:
        async with running(checkpoint, max_requests=1) as worker:
            steps.clear()
            long = asyncio.create_task(worker.translate(["der Hund"] * 3, LONG))
            await growth(steps)
            long.cancel()
            with pytest.raises(asyncio.CancelledError):
                await long
            made = len(steps)
            # The next is let in, and finds an engine with nothing else to do.
            await worker.translate(["die Frau"], QUICK)
            assert len(steps) - made <= 3
            assert len(steps) < 50

    run(test())


def test_more_requests_than_allowed_are_refused(checkpoint: Checkpoint) -> None:
    async def test() -> None:
        async with running(checkpoint, max_requests=2) as worker:
            first = [asyncio.create_task(worker.translate(["der Hund"], LONG)) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(Overloaded):
                await worker.translate(["die Frau"], QUICK)
            await asyncio.gather(*first)
            for _ in range(5):  # each makes room for the next
                await worker.translate(["die Frau"], QUICK)

    run(test())


def test_options_that_allow_too_long_output_are_refused(checkpoint: Checkpoint) -> None:
    async def test() -> None:
        async with running(checkpoint, max_requests=1) as worker:
            greedy = SearchOptions(max_length_a=2.0, max_length_b=11)
            for _ in range(2):  # a refusal takes no place in the queue
                with pytest.raises(RequestError, match="room for 58"):
                    await worker.translate(["der Hund"], greedy)
            await worker.translate(["der Hund"], SearchOptions(max_length_a=2.0, max_length_b=10))

    run(test())


def test_there_is_room_for_the_options_of_the_checkpoint(checkpoint: Checkpoint) -> None:
    search = SearchOptions(beam_size=2, min_length=70, max_length_a=0, max_length_b=70)
    checkpoint = dataclasses.replace(checkpoint, search=search)

    async def test() -> None:
        async with running(checkpoint) as worker:
            (translation,) = await worker.translate(["der Hund"], worker.options)
            assert len(translation.hypotheses[0].pieces) == 70

    run(test())


def test_a_checkpoint_whose_options_no_memory_holds_is_refused(checkpoint: Checkpoint) -> None:
    search = dataclasses.replace(checkpoint.search, max_length_b=100_000)
    checkpoint = dataclasses.replace(checkpoint, search=search)
    with pytest.raises(RequestError, match="room for 10000"):
        Worker("tiny", checkpoint, device=torch.device("cpu"), dtype=torch.float32)


def test_a_step_that_raises_fails_those_in_flight_and_no_others(
    checkpoint: Checkpoint,
    caplog: pytest.LogCaptureFixture,
    steps: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poison = checkpoint.tokenizer.encode("日")[-1]
    honest = PackedNetwork.encode

    def fail(self: PackedNetwork, src: Tensor, lengths: Tensor) -> Memory:
        if (src == poison).any():
            raise RuntimeError("the device is on fire")
        return honest(self, src, lengths)

    monkeypatch.setattr(PackedNetwork, "encode", fail)

    async def test() -> None:
        async with running(checkpoint) as worker:
            before = await worker.translate(["der Hund"], worker.options)
            steps.clear()
            bystander = asyncio.create_task(worker.translate(["der Hund"], LONG))
            await growth(steps)
            with pytest.raises(EngineFailed):
                await worker.translate(["die Frau", "日本語"], worker.options)
            with pytest.raises(EngineFailed):
                await bystander
            assert await worker.translate(["der Hund"], worker.options) == before

    with caplog.at_level(logging.ERROR):
        run(test())
    (record,) = caplog.records
    assert record.exc_info
    assert str(record.exc_info[1]) == "the device is on fire"


class NoTorch(TorchFunctionMode):
    """Refuses every operation on tensors in the thread that entered it."""

    def __torch_function__(
        self, func: object, types: object, args: object = (), kwargs: object = None
    ) -> None:
        raise AssertionError(f"{func} on the event loop")


def test_the_event_loop_runs_no_torch(checkpoint: Checkpoint, steps: list[str]) -> None:

    async def test() -> None:
        async with running(checkpoint) as worker:
            steps.clear()
            with NoTorch():
                with pytest.raises(AssertionError, match="on the event loop"):
                    torch.zeros(1)
                assert len(await worker.translate(TEXTS, worker.options)) == len(TEXTS)

    run(test())
    assert set(steps) == {"engine"}


def test_a_worker_that_stops_leaves_nobody_waiting(
    checkpoint: Checkpoint, steps: list[str]
) -> None:

    async def test() -> None:
        async with running(checkpoint) as worker:
            steps.clear()
            long = asyncio.create_task(worker.translate(["der Hund"], LONG))
            await growth(steps)
            worker.stop()
            with pytest.raises(ShuttingDown):
                await long
            with pytest.raises(ShuttingDown):
                await worker.translate(["die Frau"], QUICK)
            worker.start()
            assert await worker.translate([""], QUICK)

    run(test())


@pytest.mark.parametrize("spoilt", [False, True])
def test_a_machine_on_which_company_matters_is_reported(
    checkpoint: Checkpoint,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    spoilt: bool,
) -> None:
    honest = PackedNetwork.log_scores

    def mix(self: PackedNetwork, *arguments: Any) -> Tensor:
        """Let every row depend on all others, as an unlucky matrix product would."""
        scores = honest(self, *arguments)
        return scores * (1 + 0.1 * scores.mean())

    if spoilt:
        monkeypatch.setattr(PackedNetwork, "log_scores", mix)

    async def test() -> None:
        async with running(checkpoint):
            pass

    with caplog.at_level(logging.WARNING):
        run(test())
    assert [record.levelname for record in caplog.records] == ["WARNING"] * spoilt
