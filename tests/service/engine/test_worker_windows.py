"""Texts that take several rounds, on a server: each round is work like any other."""

import asyncio
import dataclasses
import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from model.checkpoint.checkpoint import load_checkpoint
from model.decoding.options import SearchOptions
from model.errors import RequestError
from model.text.profile import TextProfile
from model.text.text_windows import TextWindow
from model.translation.assemble import Translation
from service.engine.job import Job
from service.engine.request_params import RequestParams
from service.engine.worker import Worker
from service.limits.admission import Admission
from service.observability.metrics import Metrics
from tests.patience import PATIENCE_S
from tests.service.admitted import admitted

SHORT = "Der Hund läuft auf der Straße. Das Haus ist rot. Ein Mann schläft. Er sieht 10 Häuser! "
TEXT = SHORT
# Summaries of a few pieces, which fit together, and an answer that is longer.
OPTIONS = SearchOptions(
    beam_size=2, max_length_a=0.1, max_length_b=0, min_length=2, on_long="windows"
)
MANY = SHORT * 40


@pytest.fixture(scope="module")
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture(scope="module")
def worker(tiny_checkpoint: Path, metrics: Metrics) -> Iterator[Worker]:
    worker = Worker(
        "tiny",
        load_checkpoint(tiny_checkpoint),
        device=torch.device("cpu"),
        dtype=torch.float32,
        profile=TextProfile(task="summarize", source_language="de"),
        metrics=metrics,
    )
    worker.start()
    yield worker
    worker.stop()


def found_sentences(metrics: Metrics) -> float:
    found = metrics.registry.get_sample_value("dragoman_sentences_total", {"model": "tiny"})
    assert found is not None
    return found


@contextmanager
def params(
    options: SearchOptions, admission: Admission | None = None, size: int = 1
) -> Iterator[RequestParams]:
    with admitted(admission or Admission(10**6, 10**9), size) as reservation:
        yield RequestParams(options=options, reservation=reservation)


async def searched(worker: Worker, text: str, options: SearchOptions) -> Translation:
    with params(options) as asked:
        (found,) = await worker.translate([text], asked)
        return found


def test_the_last_round_is_streamed(worker: Worker) -> None:
    long = dataclasses.replace(OPTIONS, max_length_b=20, min_length=20, ratio=None)

    async def streamed(options: SearchOptions) -> tuple[list[str], Translation]:
        prefixes: list[str] = []
        with params(options) as asked:
            async for item in worker.stream(TEXT, asked):
                if isinstance(item, Translation):
                    return prefixes, item
                prefixes.append(item)
        raise AssertionError("the stream ended without a translation")

    for best_windows in (0, 2):
        options = dataclasses.replace(long, best_windows=best_windows)
        prefixes, last = asyncio.run(streamed(options))
        assert last == asyncio.run(searched(worker, TEXT, options))
        assert bool(prefixes) == (best_windows == 0)
        assert all(last.text.startswith(prefix) for prefix in prefixes)


def test_pieces_of_all_rounds_are_told_to_the_admission(worker: Worker) -> None:
    admission = Admission(10, 10**6)

    async def test() -> None:
        with params(OPTIONS, admission, 5000) as asked:
            (found,) = await worker.translate([TEXT], asked)
            sources = worker._segmenter.cut(TEXT, on_long="windows").sources
            rest = 5000 - len(TEXT.encode())
            assert found.source_pieces
            pieces = sum(map(len, sources)) + len(found.source_pieces)
            assert admission.pieces == rest + pieces
        assert admission.pieces == 0

    asyncio.run(asyncio.wait_for(test(), PATIENCE_S))


def test_each_window_is_a_sentence_of_the_engine(worker: Worker, metrics: Metrics) -> None:
    before = found_sentences(metrics)
    found = asyncio.run(searched(worker, TEXT, OPTIONS))
    assert found_sentences(metrics) - before == len(found.windows) + 1


def test_a_short_text_overtakes_many_windows(worker: Worker) -> None:
    slow = dataclasses.replace(OPTIONS, max_length_b=20, min_length=20)

    async def test() -> None:
        long = asyncio.create_task(searched(worker, MANY, slow))
        while not worker.stats().in_use:
            await asyncio.sleep(0.001)
        await searched(worker, "der Hund", OPTIONS)
        assert not long.done()
        await long

    asyncio.run(asyncio.wait_for(test(), PATIENCE_S))


def test_a_client_that_leaves_frees_the_slots(worker: Worker, metrics: Metrics) -> None:
    slow = dataclasses.replace(OPTIONS, max_length_b=20, min_length=20)

    async def test() -> None:
        before = found_sentences(metrics)
        task = asyncio.create_task(searched(worker, MANY, slow))
        while found_sentences(metrics) == before:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while worker.stats().in_use or worker.stats().waiting:
            await asyncio.sleep(0.001)
        windows = len(worker._segmenter.cut(MANY, on_long="windows").sources)
        assert found_sentences(metrics) - before < windows

    asyncio.run(asyncio.wait_for(test(), PATIENCE_S))


def test_a_refusal_after_the_windows_holds_nothing(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The summaries lack the word; that is known only in the last round."""
    jobs: list[weakref.ref[Job]] = []
    honest = Job.__init__

    def watched(self: Job, *arguments: object, **more: object) -> None:
        jobs.append(weakref.ref(self))
        honest(self, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Job, "__init__", watched)
    options = dataclasses.replace(OPTIONS, extractive="subsequence", max_length_b=9, prefix="Er")

    async def test() -> None:
        for text in (TEXT, MANY):
            with pytest.raises(RequestError, match="cannot begin an output of words of the source"):
                await searched(worker, text, options)
        await searched(worker, "der Hund", OPTIONS)  # the engine thread has forgotten the others

    gc.collect()
    gc.disable()
    try:
        asyncio.run(asyncio.wait_for(test(), PATIENCE_S))
        assert len(jobs) >= 3
        assert [job for one in jobs[:-1] if (job := one()) is not None] == []
    finally:
        gc.enable()


def test_windows_tell_what_was_read(worker: Worker) -> None:
    found = asyncio.run(searched(worker, TEXT, OPTIONS))
    assert all(isinstance(window, TextWindow) for window in found.windows)
    assert (found.windows[0].start, found.windows[-1].end) == (0, len(TEXT.rstrip()))
