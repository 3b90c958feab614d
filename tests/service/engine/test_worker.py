"""Worker: one engine for many clients, each served as if it were alone."""

import asyncio
import dataclasses
import itertools
import logging
import random
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.decoding.options import SearchOptions
from model.decoding.torch.inference_network import InferenceNetwork
from model.errors import RequestError
from model.network.memory import Memory
from model.translation.assemble import Translation
from model.translator import Translator
from service.engine.request_params import RequestParams
from service.engine.worker import Worker
from service.errors import DeadlinePassed, EngineFailed, ShuttingDown
from service.limits.admission import Admission
from service.observability.metrics import Metrics
from tests.patience import PATIENCE_S
from tests.service.admitted import admitted
from tests.service.running_worker import started

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
    """A new one for each test, since some modify its network."""
    return load_checkpoint(tiny_checkpoint)


@asynccontextmanager
async def running(
    checkpoint: Checkpoint,
    dtype: torch.dtype = torch.float32,
    max_rows: int = 160,
    metrics: Metrics | None = None,
) -> AsyncIterator[Worker]:
    cpu = torch.device("cpu")
    worker = Worker("tiny", checkpoint, device=cpu, dtype=dtype, max_rows=max_rows, metrics=metrics)
    async with started(worker):
        yield worker


