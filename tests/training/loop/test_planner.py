"""The planner, with a clock that is told the time."""

import pytest

from training.config.train_config import RunConfig
from training.loop.lr_schedule import learning_rate
from training.loop.planner import Planner
from training.system.distributed import World


class Clock:
    """Time that passes when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def simulate(
    planner: Planner, clock: Clock, *, update_s: float, from_step: int = 0, until: int | None = None
) -> tuple[list[int], list[int], list[float]]:
    """Run to the end of the plan: the planned ends, the validations and the learning rates."""
    step, ends, validations, rates = from_step, [], [], []
    planner.begin(step)
    while step < planner.plan.steps and step != until:
        step += 1
        plan = planner.plan
        rates.append(
            learning_rate(
                step, kind="cosine", peak=1.0, warmup_steps=plan.warm_up(50), max_steps=plan.steps
            )
        )
        clock.now += 10 * update_s if step == from_step + 1 else update_s
        ends.append(planner.updated(step).steps)
        if planner.due(step):
            with planner.validation(step):
                clock.now += 3.0
            validations.append(step)
    return ends, validations, rates


def test_the_minutes_are_used_and_the_learning_rate_ends_with_them() -> None:
    clock = Clock()
    run = RunConfig(max_minutes=10, eval_every="auto")
    planner = Planner(run, World(), started=970.0, now=clock)  # half a minute of preparation
    planner.rehearsed(5.0)
    ends, validations, rates = simulate(planner, clock, update_s=0.5)
    assert 590 <= planner.elapsed_s <= 600
    assert ends[-1] == len(ends) == validations[-1]
    assert 7 <= len(validations) <= 9
    assert max(rates) == pytest.approx(1.0, abs=0.01)
    assert rates[-1] < 1e-3
    # From the second measurement on, without the slow first update, the plan stays.
    assert all(abs(end - ends[-1]) < 0.02 * ends[-1] for end in ends[4:])


def test_a_machine_that_becomes_slower_ends_in_time() -> None:
    clock = Clock()
    planner = Planner(RunConfig(max_minutes=2, eval_every=50), World(), started=1000.0, now=clock)
    simulate(planner, clock, update_s=0.1, until=400)
    step, rates = 400, []
    while step < planner.plan.steps:
        step += 1
        plan = planner.plan
        rates.append(
            learning_rate(step, kind="cosine", peak=1.0, warmup_steps=50, max_steps=plan.steps)
        )
        clock.now += 0.4
        planner.updated(step)
        if planner.due(step):
            with planner.validation(step):
                clock.now += 3.0
    assert planner.elapsed_s <= 122
    assert rates[-1] < 0.01


def test_a_resumed_run_goes_on_with_the_time_that_is_left() -> None:
    clock = Clock()
    run = RunConfig(max_minutes=10, eval_every="auto")
    first = Planner(run, World(), started=1000.0, now=clock)
    ends, validations, _ = simulate(first, clock, update_s=0.5, until=400)
    state = first.state()
    assert state is not None and state["elapsed_s"] == pytest.approx(clock.now - 1000)
    clock.now += 5000  # killed, and forgotten for a while
    second = Planner(run, World(), started=clock.now - 20, now=clock)
    second.load_state(state)
    assert second.plan.steps == ends[-1]
    later, more, rates = simulate(second, clock, update_s=0.5, from_step=400)
    assert second.elapsed_s <= 600
    assert rates[0] < 0.9  # not that of an unplanned run
    # Twenty seconds of preparation and a slow update are fifty updates fewer.
    assert later[-1] == pytest.approx(ends[-1] - 50, abs=10)
    assert more[0] - validations[-1] == pytest.approx(validations[1] - validations[0], abs=20)


def test_steps_are_never_planned_anew() -> None:
    clock = Clock()
    planner = Planner(RunConfig(max_steps=20, eval_every=8), World(), started=0.0, now=clock)
    ends, validations, _ = simulate(planner, clock, update_s=100.0)
    assert set(ends) == {20}
    assert validations == [8, 16, 20]
    assert planner.state() is None
    assert planner.ends_at is None


def test_the_time_left_is_that_of_what_ends_the_run() -> None:
    clock = Clock()
    planner = Planner(RunConfig(max_minutes=2), World(), started=990.0, now=clock)
    planner.begin(0)
    clock.now += 1
    planner.updated(1)
    assert planner.ends_at == 990.0 + 120
    both = Planner(RunConfig(max_minutes=2, max_steps=5), World(), started=990.0, now=clock)
    both.begin(0)
    clock.now += 1
    both.updated(1)
    assert both.ends_at is None
