"""The simulation of a large folder against sums done by hand; its page shows what it prints."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.scale_out import PART, Assumptions, Worker, rows, simulate

PAGE = Path(__file__).parents[2] / "docs" / "scale-out.md"
WORKER = Worker(name="core", counts=(), lines_per_s=PART / 10, start_s=5, usd_per_hour=1)  # 10 s
GIVEN = Assumptions(
    looked_per_s=PART, head_s=2, spread=0, slow_share=0, hours_to_failure=1e30, restart_s=0
)


def test_each_takes_the_next_unit_when_it_is_done() -> None:
    run = simulate(10 * PART, WORKER, 4, GIVEN)
    assert run.looking_h * 3600 == pytest.approx(10)
    assert run.translating_h * 3600 == pytest.approx(5 + 3 * 10)  # two of them have three parts
    assert run.waiting == pytest.approx(2 * 10 / (4 * 35))
    assert run.ending_h * 3600 == pytest.approx(20)
    assert run.failures == 0
    assert run.usd == pytest.approx((4 * 35 + (10 + 35 + 20) * 0.04) / 3600)


def test_large_units_make_the_last_worker_later() -> None:
    run = simulate(10 * PART, WORKER, 4, GIVEN, units=2)
    assert run.translating_h * 3600 == pytest.approx(5 + 5 * 10)


def test_slow_workers_are_waited_for() -> None:
    run = simulate(10 * PART, WORKER, 1, replace(GIVEN, slow_share=1, slow_factor=3))
    assert run.translating_h * 3600 == pytest.approx(5 + 10 * 30)


def test_a_failure_costs_half_a_part_and_a_new_start() -> None:
    failing = replace(GIVEN, hours_to_failure=1 / 360, restart_s=100)  # one in 10 s
    run = simulate(1000 * PART, WORKER, 1, failing)
    assert run.failures == pytest.approx(1000, abs=100)
    assert run.translating_h * 3600 == pytest.approx(5 + 10_000 + run.failures * 105)


def test_the_page_shows_what_the_simulation_prints() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for line in rows(Assumptions()):
        assert line in text
