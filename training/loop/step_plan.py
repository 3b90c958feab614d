"""Step plan: the last update of a run and its validations, by `run.max_steps` or `max_minutes`.

A run of so many minutes does not know how many updates it will make. They are planned from the time
that is left and the speed so far, again and again: the learning rate follows the plan, so that it
reaches its end when the time is up.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training.config.train_config import RunConfig

VALIDATIONS = 8
"""Validations of a run with `eval_every: auto`."""
VALIDATION_SHARE = 0.05
"""Most of the minutes that they may take together; there are fewer if they take longer."""
WARM_UP_SHARE = 6  # a run by minutes warms up for a sixth of its updates at the most
REVISION_SHARE = 20  # after a twentieth of the remaining updates they are planned anew
# The imports before the command has a clock, the report after the last save.
MARGIN_SHARE, MOST_MARGIN_S = 0.01, 5.0
UNPLANNED = 10**12  # updates, before the first one is measured


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """What was measured of a run by minutes, after update `step`."""

    step: int
    elapsed_s: float
    """Since the start of the command, and in earlier sessions of the run."""
    update_s: float
    validation_s: float
    """With the save that belongs to it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepPlan:
    """The last update of a run, and the rhythm of its validations."""

    most: int | None
    """`run.max_steps`."""
    by_time: int | None
    """The update at which the minutes are over; None for a run without, or before a measurement."""
    interval: int
    """Updates from one validation to the next."""
    timed: bool = False
    """Whether there are `run.max_minutes`."""

    @property
    def steps(self) -> int:
        """The last update."""
        return min(self.most or UNPLANNED, self.by_time or UNPLANNED)

    def warm_up(self, wanted: int) -> int:
        """Updates of warm-up: as many as `wanted`, but fewer if the minutes are few."""
        return min(wanted, self.steps // WARM_UP_SHARE) if self.timed else wanted


def fixed_plan(run: RunConfig) -> StepPlan:
    """Plan before anything is measured; for good, if there are no minutes."""
    interval = run.eval_every
    if interval == "auto":
        interval = -(-(run.max_steps or UNPLANNED) // VALIDATIONS)
    timed = run.max_minutes is not None
    return StepPlan(most=run.max_steps, by_time=None, interval=interval, timed=timed)


def timed_plan(run: RunConfig, measured: Measurement) -> StepPlan:
    """Plan as many updates as fit into the rest of `run.max_minutes`, validations included."""
    assert run.max_minutes is not None
    total = 60 * run.max_minutes
    left = total - min(MARGIN_SHARE * total, MOST_MARGIN_S) - measured.elapsed_s
    if run.eval_every == "auto":
        affordable = int(VALIDATION_SHARE * total / max(measured.validation_s, 1e-9))
        count = min(max(affordable, 1), VALIDATIONS)
        due = max(round(count * left / total), 1)
        updates = (left - due * measured.validation_s) / measured.update_s
    else:
        with_share = measured.update_s + measured.validation_s / run.eval_every
        updates = (left - measured.validation_s) / with_share
    by_time = measured.step + max(math.floor(updates), 0)
    last = min(by_time, run.max_steps or by_time)
    interval = -(-last // count) if run.eval_every == "auto" else run.eval_every
    return StepPlan(most=run.max_steps, by_time=by_time, interval=max(interval, 1), timed=True)


def planned_by_time(run: RunConfig, state: Mapping[str, Any] | None) -> int | None:
    """The update at which the minutes of a saved run are over, scaled to those of `run`.

    Args:
        state: that of the planner in the checkpoint; None if the run had no minutes.
    """
    if run.max_minutes is None or state is None:
        return None
    return int(min(state["by_time"] * run.max_minutes / state["minutes"], UNPLANNED))


def next_revision(plan: StepPlan, step: int, updates: int) -> int:
    """Choose the update after which to plan anew.

    Args:
        updates: those of this session, after `step`; the first ones are no good measure.
    """
    return step + max(min(updates, (plan.steps - step) // REVISION_SHARE), 1)
