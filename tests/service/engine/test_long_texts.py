"""Texts of any length beside short ones: each is answered as if it were alone."""

import asyncio
import dataclasses
import gc
import threading
import time
import weakref
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.decoding.available_memory import available_bytes
from model.decoding.long_engine import LongEngine
from model.decoding.options import SearchOptions
from model.decoding.request import Request
from model.decoding.torch.inference_network import InferenceNetwork
from model.errors import RequestError
from model.text.profile import TextProfile
from model.text.segmentation import Plan, Segmenter
from model.text.tokenizer import EOS_ID
from model.translation.assemble import Translation
from model.translation.phrases import Phrases
from model.translation.rounds import Prepared
from model.translator import Translator
from service.engine.engine_runner import EngineRunner, JobFailed
from service.engine.job import Job, TextPreparer, Unassembled
from service.engine.reply import LoopNotifier, PendingReply
from service.engine.request_params import RequestParams
from service.engine.worker import Worker
from service.errors import DeadlinePassed, ShuttingDown
from service.limits.admission import Admission
from service.observability.metrics import Metrics
from tests.patience import PATIENCE_S
from tests.service.admitted import admitted
from tests.service.running_worker import started

PROFILE = TextProfile(task="summarize", source_language="de", target_language="de")
WHOLE = SearchOptions(beam_size=2, n_best=2, max_length_a=0, max_length_b=9, on_long="whole")
ENDLESS = SearchOptions(
    beam_size=2, min_length=5000, max_length_a=0, max_length_b=5000, on_long="whole"
)
SHORT = "der Hund läuft."
LONG = "der Hund läuft auf der Straße. " * 20
LONGER = "ein Mann sieht die Frau auf der Straße! " * 30


@pytest.fixture
def checkpoint(tiny_checkpoint: Path) -> Checkpoint:
    return load_checkpoint(tiny_checkpoint)


def made(
    checkpoint: Checkpoint, dtype: torch.dtype = torch.float32, metrics: Metrics | None = None
) -> Worker:
    return Worker(
        "tiny",
        checkpoint,
        device=torch.device("cpu"),
        dtype=dtype,
        profile=PROFILE,
        defaults=dataclasses.replace(checkpoint.search, max_length_b=5000),
        metrics=metrics,
    )


@asynccontextmanager
async def running(
    checkpoint: Checkpoint, dtype: torch.dtype = torch.float32, metrics: Metrics | None = None
) -> AsyncIterator[Worker]:
    async with started(made(checkpoint, dtype, metrics)) as worker:
        yield worker


async def summarize(
    worker: Worker,
    *texts: str,
    options: SearchOptions = WHOLE,
    deadline: float | None = None,
) -> list[Translation]:
    with admitted(Admission(10**6, 10**9), 1) as reservation:
        params = RequestParams(options=options, reservation=reservation, deadline=deadline)
        return await worker.translate(texts, params)


async def long_steps(worker: Worker, count: int) -> None:
    """Wait until the thread for long texts has a text and has gone on with it."""
    while (
        worker._long.started is None or not worker._long.started.engine_loop.interactive.sentences
    ):
        await asyncio.sleep(0.001)
    steps = worker._long.started.engine_loop._metrics.step_rows
    before = steps._value.get()
    while steps._value.get() < before + count:
        await asyncio.sleep(0.001)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, timeout=PATIENCE_S))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8])
def test_long_and_short_texts_are_answered_in_their_order(
    checkpoint: Checkpoint, dtype: torch.dtype
) -> None:
    texts = [LONG, SHORT, LONGER, "", SHORT]
    translator = Translator(
        checkpoint.network,
        checkpoint.tokenizer,
        checkpoint.search,
        device=torch.device("cpu"),
        dtype=dtype,
        profile=PROFILE,
    )
    expected = translator.search(texts, WHOLE)

    async def test() -> None:
        async with running(checkpoint, dtype) as worker:
            assert await summarize(worker, *texts) == expected
            assert await summarize(worker, LONG) == expected[:1]
            assert await summarize(worker) == []

    run(test())
    whole = [one.whole_source for one in expected]
    pieces = [len(checkpoint.tokenizer.encode(text.strip())) for text in texts]
    assert [one.pieces if one else None for one in whole] == [
        pieces[0],
        None,
        pieces[2],
        None,
        None,
    ]


