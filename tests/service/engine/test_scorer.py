"""Scoring: the log-probability of given translations, through a worker that also translates."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.errors import RequestError
from model.translation.forced_decoding import score_pairs
from service.engine.request_params import RequestParams
from service.engine.scorer import MAX_SIDE_PIECES, Scored
from service.engine.worker import Worker
from service.errors import EngineFailed
from service.limits.admission import Admission
from tests.patience import PATIENCE_S
from tests.service.admitted import admitted

SOURCES = ["der Hund läuft.", "", " eine Frau sieht das Haus ", "日本語", "der Mann " * 30]
TARGETS = ["the dog runs.", "a", "", "the the the the", "a man " * 25]


@pytest.fixture
def checkpoint(tiny_checkpoint: Path) -> Checkpoint:
    return load_checkpoint(tiny_checkpoint)


@pytest.fixture
def worker(checkpoint: Checkpoint) -> Iterator[Worker]:
    worker = Worker("tiny", checkpoint, device=torch.device("cpu"), dtype=torch.float32)
    worker.start()
    yield worker
    worker.stop()


async def score(worker: Worker, sources: Sequence[str], targets: Sequence[str]) -> list[Scored]:
    with admitted(Admission(10**6, 10**9), 10**6) as reservation:
        params = RequestParams(options=worker.options, reservation=reservation)
        return await worker.score(sources, targets, params)


def test_scores_are_those_of_the_command(worker: Worker, checkpoint: Checkpoint) -> None:
    tokenizer = checkpoint.tokenizer
    scored = asyncio.run(score(worker, SOURCES, TARGETS))
    expected = score_pairs(
        checkpoint.network,
        [tokenizer.encode(source.strip()) for source in SOURCES],
        [tokenizer.encode(target.strip()) for target in TARGETS],
    )
    assert [each.log_prob for each in scored] == pytest.approx(list(map(sum, expected)), abs=1e-4)
    for each, target in zip(scored, TARGETS, strict=True):
        assert "".join(each.pieces).replace("▁", " ").strip() == target.strip()
        assert len(each.token_log_probs) == len(each.pieces)
        assert sum(each.token_log_probs) > each.log_prob  # the end is left out
    assert asyncio.run(score(worker, [], [])) == []


def test_a_score_does_not_depend_on_company(worker: Worker) -> None:
    rng = random.Random(1)

    async def one(alone: list[Scored]) -> None:
        if rng.random() < 0.5:
            assert await score(worker, SOURCES, TARGETS) == alone
        else:
            with admitted(Admission(9, 10**6), 1) as reservation:
                params = RequestParams(options=worker.options, reservation=reservation)
                await worker.translate(SOURCES * 4, params)

    async def test() -> None:
        alone = await score(worker, SOURCES, TARGETS)
        await asyncio.gather(*(one(alone) for _ in range(20)))

    asyncio.run(asyncio.wait_for(test(), PATIENCE_S))


def test_a_pair_that_would_hold_up_others_is_refused(worker: Worker) -> None:
    async def test() -> None:
        with pytest.raises(
            RequestError, match=f"target: .* may have {MAX_SIDE_PIECES} on each side"
        ):
            await score(worker, ["der Hund"], ["the dog 日本 " * MAX_SIDE_PIECES])
        assert len(await score(worker, SOURCES, TARGETS)) == len(SOURCES)

    asyncio.run(test())


def test_scoring_that_fails_fails_alone(
    worker: Worker, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("no such kernel")

    async def test() -> None:
        monkeypatch.setattr(checkpoint.network, "unroll", fail)
        with pytest.raises(EngineFailed):
            await score(worker, SOURCES, TARGETS)
        with admitted(Admission(9, 10**6), 1) as reservation:
            params = RequestParams(options=worker.options, reservation=reservation)
            assert await worker.translate(["der Hund"], params)
        monkeypatch.undo()
        assert await score(worker, SOURCES, TARGETS)

    asyncio.run(test())
