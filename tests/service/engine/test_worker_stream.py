"""Streaming: every prefix that is sent is one of the final text."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.decoding.options import SearchOptions
from model.text.profile import TextProfile
from model.text.segmentation import Segmenter
from model.translation.assemble import Translation
from service.engine.request_params import RequestParams
from service.engine.worker import Worker
from service.limits.admission import Admission
from service.observability.metrics import Metrics
from tests.patience import PATIENCE_S
from tests.service.admitted import admitted


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Path) -> Checkpoint:
    return load_checkpoint(tiny_checkpoint)


@pytest.fixture(scope="module")
def worker(checkpoint: Checkpoint) -> Iterator[Worker]:
    worker = Worker("tiny", checkpoint, device=torch.device("cpu"), dtype=torch.float32)
    worker.start()
    yield worker
    worker.stop()


async def streamed(
    worker: Worker, text: str, options: SearchOptions
) -> tuple[list[str], Translation]:
    prefixes: list[str] = []
    with admitted(Admission(9, 10**6), 1) as reservation:
        params = RequestParams(options=options, reservation=reservation)
        async for item in worker.stream(text, params):
            if isinstance(item, Translation):
                return prefixes, item
            prefixes.append(item)
    raise AssertionError("the stream ended without a translation")


OPTIONS = st.builds(
    SearchOptions,
    beam_size=st.sampled_from([1, 2, 5]),
    alpha=st.sampled_from([0.0, 1.0, 2.0]),
    word_reward=st.sampled_from([0.0, 0.5]),
    coverage_beta=st.sampled_from([0.0, 0.3]),
    min_length=st.sampled_from([0, 5]),
    max_length_a=st.just(1.0),
    max_length_b=st.sampled_from([12, 20]),
    no_repeat_ngram=st.sampled_from([0, 2]),
    temperature=st.sampled_from([0.0, 1.0]),
    prefix=st.sampled_from(["", "the house", "日"]),
)
TEXT = st.lists(
    st.sampled_from(["der", "Hund", "läuft.", "Straße", "日本", "👍", "und", "\n", " "]),
    min_size=1,
    max_size=40,
).map(" ".join)


@settings(max_examples=40)
@given(text=TEXT, options=OPTIONS)
def test_what_is_streamed_begins_the_final_text(
    worker: Worker, text: str, options: SearchOptions
) -> None:
    prefixes, translation = asyncio.run(streamed(worker, text, options))
    for earlier, later in zip(["", *prefixes], prefixes, strict=False):
        assert later.startswith(earlier)
        assert len(later) > len(earlier)
    for prefix in prefixes:
        assert translation.text.startswith(prefix)

    async def whole() -> list[Translation]:
        with admitted(Admission(9, 10**6), 1) as reservation:
            params = RequestParams(options=options, reservation=reservation)
            return await worker.translate([text], params)

    assert asyncio.run(whole()) == [translation]


@pytest.mark.parametrize("beam_size", [1, 3])
def test_words_come_before_the_end(worker: Worker, beam_size: int) -> None:
    options = SearchOptions(beam_size=beam_size, min_length=50, max_length_a=0, max_length_b=50)
    text = "der Hund läuft. " * 20  # two parts and more
    prefixes, translation = asyncio.run(streamed(worker, text, options))
    assert len(prefixes) > 5
    assert len(prefixes[len(prefixes) // 2]) < len(translation.text)


def test_a_reader_that_leaves_frees_the_slots(checkpoint: Checkpoint) -> None:
    metrics = Metrics()
    cpu = torch.device("cpu")
    worker = Worker(
        "tiny", checkpoint, device=cpu, dtype=torch.float32, max_rows=8, metrics=metrics
    )
    options = SearchOptions(beam_size=1, min_length=55, max_length_a=0, max_length_b=55)
    text = "der Hund läuft. " * 400
    segmenter = Segmenter(worker.tokenizer, worker.limit, TextProfile())
    parts = len(segmenter.cut(text).sources)

    async def leave() -> None:
        with admitted(Admission(9, 10**6), 1) as reservation:
            params = RequestParams(options=options, reservation=reservation)
            stream = worker.stream(text, params)
            async for _ in stream:
                break
            await stream.aclose()
            while worker.stats().in_use or worker.stats().waiting:
                await asyncio.sleep(0.001)

    worker.start()
    asyncio.run(asyncio.wait_for(leave(), PATIENCE_S))
    worker.stop()
    finished = metrics.registry.get_sample_value("dragoman_sentences_total", {"model": "tiny"})
    assert finished is not None
    assert 0 < finished < parts / 2


def test_a_blank_text_is_streamed_as_it_is(worker: Worker) -> None:
    prefixes, translation = asyncio.run(streamed(worker, " \n", worker.options))
    assert (prefixes, translation.text) == ([], " \n")


def test_a_long_text_is_streamed_while_it_grows(worker: Worker) -> None:
    text = " ".join(f"der Mann {i} sieht die Frau auf der Straße." for i in range(300))
    options = SearchOptions(beam_size=1, max_length_a=1.0, max_length_b=3)
    prefixes, translation = asyncio.run(streamed(worker, text, options))
    assert len(worker._segmenter.cut(text).sources) >= 300
    assert len(prefixes) > 20
    assert all(translation.text.startswith(prefix) for prefix in prefixes)
    assert sum(map(len, prefixes)) < 40 * len(translation.text)
