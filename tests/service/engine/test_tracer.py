"""Traces through a worker: what the library traces, within bounds, beside other work."""

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.decoding.options import SearchOptions
from model.errors import RequestError
from model.translation.text_trace import TextTrace
from model.translator import Translator
from service.engine.request_params import RequestParams
from service.engine.tracer import MAX_PIECES, traced_options
from service.engine.worker import Worker
from service.errors import ShuttingDown
from service.limits.admission import Admission
from tests.patience import PATIENCE_S
from tests.service.admitted import admitted

TEXT = "der Hund läuft unter der Straße."


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Path) -> Checkpoint:
    """Of a model that reads longer texts than may be traced."""
    found = load_checkpoint(tiny_checkpoint)
    return dataclasses.replace(found, config=dataclasses.replace(found.config, max_length=200))


@pytest.fixture(scope="module")
def worker(checkpoint: Checkpoint) -> Iterator[Worker]:
    worker = Worker("tiny", checkpoint, device=torch.device("cpu"), dtype=torch.float32)
    worker.start()
    yield worker
    worker.stop()


async def traced(worker: Worker, text: str, options: SearchOptions | None = None) -> TextTrace:
    with admitted(Admission(10**6, 10**9), 10**6) as reservation:
        params = RequestParams(options=options or worker.options, reservation=reservation)
        return await worker.trace(text, params)


def test_it_is_what_the_library_traces(worker: Worker, tiny_checkpoint: Path) -> None:
    found = asyncio.run(traced(worker, TEXT))
    library = Translator.load(tiny_checkpoint, device="cpu", precision="fp32")
    expected = library.trace(TEXT)
    assert found.translation == expected.translation
    for mine, theirs in zip(found.trace.layers, expected.trace.layers, strict=True):
        torch.testing.assert_close(mine.values, theirs.values)


def test_traces_and_translations_go_on_beside_one_another(worker: Worker) -> None:
    async def test() -> None:
        alone = await traced(worker, TEXT)
        with admitted(Admission(9, 10**6), 1) as reservation:
            params = RequestParams(options=worker.options, reservation=reservation)
            work = [worker.translate([TEXT] * 8, params) for _ in range(4)]
            together = asyncio.gather(*(traced(worker, TEXT) for _ in range(6)))
            texts, traces = await asyncio.gather(asyncio.gather(*work), together)
        assert {found.text for some in texts for found in some} == {alone.translation}
        for found in traces:
            assert found.to_json() == alone.to_json()

    asyncio.run(asyncio.wait_for(test(), PATIENCE_S))


def test_a_long_sentence_is_refused_and_its_length_told(worker: Worker) -> None:
    with pytest.raises(RequestError, match=rf"^text: it has \d+ pieces, but at most {MAX_PIECES} "):
        asyncio.run(traced(worker, "der Hund " * 25))


def test_an_answer_has_at_most_so_many_pieces(worker: Worker) -> None:
    endless = dataclasses.replace(worker.options, max_length_a=0, max_length_b=200, min_length=60)
    found = asyncio.run(traced(worker, TEXT, endless))
    assert 60 <= len(found.target_pieces) - 1 <= MAX_PIECES


def test_options_keep_a_lower_limit() -> None:
    options = SearchOptions(max_length_a=1.0, max_length_b=3)
    assert traced_options(options, 10).max_length_b == 13
    assert traced_options(options, 1000).max_length_b == MAX_PIECES
    assert traced_options(options, 1000).max_length_a == 0


def test_a_worker_that_was_stopped_refuses(checkpoint: Checkpoint) -> None:
    worker = Worker("tiny", checkpoint, device=torch.device("cpu"), dtype=torch.float32)
    worker.start()
    assert asyncio.run(traced(worker, "rot")).source_pieces
    worker.stop()
    with pytest.raises(ShuttingDown):
        asyncio.run(traced(worker, "rot"))
    with pytest.raises(ShuttingDown):
        asyncio.run(worker._tracer.source("rot", worker.options))