def test_short_texts_do_not_wait_for_a_long_one(checkpoint: Checkpoint) -> None:
    async def test() -> None:
        async with running(checkpoint) as worker:
            long = asyncio.create_task(summarize(worker, LONG, options=ENDLESS))
            await long_steps(worker, 5)
            alone = await summarize(worker, SHORT)
            assert not long.done()
            assert worker.stats().in_use == 1
            assert worker.alive(time.monotonic())
            assert worker.ready()
            # Another long one waits for its turn.
            other = asyncio.create_task(summarize(worker, LONGER))
            while not worker.stats().waiting:
                await asyncio.sleep(0.001)
            assert await summarize(worker, SHORT) == alone
            assert not long.done()
            assert not other.done()
            long.cancel()
            (found,) = await other
            assert found.whole_source is not None

    run(test())


def test_a_client_that_leaves_a_deadline_and_the_end_stop_a_long_text(
    checkpoint: Checkpoint,
) -> None:
    async def test() -> None:
        async with running(checkpoint) as worker:
            left = asyncio.create_task(summarize(worker, LONG, options=ENDLESS))
            await long_steps(worker, 3)
            left.cancel()
            with pytest.raises(asyncio.CancelledError):
                await left
            while worker.stats().in_use:
                await asyncio.sleep(0.001)
            with pytest.raises(DeadlinePassed):
                await summarize(worker, LONG, options=ENDLESS, deadline=time.monotonic() + 0.05)
            last = asyncio.create_task(summarize(worker, SHORT, LONG, options=ENDLESS))
            await long_steps(worker, 3)
            await asyncio.to_thread(worker.stop)
            with pytest.raises(ShuttingDown):
                await last
            with pytest.raises(ShuttingDown):
                await summarize(worker, LONG)

    run(test())


def test_a_stream_grows_and_ends_as_the_answer(checkpoint: Checkpoint) -> None:
    async def test() -> None:
        async with running(checkpoint) as worker:
            (expected,) = await summarize(worker, LONG)
            with admitted(Admission(10**6, 10**9), 1) as reservation:
                params = RequestParams(options=WHOLE, reservation=reservation)
                async with aclosing(worker.stream(LONG, params)) as stream:
                    *grown, last = [each async for each in stream]
            assert last == expected
            assert all(isinstance(text, str) and expected.text.startswith(text) for text in grown)

    run(test())