async def translate(
    worker: Worker,
    texts: Sequence[str],
    options: SearchOptions | None = None,
    *,
    key: str = "",
    priority: int = 5,
    deadline: float | None = None,
    document: bool = False,
) -> list[Translation]:
    with admitted(Admission(10**6, 10**9), 1) as reservation:
        params = RequestParams(
            options=options or worker.options,
            reservation=reservation,
            client=key,
            priority=priority,
            deadline=deadline,
            document=document,
        )
        return await worker.translate(texts, params)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, timeout=PATIENCE_S))


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of the thread of each decoder step so far; it grows with every step."""
    names: list[str] = []
    honest = InferenceNetwork.step

    def counted(self: InferenceNetwork, *arguments: Any) -> Any:
        names.append(threading.current_thread().name)
        return honest(self, *arguments)

    monkeypatch.setattr(InferenceNetwork, "step", counted)
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
            assert await translate(worker, TEXTS, options) == translator.search(TEXTS, options)
            assert await translate(worker, TEXTS) == translator.search(TEXTS)
            assert await translate(worker, [], options) == []

    run(test())


def test_no_answer_depends_on_company(checkpoint: Checkpoint) -> None:
    async def test() -> None:
        async with running(checkpoint) as worker:
            alone = [await translate(worker, [text]) for text in TEXTS]
            together = await asyncio.gather(
                *(translate(worker, [text]) for text in reversed(TEXTS)),
                translate(worker, TEXTS * 3, LONG),
            )
            assert together[len(TEXTS) - 1 :: -1] == alone

    run(test())


def test_requests_join_those_in_flight(checkpoint: Checkpoint, steps: list[str]) -> None:

    async def test() -> None:
        async with running(checkpoint) as worker:
            steps.clear()
            long = asyncio.create_task(translate(worker, ["der Hund"], LONG))
            await growth(steps)
            await translate(worker, ["die Frau"], QUICK)
            assert not long.done()
            await long
            # 50 pieces and EOS; a batch of its own would have cost the quick one more.
            assert len(steps) == 51

    run(test())


def test_a_client_that_disconnects_stops_its_work(checkpoint: Checkpoint, steps: list[str]) -> None:

    async def test() -> None:
        async with running(checkpoint) as worker:
            steps.clear()
            long = asyncio.create_task(translate(worker, ["der Hund"] * 3, LONG))
            await growth(steps)
            long.cancel()
            with pytest.raises(asyncio.CancelledError):
                await long
            made = len(steps)
            # The next is let in, and finds an engine with nothing else to do.
            await translate(worker, ["die Frau"], QUICK)
            assert len(steps) - made <= 3
            assert len(steps) < 50

    run(test())


def test_options_that_allow_too_long_output_are_refused(checkpoint: Checkpoint) -> None:
    async def test() -> None:
        async with running(checkpoint) as worker:
            greedy = SearchOptions(max_length_a=2.0, max_length_b=11)
            for _ in range(2):  # a refusal takes no place in the queue
                with pytest.raises(RequestError, match="room for 58"):
                    await translate(worker, ["der Hund"], greedy)
            await translate(worker, ["der Hund"], SearchOptions(max_length_a=2.0, max_length_b=10))

    run(test())


def test_there_is_room_for_the_options_of_the_checkpoint(checkpoint: Checkpoint) -> None:
    search = SearchOptions(beam_size=2, min_length=70, max_length_a=0, max_length_b=70)
    checkpoint = dataclasses.replace(checkpoint, search=search)

    async def test() -> None:
        async with running(checkpoint) as worker:
            (translation,) = await translate(worker, ["der Hund"])
            assert len(translation.hypotheses[0].pieces) == 70

    run(test())


def test_a_checkpoint_whose_options_no_memory_holds_is_refused(checkpoint: Checkpoint) -> None:
    search = dataclasses.replace(checkpoint.search, max_length_b=100_000)
    checkpoint = dataclasses.replace(checkpoint, search=search)
    with pytest.raises(RequestError, match="room for 10000"):
        Worker("tiny", checkpoint, device=torch.device("cpu"), dtype=torch.float32)


@pytest.fixture
def poison(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> list[type[Exception]]:
    """Errors that the encoder raises for texts with 日; while the list is empty, it raises none."""
    piece = checkpoint.tokenizer.encode("日")[-1]
    honest = InferenceNetwork.encode
    errors: list[type[Exception]] = []

    def fail(self: InferenceNetwork, src: Tensor, lengths: Tensor) -> Memory:
        if errors and (src == piece).any():
            raise errors[0]("the device is on fire")
        return honest(self, src, lengths)

    monkeypatch.setattr(InferenceNetwork, "encode", fail)
    return errors


@pytest.mark.parametrize("error", [RuntimeError, MemoryError, torch.OutOfMemoryError])
def test_a_step_that_raises_fails_the_guilty_and_no_others(
    checkpoint: Checkpoint,
    caplog: pytest.LogCaptureFixture,
    steps: list[str],
    poison: list[type[Exception]],
    error: type[Exception],
) -> None:
    async def test() -> None:
        async with running(checkpoint) as worker:
            expected = [(await translate(worker, [text], LONG)) for text in TEXTS[:5]]
            slots = worker.stats().slots
            poison.append(error)
            steps.clear()
            bystanders = [
                asyncio.create_task(translate(worker, [text], LONG)) for text in TEXTS[:5]
            ]
            await growth(steps)
            guilty = [
                asyncio.create_task(translate(worker, ["die Frau", "日本語"])) for _ in range(3)
            ]
            for task in guilty:
                with pytest.raises(EngineFailed):
                    await task
            assert await asyncio.gather(*bystanders) == expected
            assert worker.ready()
            assert worker.stats().slots == slots
            poison.clear()
            assert await translate(worker, ["日本語"])

    with caplog.at_level(logging.ERROR):
        run(test())
    assert all(record.exc_info for record in caplog.records)
    assert {str(record.exc_info[1]) for record in caplog.records if record.exc_info} == {
        "the device is on fire"
    }


def test_a_failure_that_does_not_come_back_fails_nobody(
    checkpoint: Checkpoint, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = InferenceNetwork.step
    steps = itertools.count()

    def fail(self: InferenceNetwork, *arguments: Any) -> Any:
        if next(steps) == 40:
            raise RuntimeError("a bit has flipped")
        return honest(self, *arguments)

    async def test() -> None:
        async with running(checkpoint) as worker:
            expected = await translate(worker, TEXTS, LONG)
            monkeypatch.setattr(InferenceNetwork, "step", fail)
            assert await translate(worker, TEXTS, LONG) == expected
            assert worker.ready()

    with caplog.at_level(logging.ERROR):
        run(test())
    assert len(caplog.records) == 1


def test_memory_that_is_short_leaves_fewer_rows(
    checkpoint: Checkpoint, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = InferenceNetwork.step

    def fail(self: InferenceNetwork, token: Tensor, *arguments: Any) -> Any:
        if token.numel() > 20:
            raise torch.OutOfMemoryError("20 rows are all that fits")
        return honest(self, token, *arguments)

    async def test() -> None:
        async with running(checkpoint, max_rows=64) as worker:
            alone = [await translate(worker, [text], LONG) for text in TEXTS]
            monkeypatch.setattr(InferenceNetwork, "step", fail)
            found = await asyncio.gather(*(translate(worker, [t], LONG) for t in TEXTS * 8))
            assert found == alone * 8
            assert worker.ready()

    with caplog.at_level(logging.WARNING):
        run(test())
    assert any("out of memory" in record.message for record in caplog.records)


def test_an_engine_that_cannot_translate_is_not_ready_until_it_can(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = InferenceNetwork.step
    broken = [True]

    def fail(self: InferenceNetwork, *arguments: Any) -> Any:
        if broken:
            raise RuntimeError("the device is gone")
        return honest(self, *arguments)

    async def test() -> None:
        async with running(checkpoint) as worker:
            assert worker.ready()
            monkeypatch.setattr(InferenceNetwork, "step", fail)
            with pytest.raises(EngineFailed):
                await translate(worker, ["der Hund"])
            assert not worker.ready()
            assert worker.alive(time.monotonic())
            broken.clear()
            while not worker.ready():  # asking makes it try
                await asyncio.sleep(0.001)
            assert await translate(worker, ["der Hund"])

    run(test())


def test_a_step_without_end_is_no_life(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = InferenceNetwork.step
    go_on, stuck = threading.Event(), threading.Event()

    def wait(self: InferenceNetwork, *arguments: Any) -> Any:
        stuck.set()
        go_on.wait()
        return honest(self, *arguments)

    async def test() -> None:
        async with running(checkpoint) as worker:
            now = time.monotonic()
            assert worker.alive(now + 1000)  # idle, for however long
            monkeypatch.setattr(InferenceNetwork, "step", wait)
            task = asyncio.create_task(translate(worker, ["der Hund"]))
            await asyncio.to_thread(stuck.wait)
            now = time.monotonic()
            assert worker.alive(now + 30)
            assert not worker.alive(now + 100)
            go_on.set()
            await task
            while not worker.alive(now + 1000):  # until the thread has nothing more to do
                await asyncio.sleep(0.001)

    run(test())


def test_metrics_tell_of_steps_waits_and_pieces(checkpoint: Checkpoint) -> None:
    metrics = Metrics()

    def value(name: str) -> float:
        found = metrics.registry.get_sample_value(f"dragoman_{name}", {"model": "tiny"})
        assert found is not None
        return found

    async def test() -> None:
        async with running(checkpoint, metrics=metrics) as worker:
            (found,) = await translate(worker, ["der Hund läuft."])
            beam = worker.options.beam_size
        best = found.hypotheses[0]
        assert value("sentences_total") == 1
        assert value("source_pieces_total") == len(found.source_pieces)
        assert value("target_pieces_total") == len(best.pieces)
        assert value("step_seconds_count") > 0
        assert value("step_rows_total") == value("step_seconds_count") * beam
        assert value("queue_seconds_count") == 1
        assert 0 <= value("queue_seconds_sum") < PATIENCE_S
        assert value("step_seconds_sum") > 0

    run(test())


@pytest.mark.parametrize(
    ("error", "kind"), [(RuntimeError, "step"), (torch.OutOfMemoryError, "memory")]
)
def test_failures_of_the_engine_are_counted_by_kind(
    checkpoint: Checkpoint, poison: list[type[Exception]], error: type[Exception], kind: str
) -> None:
    metrics = Metrics()

    async def test() -> None:
        async with running(checkpoint, metrics=metrics) as worker:
            poison.append(error)
            with pytest.raises(EngineFailed):
                await translate(worker, ["日本語"])

    run(test())
    labels = {"model": "tiny", "kind": kind}
    counted = metrics.registry.get_sample_value("dragoman_engine_failures_total", labels)
    assert counted == 2  # in company, and again alone


def test_a_deadline_that_passes_frees_the_slots(checkpoint: Checkpoint, steps: list[str]) -> None:
    metrics = Metrics()

    def joined() -> float | None:
        """How many requests have joined an engine."""
        name = "dragoman_queue_seconds_count"
        return metrics.registry.get_sample_value(name, {"model": "tiny"})

    async def test() -> None:
        async with running(checkpoint, max_rows=2, metrics=metrics) as worker:
            steps.clear()
            in_flight = asyncio.create_task(
                translate(worker, ["der Hund"], LONG, deadline=time.monotonic() + 0.02)
            )
            await growth(steps)
            with pytest.raises(DeadlinePassed, match="deadline_ms"):
                await translate(worker, ["die Frau"], QUICK, deadline=time.monotonic())
            with pytest.raises(DeadlinePassed):
                await in_flight
            assert joined() == 1  # the other one never got to the encoder
            assert worker.stats().in_use == worker.stats().waiting == 0
            assert await translate(worker, ["die Frau"], QUICK, deadline=time.monotonic() + 100)

    run(test())


def test_one_that_is_cancelled_before_it_is_answered_breaks_nothing(checkpoint: Checkpoint) -> None:
    async def test() -> None:
        async with running(checkpoint) as worker:
            alone = await translate(worker, ["der Hund"])
            rng = random.Random(3)
            for _ in range(40):
                tasks = [
                    asyncio.create_task(translate(worker, ["der Hund"], LONG)) for _ in range(6)
                ]
                for task in tasks:
                    for _ in range(rng.randrange(3)):
                        await asyncio.sleep(0)
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            assert await translate(worker, ["der Hund"]) == alone
            stats = worker.stats()
            assert (stats.waiting, stats.waiting_pieces, stats.in_use) == (0, 0, 0)

    run(test())


def test_random_company_changes_no_bit(checkpoint: Checkpoint) -> None:
    """Documents, lines, streams, priorities, options, clients that leave: all at once."""
    rng = random.Random(1)
    options = [LONG, QUICK, SearchOptions(beam_size=3, n_best=2), SearchOptions(beam_size=1)]
    words = "der die das Haus Hund Mann läuft schläft rot unter Straße 日本".split()  # noqa: SIM905
    texts = [" ".join(rng.choices(words, k=rng.randint(1, 40))) + "." for _ in range(30)]

    async def one(worker: Worker, expected: dict[tuple[str, int], Translation]) -> None:
        number = rng.randrange(len(options))
        chosen = rng.choices(texts, k=rng.choice([1, 1, 2, 25]))
        work = translate(
            worker,
            chosen,
            options[number],
            key=rng.choice("abc"),
            priority=rng.randrange(10),
            document=rng.random() < 0.3,
        )
        task = asyncio.create_task(work)
        if rng.random() < 0.2:
            await asyncio.sleep(rng.random() / 50)
            task.cancel()
        try:
            found = await task
        except asyncio.CancelledError:
            return
        for text, translation in zip(chosen, found, strict=True):
            assert translation == expected[text, number]
            alone = expected[text, number].hypotheses[0].weights
            weights = translation.hypotheses[0].weights
            assert (weights is None) == (alone is None)
            assert weights is None or alone is None or weights.equal(alone)

    async def test() -> None:
        async with running(checkpoint, max_rows=16) as worker:
            expected = {
                (text, number): (await translate(worker, [text], options[number]))[0]
                for text in texts
                for number in range(len(options))
            }
            await asyncio.gather(*(one(worker, expected) for _ in range(25)))

    run(test())


def test_pieces_are_told_to_the_admission(checkpoint: Checkpoint, steps: list[str]) -> None:
    async def test() -> None:
        admission = Admission(10, 10**6)
        async with running(checkpoint) as worker:
            with admitted(admission, 5000) as reservation:
                params = RequestParams(options=LONG, reservation=reservation)
                task = asyncio.create_task(worker.translate(["der Hund läuft."], params))
                while admission.pieces == 5000:
                    await asyncio.sleep(0.001)
                pieces = len(worker.tokenizer.encode("der Hund läuft."))
                assert admission.pieces == 5000 - len("der Hund läuft.".encode()) + pieces
                await task
            assert admission.pieces == 0

    run(test())


class NoTorch(TorchFunctionMode):
    """Raises on every tensor operation in the thread that entered it."""

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
                assert len(await translate(worker, TEXTS)) == len(TEXTS)

    run(test())
    assert set(steps) == {"engine"}


def test_a_worker_that_stops_leaves_nobody_waiting(
    checkpoint: Checkpoint, steps: list[str]
) -> None:

    async def test() -> None:
        async with running(checkpoint) as worker:
            steps.clear()
            long = asyncio.create_task(translate(worker, ["der Hund"], LONG))
            await growth(steps)
            await asyncio.to_thread(worker.stop)
            with pytest.raises(ShuttingDown):
                await long
            with pytest.raises(ShuttingDown):
                await translate(worker, ["die Frau"], QUICK)
            assert not worker.ready()
            await asyncio.to_thread(worker.start)
            assert await translate(worker, [""], QUICK)

    run(test())


def test_a_worker_that_drains_finishes_what_it_has(checkpoint: Checkpoint) -> None:
    async def test() -> None:
        async with running(checkpoint) as worker:
            expected = await translate(worker, TEXTS, LONG)
            tasks = [asyncio.create_task(translate(worker, TEXTS, LONG)) for _ in range(9)]
            await asyncio.sleep(0)
            stop = asyncio.create_task(asyncio.to_thread(worker.stop, 50))
            assert await asyncio.gather(*tasks) == [expected] * 9
            with pytest.raises(ShuttingDown):
                await translate(worker, ["die Frau"], QUICK)
            await stop

    run(test())


def test_a_model_that_cannot_be_warmed_up_does_not_start(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: InferenceNetwork, *arguments: Any) -> Any:
        raise RuntimeError("no kernel image is available")

    worker = Worker("tiny", checkpoint, device=torch.device("cpu"), dtype=torch.bfloat16)
    monkeypatch.setattr(InferenceNetwork, "step", fail)
    with pytest.raises(RuntimeError, match="no kernel image"):
        worker.start()
    assert not worker.ready()
    worker.stop()


@pytest.mark.parametrize("spoilt", [False, True])
def test_a_machine_on_which_company_matters_is_reported(
    checkpoint: Checkpoint,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    spoilt: bool,
) -> None:
    honest = InferenceNetwork.log_scores

    def mix(self: InferenceNetwork, *arguments: Any) -> Tensor:
        """Make every row depend on all others, as some matrix products do."""
        scores = honest(self, *arguments)
        return scores * (1 + 0.1 * scores.mean())

    if spoilt:
        monkeypatch.setattr(InferenceNetwork, "log_scores", mix)

    async def test() -> None:
        async with running(checkpoint):
            pass

    with caplog.at_level(logging.WARNING):
        run(test())
    assert [record.levelname for record in caplog.records] == ["WARNING"] * spoilt


def test_a_text_of_very_many_parts_is_put_together_as_the_translator_does(
    checkpoint: Checkpoint,
) -> None:
    options = SearchOptions(beam_size=2, n_best=2, max_length_a=0, max_length_b=3)
    translator = Translator(
        checkpoint.network,
        checkpoint.tokenizer,
        options,
        device=torch.device("cpu"),
        dtype=torch.float32,
    )
    text = " ".join(f"der Hund sieht {n} Männer unter der Straße" for n in range(60))

    async def test() -> None:
        async with running(checkpoint) as worker:
            (found,) = await translate(worker, [text], options)
            (expected,) = translator.search([text])
            assert found == expected
            assert len(worker.tokenizer.encode(text)) > 16 * worker.limit  # parts

    run(test())
