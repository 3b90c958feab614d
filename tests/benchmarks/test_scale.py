"""The simulation of cost and time against sums done by hand; its page shows what it prints."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.scale import Assumptions, Corpus, Model, comparison, hours, tables, update_s, usd

PAGE = Path(__file__).parents[2] / "docs" / "training-at-scale.md"
MODEL = Model(name="m", parameters=1e9, flops_per_token=1e9)
CORPUS = Corpus(name="c", pairs=3.6e6, passes=2, batch_tokens=1000)
GIVEN = Assumptions(
    matrix_rate=1e13,
    matrix_share=0.1,  # so 1,000 tokens a second
    floor_s=0.5,
    imbalance=1.2,
    overlap=0.75,
    inside=3e9,
    between=1e9,
    tokens_a_pair=10,
    validations=10,
    validation_s=360,
    gpu_hours_to_failure=1e30,
    usd_per_gpu_hour=3.0,
)


def test_an_update_is_floor_and_computing_and_what_is_not_hidden_of_the_exchange() -> None:
    assert update_s(MODEL, 1000, 1, GIVEN) == pytest.approx(0.5 + 1)
    inside = 0.25 * 2 * 0.75 * 4 / 3  # 4 GB go around a ring of 4 twice, 3/4 of them
    assert update_s(MODEL, 1000, 4, GIVEN) == pytest.approx(0.5 + 0.3 + inside)
    between = 0.25 * 2 * 15 / 16 * 4
    assert update_s(MODEL, 1000, 16, GIVEN) == pytest.approx(0.5 + 1.2 / 16 + between)


def test_no_update_is_faster_than_a_process_reads_its_share_and_plans_all() -> None:
    slow = replace(GIVEN, pairs_read=25.0, pairs_planned=100.0)  # 1,000 tokens are 100 pairs
    assert update_s(MODEL, 1000, 1, slow) == pytest.approx(4 + 1)
    assert update_s(MODEL, 1000, 4, slow) == pytest.approx(1 + 1)


def test_hours_are_updates_validations_and_what_failures_cost() -> None:
    training = 72_000 * 1.5 / 3600  # 30 hours
    assert hours(MODEL, CORPUS, 1, GIVEN) == pytest.approx(training + 1)
    assert usd(MODEL, CORPUS, 1, GIVEN) == pytest.approx(93)
    # 31 failures, each of which loses half of the 3 hours between checkpoints, and an hour.
    failing = replace(GIVEN, gpu_hours_to_failure=1.0, restart_s=3600)
    assert hours(MODEL, CORPUS, 1, failing) == pytest.approx(31 + 31 * 2.5)


def test_the_page_shows_what_the_simulation_prints() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for line in [*tables(Assumptions()), *comparison(Assumptions())]:
        assert line in text