def test_it_has_metrics_of_its_own_and_a_lower_priority(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = Metrics()
    threads = set()
    honest = InferenceNetwork.step

    def noted(self: InferenceNetwork, *arguments: Any) -> Any:
        threads.add(threading.get_ident())
        return honest(self, *arguments)

    monkeypatch.setattr(InferenceNetwork, "step", noted)

    async def test() -> None:
        async with running(checkpoint, metrics=metrics) as worker:
            threads.clear()
            await summarize(worker, SHORT, LONG)
            assert len(threads) == 2

    run(test())
    content = metrics.render("")[0].decode()
    assert 'dragoman_sentences_total{model="tiny"} 1.0' in content
    assert 'dragoman_sentences_total{model="tiny/long"} 1.0' in content


def test_demands_that_cannot_be_met_are_refused(checkpoint: Checkpoint) -> None:
    options = dataclasses.replace(WHOLE, n_best=1, max_length_b=2, prefix="ein Mann sieht die Frau")

    async def test() -> None:
        async with running(checkpoint) as worker:
            with pytest.raises(RequestError, match="prefix"):
                await summarize(worker, LONG, options=options)

    run(test())


def preparer(checkpoint: Checkpoint) -> TextPreparer:
    tokenizer, profile = checkpoint.tokenizer, checkpoint.profile
    return TextPreparer(tokenizer, Phrases(tokenizer, ()), Segmenter(tokenizer, 24, profile))


def test_what_memory_does_not_hold_fails_its_request_and_no_other(checkpoint: Checkpoint) -> None:
    network = InferenceNetwork(checkpoint.network, torch.float32)
    options = SearchOptions(beam_size=64, coverage_beta=0.1, max_length_a=0, max_length_b=5)
    huge = (EOS_ID + 1,) * (available_bytes(torch.device("cpu")) // 3_000)

    async def test() -> None:
        runner = EngineRunner(lambda max_rows: LongEngine(network), 1, lookahead=0)
        with admitted(Admission(10**6, 10**9), 1) as reservation:
            params = RequestParams(options=options, reservation=reservation)
            jobs = []
            for src in (huge, huge[:50]):
                reply: PendingReply[list[Translation | Unassembled]] = PendingReply(
                    params, LoopNotifier()
                )
                job = Job(reply, ["a text"], preparer(checkpoint), stream=False, prepared={})
                job.plan(Prepared(Plan((src,)), [Request(src=src, options=options)]))
                runner.enqueue(job, params, 0.0)
                jobs.append(job)
            (failed,) = runner.step()
            assert isinstance(failed, JobFailed)
            assert failed.job is jobs[0]
            assert isinstance(failed.error, RequestError)
            assert runner.failures == 0
            while runner.busy:
                outcomes = runner.step()
            assert [outcome.job for outcome in outcomes] == jobs[1:]

    run(test())


def test_a_refusal_for_memory_names_the_text(checkpoint: Checkpoint) -> None:
    options = dataclasses.replace(WHOLE, beam_size=64, coverage_beta=0.1)
    huge = (EOS_ID + 1,) * (available_bytes(torch.device("cpu")) // 3_000)

    async def refused(worker: Worker, *texts: str) -> str:
        with admitted(Admission(10**6, 10**9), 1) as reservation:
            params = RequestParams(options=options, reservation=reservation)
            parts = await worker._parts(texts, params, stream=False)
            ready = parts[-1].job.prepared[0]
            requests = [dataclasses.replace(one, src=huge) for one in ready.requests]
            parts[-1].job.prepared[0] = ready._replace(requests=requests)
            with pytest.raises(RequestError) as caught:
                await worker._searched(parts)
        return str(caught.value)

    async def test() -> None:
        async with running(checkpoint) as worker:
            needs = f"{len(huge) + 1:,} pieces need"
            assert (await refused(worker, SHORT, LONG)).startswith(f"text.1: {needs}")
            assert (await refused(worker, LONG)).startswith(f"text: {needs}")

    run(test())


async def work_of_each_kind(worker: Worker) -> None:
    await summarize(worker, LONG, SHORT)
    with pytest.raises(DeadlinePassed):
        await summarize(worker, LONG, options=ENDLESS, deadline=0.0)


def test_nothing_is_left_of_it(checkpoint: Checkpoint) -> None:
    """Neither of the worker, nor of its requests, that only a collection of cycles would free."""
    gc.collect()
    gc.disable()
    try:
        worker = made(checkpoint, torch.int8)
        del checkpoint
        worker.start()

        run(work_of_each_kind(worker))
        assert worker._long.started is not None
        held: list[weakref.ref[Any]] = [
            weakref.ref(worker),
            weakref.ref(worker._network),
            weakref.ref(worker._long.started.engine_loop.interactive._engine or worker),
        ]
        worker.stop()
        assert [work for work in gc.get_objects() if type(work) is Job] == []
        del worker
        assert [each() for each in held] == [None, None, None]
    finally:
        gc.enable()
