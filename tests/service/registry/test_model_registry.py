"""Model registry: which model a request means, and how one is renewed under the requests to the
old."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.decoding.options import SearchOptions
from model.errors import CheckpointError, ConfigError
from service.engine.request_params import RequestParams
from service.engine.worker import Worker
from service.errors import AmbiguousModel, NoSuchModel, ShuttingDown
from service.limits.admission import Admission
from service.observability.metrics import Metrics
from service.registry.model_registry import ModelRegistry, in_thread
from service.registry.models_file import ModelEntry, profile_of
from tests.patience import PATIENCE_S
from tests.service.admitted import admitted

DE_EN = ("translate", "de", "en")
QUICK = SearchOptions(beam_size=1, max_length_a=0, max_length_b=3)


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Path) -> Checkpoint:
    return load_checkpoint(tiny_checkpoint)


class Shelf:
    """Entries, as a models file would have them, and the real workers that were made of them."""

    def __init__(self, checkpoint: Checkpoint, entries: Sequence[ModelEntry]) -> None:
        self.checkpoint = checkpoint
        self.entries = list(entries)
        self.made: list[Worker] = []
        self.damaged: set[str] = set()

    def read(self) -> list[ModelEntry]:
        if not self.entries:
            raise ConfigError("models: an empty list.")
        return self.entries

    def build(self, entry: ModelEntry, metrics: Metrics) -> Worker:
        if entry.name in self.damaged:
            raise CheckpointError("damaged")
        digest = f"{entry.name}-{len(self.made)}"
        checkpoint = dataclasses.replace(self.checkpoint, digest=digest)
        profile = profile_of(entry, checkpoint)
        cpu = torch.device("cpu")
        worker = Worker(
            entry.name,
            checkpoint,
            device=cpu,
            dtype=torch.float32,
            profile=profile,
            metrics=metrics,
        )
        self.made.append(worker)
        return worker

    def registry(self, drain_s: float = 30) -> ModelRegistry:
        return ModelRegistry(self.read, self.build, drain_s)


def entry(
    name: str, source: str | None = None, target: str | None = None, task: str = "translate"
) -> ModelEntry:
    return ModelEntry(name=name, path=Path(name), source=source, target=target, task=task)


@asynccontextmanager
async def started(registry: ModelRegistry) -> AsyncIterator[ModelRegistry]:
    await registry.start()
    try:
        yield registry
    finally:
        await registry.stop(0)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, timeout=PATIENCE_S))


async def ask(worker: Worker) -> str:
    with admitted(Admission(10, 1000), 10) as reservation:
        params = RequestParams(options=QUICK, reservation=reservation)
        (translation,) = await worker.translate(["der Hund"], params)
    return translation.hypotheses[0].translation


# Choosing

MANY = [
    entry("any"),
    entry("de-en", "de", "en"),
    entry("de-en-2", "de", "en"),
    entry("en-de", "en", "de"),
    entry("de-pt", "de", "pt-BR"),
    entry("short", "de", "de", "summarize"),
]


@pytest.mark.parametrize(
    ("task", "name", "source", "target", "expected"),
    [
        ("translate", None, "de", "en", "de-en"),
        ("translate", None, "de", "en-GB", "de-en"),
        ("translate", None, "de", "pt", "de-pt"),
        ("translate", None, "fr", "es", "any"),
        ("translate", "de-en-2", "", "", "de-en-2"),
        ("translate", "de-en-2", "de", "", "de-en-2"),
        ("translate", "any", "de", "en", "any"),
        ("summarize", None, "", "", "short"),
        ("summarize", "short", "de", "de", "short"),
    ],
)
def test_a_request_gets_its_model(
    checkpoint: Checkpoint,
    task: str,
    name: str | None,
    source: str,
    target: str,
    expected: str,
) -> None:
    registry = Shelf(checkpoint, MANY).registry()
    assert registry.choose(task, name, source, target).name == expected


@pytest.mark.parametrize(
    ("task", "name", "source", "target"),
    [
        ("translate", "none", "", ""),
        ("translate", "de-en", "en", "de"),
        ("translate", "short", "", ""),
        ("summarize", "de-en", "", ""),
        ("summarize", None, "en", ""),
    ],
)
def test_a_request_for_what_there_is_not_is_refused(
    checkpoint: Checkpoint, task: str, name: str | None, source: str, target: str
) -> None:
    with pytest.raises(NoSuchModel, match="/v1/models"):
        Shelf(checkpoint, MANY).registry().choose(task, name, source, target)


@pytest.mark.parametrize(("source", "target"), [("", ""), ("de", ""), ("", "en")])
def test_nothing_is_guessed_between_languages(
    checkpoint: Checkpoint, source: str, target: str
) -> None:
    with pytest.raises(AmbiguousModel, match="`source` and `target`"):
        Shelf(checkpoint, MANY).registry().choose("translate", None, source, target)


def test_of_several_models_for_the_same_the_first_is_taken(checkpoint: Checkpoint) -> None:
    for entries in ([entry("b"), entry("a")], MANY[1:3]):
        registry = Shelf(checkpoint, entries).registry()
        assert registry.choose("translate").name == entries[0].name


# Reloading


def test_a_reload_replaces_the_model_under_those_that_use_the_old(checkpoint: Checkpoint) -> None:
    async def test() -> None:
        shelf = Shelf(checkpoint, [entry("a"), entry("b")])
        async with started(shelf.registry()) as registry:
            before = registry.served
            with registry.use("translate", "a") as old:
                await registry.reload("a")
                new = registry.choose("translate", "a")
                assert (old.digest, new.digest) == ("a-0", "a-2")
                # The old one still takes the work that it was chosen for.
                assert await ask(old) == await ask(new)
            assert [served.entry.name for served in registry.served] == ["a", "b"]
            assert registry.served[0].loaded_at > before[0].loaded_at
            assert registry.served[1] is before[1]
            while True:  # and then it leaves
                try:
                    await ask(old)
                except ShuttingDown:
                    break
            assert await ask(new)

    run(test())


def test_requests_longer_than_the_drain_of_a_model_fail(checkpoint: Checkpoint) -> None:
    async def test() -> None:
        async with started(Shelf(checkpoint, [entry("a")]).registry(drain_s=0.01)) as registry:
            with registry.use("translate") as old:
                await registry.reload("a")
                with pytest.raises(ShuttingDown):
                    while True:
                        await ask(old)

    run(test())


def test_a_bad_model_leaves_the_old_one(checkpoint: Checkpoint) -> None:
    async def test() -> None:
        shelf = Shelf(checkpoint, [entry("a"), entry("b")])
        async with started(shelf.registry()) as registry:
            shelf.damaged.add("a")
            with pytest.raises(CheckpointError, match="damaged"):
                await registry.reload("a")
            with pytest.raises(NoSuchModel):
                await registry.reload("c")
            await registry.reload_all()
            digests = [served.worker.digest for served in registry.served]
            assert digests == ["a-0", "b-2"]
            shelf.entries = []
            await registry.reload_all()
            with pytest.raises(ConfigError):
                await registry.reload("b")
            assert [served.worker.digest for served in registry.served] == digests
            for served in registry.served:
                assert isinstance(served.worker, Worker)
                assert await ask(served.worker)

    run(test())


def test_a_reload_of_all_follows_the_file(checkpoint: Checkpoint) -> None:
    async def test() -> None:
        shelf = Shelf(checkpoint, [entry("a"), entry("b", "de", "en")])
        async with started(shelf.registry()) as registry:
            shelf.entries = [entry("c", "en", "de"), entry("b", "de", "fr")]
            await registry.reload_all()
            assert [served.entry for served in registry.served] == shelf.entries
            assert registry.choose("translate", None, "de", "fr").name == "b"
            with pytest.raises(NoSuchModel):
                registry.choose("translate", "a")
            assert await ask(registry.choose("translate", "c"))

    run(test())


def test_reloads_go_one_after_the_other(checkpoint: Checkpoint) -> None:
    async def test() -> None:
        shelf = Shelf(checkpoint, [entry("a")])
        async with started(shelf.registry()) as registry:
            reloads = [asyncio.create_task(registry.reload("a")) for _ in range(3)]
            await asyncio.sleep(0)
            assert registry.reloading
            await asyncio.gather(*reloads)
            assert not registry.reloading
            assert registry.choose("translate").digest == "a-3"

    run(test())


# The end


def test_a_registry_that_drains_refuses(checkpoint: Checkpoint) -> None:
    async def test() -> None:
        async with started(Shelf(checkpoint, [entry("a")]).registry()) as registry:
            with registry.use("translate") as worker:
                registry.drain()
                with pytest.raises(ShuttingDown):
                    registry.choose("translate")
                with pytest.raises(ShuttingDown), registry.use("translate"):
                    pass
                assert await ask(worker)
            await registry.stop(1)
            await registry.stop(1)
            with pytest.raises(ShuttingDown):
                await ask(worker)

    run(test())


def test_a_model_that_was_loading_at_the_end_does_not_serve(checkpoint: Checkpoint) -> None:
    async def test() -> None:
        shelf = Shelf(checkpoint, [entry("a")])
        async with started(shelf.registry()) as registry:
            reload = asyncio.create_task(registry.reload("a"))
            await asyncio.sleep(0)
            await registry.stop(0)
            with pytest.raises(ShuttingDown):
                await reload
            assert registry.served[0].worker is shelf.made[0]
            with pytest.raises(ShuttingDown):
                await ask(shelf.made[1])

    run(test())


def test_a_thread_that_nobody_waits_for_does_no_harm() -> None:
    async def test() -> None:
        gate = asyncio.Event()
        loop = asyncio.get_running_loop()

        def work() -> None:
            loop.call_soon_threadsafe(gate.set)

        waiting = asyncio.create_task(in_thread(work))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await gate.wait()
        with pytest.raises(ZeroDivisionError):
            await in_thread(lambda: 1 // 0)

    run(test())
