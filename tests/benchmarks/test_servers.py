"""Servers as processes: ours under load, and one that does not start."""

import os
import sys
from pathlib import Path

import pytest

from benchmarks.dialects import Plain
from benchmarks.rounds import alone, closed, grouped
from benchmarks.servers import Recipe, ServerError, dragoman, pair_of_cores, running


def test_a_server_that_ends_is_quoted() -> None:
    recipe = Recipe(
        name="broken",
        command=(sys.executable, "-c", "raise SystemExit('no model for port {port}')"),
        dialect=Plain(),
        environment={},
    )
    with pytest.raises(ServerError, match="it said:\nno model for port"), running(recipe, 0):
        pass


def test_our_server_answers_under_load_as_alone(tiny_checkpoint: Path) -> None:
    core = max(os.sched_getaffinity(0))
    flags = "--device cpu --precision fp32 --threads 1"
    recipe = dragoman(tiny_checkpoint, flags=flags, beam_size=2)
    texts = ["der Hund läuft.", "ein Mann sieht die Frau.", "das Haus ist rot.", "10"]
    with running(recipe, core) as server:
        asks = alone(server, texts)
        assert all(ask.body for ask in asks)
        row = closed(server, asks + grouped(server, texts, asks, 2), 4, 1.0)
        assert server.resident_kib() > 10_000
        assert server.terminate() == 0
    assert row.right > 0
    assert (row.wrong, row.refused, row.errors, row.lost) == (0, 0, 0, 0)
    assert 0 < row.p50_s <= row.p95_s <= row.p99_s


def test_cores_of_a_machine_with_one_and_with_more() -> None:
    assert pair_of_cores([3]) == (3, 3)
    assert pair_of_cores([5, 2, 4]) == (2, 4)
