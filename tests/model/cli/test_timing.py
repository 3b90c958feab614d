"""Timing: who is in flight when, and what is counted."""

import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from model.bench import random_requests
from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.cli.timing import Workload, cold_start, full_speed, latencies, make_engine, measure
from model.decoding.engine import Engine
from model.decoding.request import Event, Finished, Request
from model.errors import CheckpointError


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Path) -> Checkpoint:
    return load_checkpoint(tiny_checkpoint)


@pytest.fixture(scope="module")
def requests(checkpoint: Checkpoint) -> list[Request]:
    """Translations as long as their sources: a source of n pieces takes n + 1 steps."""
    return random_requests(checkpoint, checkpoint.search)[:12]


def load(run: Path, in_flight: int, precision: str = "fp32") -> Workload:
    return Workload(run=run, device="cpu", precision=precision, in_flight=in_flight, beam_size=2)


class CountingEngine(Engine):
    """Counts its steps, and the sentences that are there in each; notes what comes in."""

    steps = 0
    lengths: tuple[int, ...] = ()
    present = 0
    seen: tuple[int, ...] = ()

    def add(self, request: Request) -> int:
        self.present += 1
        self.lengths += (len(request.src),)
        return super().add(request)

    def step(self) -> list[Event]:
        self.seen += (self.present,)
        events = super().step()
        self.steps += 1
        self.present -= sum(isinstance(event, Finished) for event in events)
        return events


def test_an_engine_has_a_slot_for_each_sentence_in_flight(
    checkpoint: Checkpoint, requests: list[Request]
) -> None:
    engine = make_engine(checkpoint, load(checkpoint.path, 2))
    ids = [engine.add(requests[0]) for _ in range(3)]
    steps = 0
    ends: dict[int, int] = {}
    while engine.busy:
        steps += 1
        ends |= {event.id: steps for event in engine.step() if isinstance(event, Finished)}
    once = len(requests[0].src) + 1
    assert [ends[id] for id in ids] == [once, once, 2 * once]


def test_full_speed_counts_sentences_and_pieces(
    checkpoint: Checkpoint, requests: list[Request]
) -> None:
    speed = full_speed(make_engine(checkpoint, load(checkpoint.path, 3)), requests)
    assert speed.sentences == 12
    assert speed.tokens == sum(len(request.src) for request in requests)
    assert speed.seconds > 0


def test_full_speed_takes_the_longest_first(
    checkpoint: Checkpoint, requests: list[Request]
) -> None:
    engine = CountingEngine(checkpoint.network)
    full_speed(engine, requests)
    assert engine.lengths == tuple(sorted((len(r.src) for r in requests), reverse=True))
    assert engine.seen[0] == len(requests)


@pytest.mark.parametrize("in_flight", [1, 3, 20])
def test_a_latency_is_that_of_one_sentence_among_always_as_many(
    checkpoint: Checkpoint, requests: list[Request], in_flight: int
) -> None:
    """Told in steps. None is waiting for a slot, and the measured ones come out in their order."""
    engine = CountingEngine(checkpoint.network, max_rows=2 * in_flight)
    found = latencies(engine, requests, in_flight, clock=lambda: float(engine.steps))
    # Arrivals go round: the first one measured is the one behind those that fill the engine.
    order = [requests[(in_flight + i) % len(requests)] for i in range(len(requests))]
    assert found == [len(request.src) + 1 for request in order]
    assert set(engine.seen) == {in_flight}
    assert not engine.busy


@pytest.mark.parametrize("in_flight", [1, 3])
def test_figures_of_loads_that_take_turns(
    checkpoint: Checkpoint, requests: list[Request], in_flight: int
) -> None:
    loads = [load(checkpoint.path, in_flight, name) for name in ("fp32", "bf16")]
    figures = list(measure(checkpoint, loads, requests[:4], repeats=3))
    assert [line.precision for line in figures] == ["fp32", "bf16"]
    for line in figures:
        assert (line.in_flight, line.rows, line.sentences) == (in_flight, 2 * in_flight, 4)
        assert len(line.repeats_sentences_per_s) == 3
        assert line.sentences_per_s == statistics.median(line.repeats_sentences_per_s)
        pieces = sum(len(request.src) for request in requests[:4]) / 4
        assert line.tokens_per_s == pytest.approx(line.sentences_per_s * pieces)
        assert 0 < line.p50_ms <= line.p95_ms <= line.p99_ms
        # Little's law: as many in flight, each for the time it takes. A busy machine bends it.
        assert 0.2 < line.sentences_per_s * line.p50_ms / 1000 / in_flight < 5


def test_a_cold_start_happens_in_a_process_of_its_own(
    checkpoint: Checkpoint, requests: list[Request]
) -> None:
    found = cold_start(load(checkpoint.path, 2), requests)
    assert 0 < found.load_s < found.start_s
    assert found.start_s > 0.2  # importing torch takes longer
    assert 50 * 2**20 < found.resident_bytes <= found.peak_bytes


def test_a_cold_start_of_nothing(checkpoint: Checkpoint, requests: list[Request]) -> None:
    missing = replace(load(checkpoint.path, 2), run=checkpoint.path / "missing")
    with pytest.raises(CheckpointError, match="missing"):
        cold_start(missing, requests)
