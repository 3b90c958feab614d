"""Step plans, computed by hand."""

import pytest

from training.config.train_config import RunConfig
from training.loop.step_plan import (
    Measurement,
    StepPlan,
    fixed_plan,
    next_revision,
    planned_by_time,
    timed_plan,
)


def measured(
    *, step: int = 10, elapsed_s: float = 100.0, update_s: float = 0.5, validation_s: float = 4.0
) -> Measurement:
    return Measurement(step=step, elapsed_s=elapsed_s, update_s=update_s, validation_s=validation_s)


def test_steps_alone_are_the_plan() -> None:
    plan = fixed_plan(RunConfig(max_steps=30, eval_every=7))
    assert (plan.steps, plan.interval, plan.warm_up(25)) == (30, 7, 25)
    assert fixed_plan(RunConfig(max_steps=30, eval_every="auto")).interval == 4  # eight of them


def test_minutes_are_filled_with_updates_and_validations() -> None:
    """600 s, less 5 and the 100 that are gone, are 495. Seven validations of 4 s are a twentieth of
    the time, and six of them are still due."""
    plan = timed_plan(RunConfig(max_minutes=10, eval_every="auto"), measured())
    assert plan.steps == 10 + int((495 - 6 * 4) / 0.5)
    assert plan.interval == -(-plan.steps // 7)
    every = timed_plan(RunConfig(max_minutes=10, eval_every=20), measured())
    assert every.steps == 10 + int((495 - 4) / (0.5 + 4 / 20))
    assert every.interval == 20


def test_costly_validations_are_fewer() -> None:
    """They may take 30 s of 600: two of 15 s."""
    plan = timed_plan(RunConfig(max_minutes=10, eval_every="auto"), measured(validation_s=15.0))
    assert plan.interval == -(-plan.steps // 2)


def test_what_comes_first_ends_the_run() -> None:
    both = RunConfig(max_minutes=10, max_steps=50, eval_every="auto")
    plan = timed_plan(both, measured())
    assert plan.steps == 50
    assert plan.by_time is not None and plan.by_time > 900
    assert timed_plan(both, measured(elapsed_s=590)).steps < 50


def test_a_run_whose_time_is_up_ends_at_once() -> None:
    for eval_every in (5, "auto"):
        run = RunConfig(max_minutes=1, eval_every=eval_every)
        assert timed_plan(run, measured(elapsed_s=90)).steps == 10


@pytest.mark.parametrize(("wanted", "expected"), [(300, 100), (50, 50), (0, 0)])
def test_few_minutes_shorten_the_warm_up(wanted: int, expected: int) -> None:
    plan = StepPlan(most=None, by_time=600, interval=100, timed=True)
    assert plan.warm_up(wanted) == expected


@pytest.mark.parametrize(
    ("step", "updates", "expected"),
    [(1, 1, 2), (2, 2, 4), (8, 8, 16), (500, 500, 525), (990, 990, 991), (1000, 1000, 1001)],
)
def test_revisions_are_frequent_at_both_ends(step: int, updates: int, expected: int) -> None:
    plan = StepPlan(most=1000, by_time=None, interval=100)
    assert next_revision(plan, step, updates) == expected


def test_a_saved_plan_is_scaled_to_other_minutes() -> None:
    saved = {"by_time": 300.0, "minutes": 10.0}
    assert planned_by_time(RunConfig(max_minutes=20), saved) == 600
    assert planned_by_time(RunConfig(max_steps=20), saved) is None
    assert planned_by_time(RunConfig(max_minutes=20), None) is None


def test_a_checkpoint_of_hardly_any_minutes_scales_to_a_number_of_updates() -> None:
    saved = {"by_time": 10**12, "minutes": 1e-300}  # of a stranger: no run has that
    assert planned_by_time(RunConfig(max_minutes=20), saved) == 10**12
