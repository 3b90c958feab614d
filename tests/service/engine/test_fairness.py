"""Fairness: keys, documents and priorities through a real worker that has more than it can do."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from model.checkpoint.checkpoint import load_checkpoint
from model.decoding.options import SearchOptions
from service.engine.request_params import RequestParams
from service.engine.worker import Worker
from service.limits.admission import Admission
from tests.patience import PATIENCE_S
from tests.service.admitted import admitted

OPTIONS = SearchOptions(beam_size=2, min_length=8, max_length_a=0, max_length_b=8)


@pytest.fixture
def worker(tiny_checkpoint: Path) -> Iterator[Worker]:
    worker = Worker(
        "tiny",
        load_checkpoint(tiny_checkpoint),
        device=torch.device("cpu"),
        dtype=torch.float32,
        max_rows=16,
    )
    worker.start()
    yield worker
    worker.stop()


async def served(worker: Worker, text: str, key: str = "", priority: int = 5) -> int:
    """Translate a text; its source pieces."""
    with admitted(Admission(1, 10**9), 1) as reservation:
        params = RequestParams(
            options=OPTIONS, reservation=reservation, client=key, priority=priority
        )
        (found,) = await worker.translate([text], params)
    return len(found.source_pieces)


def test_two_keys_get_the_same_though_one_offers_ten_times_as_much(worker: Worker) -> None:
    pieces: Counter[str] = Counter()

    async def client(key: str, text: str) -> None:
        while pieces.total() < 6_000:
            count = await served(worker, text, key, priority=9)
            if pieces.total() < 6_000:  # at the end those with more in flight would get more
                pieces[key] += count

    async def test() -> None:
        clients = [client("greedy", "der Hund läuft.") for _ in range(200)]
        clients += [client("modest", "der Mann sieht die Frau.") for _ in range(20)]
        await asyncio.gather(*clients)

    asyncio.run(asyncio.wait_for(test(), PATIENCE_S))
    assert 0.45 < pieces["modest"] / pieces.total() < 0.55


def test_a_document_does_not_hold_up_short_requests(worker: Worker) -> None:
    """Whether it is said to be one, or is just a request of very many texts."""

    async def median(count: int) -> float:
        times = []
        for _ in range(count):
            start = time.monotonic()
            await served(worker, "der Hund läuft.")
            times.append(time.monotonic() - start)
        return sorted(times)[count // 2]

    async def test() -> None:
        idle = await median(15)
        for document in (True, False):
            with admitted(Admission(1, 10**9), 1) as reservation:
                params = RequestParams(options=OPTIONS, reservation=reservation, document=document)
                texts = ["die Frau sieht das Haus."] * 10_000
                task = asyncio.create_task(worker.translate(texts, params))
                while not worker.stats().in_use:
                    await asyncio.sleep(0.001)
                busy = await median(15)
                assert not task.done()
                assert worker.stats().waiting > 1000
                assert busy < 6 * idle  # a noisy machine; the benchmark measures it
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            while worker.stats().in_use or worker.stats().waiting:
                await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(test(), PATIENCE_S))


def test_a_high_priority_overtakes_those_that_wait(worker: Worker) -> None:
    order: list[int] = []

    async def client(number: int, priority: int) -> None:
        await served(worker, "der Hund läuft.", priority=priority)
        order.append(priority)

    async def test() -> None:
        low = [asyncio.create_task(client(number, 0)) for number in range(200)]
        await asyncio.sleep(0)
        while len(order) < 5:
            await asyncio.sleep(0.001)
        high = [asyncio.create_task(client(number, 9)) for number in range(5)]
        await asyncio.gather(*low, *high)

    asyncio.run(asyncio.wait_for(test(), PATIENCE_S))
    last = max(place for place, priority in enumerate(order) if priority == 9)
    assert last < 150


def test_a_document_and_short_requests_are_both_served_when_there_are_too_many(
    worker: Worker,
) -> None:
    done = 0

    async def client() -> None:
        nonlocal done
        while done < 10_000:
            await served(worker, "die Frau sieht das Haus.")
            done += 1

    async def test() -> None:
        clients = [asyncio.create_task(client()) for _ in range(100)]
        while done < 100:
            await asyncio.sleep(0.001)
        before = done
        with admitted(Admission(1, 10**9), 1) as reservation:
            texts = ["die Frau sieht das Haus."] * 400
            params = RequestParams(options=OPTIONS, reservation=reservation, document=True)
            await worker.translate(texts, params)
        assert 100 < done - before < 1600
        for task in clients:
            task.cancel()

    asyncio.run(asyncio.wait_for(test(), PATIENCE_S))
