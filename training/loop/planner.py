"""Planner: the clock of a run, and its step plan, which is the same in all processes."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypedDict

from training.config.train_config import RunConfig
from training.loop.step_plan import (
    Measurement,
    StepPlan,
    fixed_plan,
    next_revision,
    planned_by_time,
    timed_plan,
)
from training.system.distributed import World

REHEARSED_SHARE = 0.02
"""Most of the minutes that a validation is taken to need until one is measured: an untrained
network translates everything to the greatest length."""
RESUMED = 4  # updates of a resumed run before it is planned anew


class PlanState(TypedDict):
    """State of a `Planner` in a checkpoint, if the run has `max_minutes`."""

    by_time: int
    minutes: float
    elapsed_s: float
    last_validation: int


class Planner:
    """Plans a run by minutes, from the speed of its first process; that by steps stays as it is."""

    def __init__(
        self,
        run: RunConfig,
        world: World,
        *,
        started: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start at `started`, a time of the clock `now`; see `load_state` and `begin`."""
        self.run = run
        self.world = world
        self.plan = fixed_plan(run)
        self.last_validation = 0
        self._now = now
        self._started = started
        self._validation_s = 0.0
        self._revision = 0
        self._begun_at = 0  # step of the first mark
        self._mark_step, self._mark_s = 0, now()
        self._paused_s = 0.0

    def begin(self, step: int) -> None:
        """Begin to measure updates, the first of which is the one after `step`."""
        self._begun_at = step
        self._mark(step)
        # The first updates of a process prepare much: what was planned before is better.
        self._revision = step + (1 if self.plan.by_time is None else RESUMED)

    def rehearsed(self, seconds: float) -> None:
        """Take `seconds` as an upper bound of a validation."""
        if self.run.max_minutes is not None:
            self._validation_s = min(seconds, REHEARSED_SHARE * 60 * self.run.max_minutes)

    def measured(self, seconds: float) -> None:
        """Take `seconds` as what a validation needs."""
        self._validation_s = seconds

    def updated(self, step: int) -> StepPlan:
        """Count update number `step`; return the plan, perhaps a new one.

        Every process must call this.
        """
        if self.run.max_minutes is None:
            return self.plan
        updates = step - self._begun_at
        if step >= self._revision:
            self.plan = self.world.shared(lambda: timed_plan(self.run, self._measurement(step)))
            self._revision = next_revision(self.plan, step, updates)
        if updates == 1:
            self._mark(step)
        return self.plan

    def due(self, step: int) -> bool:
        """Whether to validate after update `step`."""
        plan = self.plan
        if step >= plan.steps:
            return True
        if self.run.max_minutes is None or self.run.eval_every != "auto":
            return step % plan.interval == 0
        # The interval changes with the plan; the last one may be longer, but not much shorter.
        since, left = step - self.last_validation, plan.steps - step
        return since >= plan.interval and 2 * left >= plan.interval

    @contextmanager
    def validation(self, step: int) -> Iterator[None]:
        """Time the validation after update `step`, with its save; every process must call this."""
        self.last_validation = step
        began = self._now()
        yield
        seconds = self._validation_s = self._now() - began
        self._paused_s += seconds
        self._revision = step + 1

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start of the run, without those between its sessions."""
        return self._now() - self._started

    @property
    def ends_at(self) -> float | None:
        """When the minutes are over, by the clock; None if the updates end first."""
        if self.run.max_minutes is None or self.plan.by_time != self.plan.steps:
            return None
        return self._started + 60 * self.run.max_minutes

    def state(self) -> PlanState | None:
        """Return everything that `load_state` needs; None for a run by steps."""
        if self.run.max_minutes is None:
            return None
        assert self.plan.by_time is not None, "planned after the first update"
        return PlanState(
            by_time=self.plan.by_time,
            minutes=self.run.max_minutes,
            elapsed_s=self.elapsed_s,
            last_validation=self.last_validation,
        )

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned, perhaps with other `run.max_minutes`."""
        self._started -= state["elapsed_s"]
        self.last_validation = int(state["last_validation"])
        self.plan = replace(self.plan, by_time=planned_by_time(self.run, state))

    def _mark(self, step: int) -> None:
        """Measure from here on."""
        self._mark_step, self._mark_s, self._paused_s = step, self._now(), 0.0

    def _measurement(self, step: int) -> Measurement:
        updates = max(step - self._mark_step, 1)
        return Measurement(
            step=step,
            elapsed_s=self.elapsed_s,
            update_s=(self._now() - self._mark_s - self._paused_s) / updates,
            validation_s=self._validation_s,
        )
