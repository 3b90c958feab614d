"""Saved values: the numbers of a training state, checked as they are read.

A run may come from a stranger, and its numbers count loops and index data.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from model.checkpoint.checkpoint import load_training_meta
from model.config import from_dict
from model.errors import CheckpointError, ConfigError
from model.text.printable import shortened
from training.config.train_config import MOST_MINUTES
from training.loop.divergence import MOST_ROLLBACKS, WINDOW

MOST = 10**12
"""The most updates, epochs, windows and batches that a run can have had."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MonitorValues:
    """State of a `DivergenceMonitor`."""

    good: tuple[float, ...]
    bad: int
    rollbacks: int
    in_vain: int = 0
    learning_rate: float

    def __post_init__(self) -> None:
        if len(self.good) > WINDOW or not all(map(math.isfinite, self.good)):
            raise ConfigError(f"trainer.guard.good: not {WINDOW} or fewer finite numbers.")
        _check_number("trainer.guard.bad", self.bad, MOST)
        _check_number("trainer.guard.rollbacks", self.rollbacks, MOST_ROLLBACKS)
        _check_number("trainer.guard.in_vain", self.in_vain, MOST_ROLLBACKS)


def _no_monitor() -> MonitorValues:
    """Stand for the state that older checkpoints lack; none may have null in its place."""
    return MonitorValues(good=(), bad=0, rollbacks=0, learning_rate=0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainerValues:
    """The values of `Trainer.state`."""

    steps: int
    position: tuple[int, ...]
    skipped: int
    guard: MonitorValues = field(default_factory=_no_monitor)
    window: tuple[float, ...] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        _check_number("trainer.steps", self.steps, MOST)
        _check_number("trainer.skipped", self.skipped, MOST)
        if len(self.position) != 3:
            raise ConfigError("trainer.position: not epoch, window and batches.")
        for number in self.position:
            _check_number("trainer.position", number, MOST)
        if len(self.window) != 3 or not all(map(math.isfinite, self.window)):
            raise ConfigError("trainer.window: not three finite numbers.")


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanValues:
    """State of a `Planner`."""

    by_time: int
    minutes: float
    elapsed_s: float
    last_validation: int

    def __post_init__(self) -> None:
        _check_number("plan.by_time", self.by_time, MOST)
        _check_number("plan.last_validation", self.last_validation, MOST)
        if not 0 < self.minutes <= MOST_MINUTES:
            raise ConfigError(f"plan.minutes: {self.minutes} is not above 0 to {MOST_MINUTES}.")
        if not 0 <= self.elapsed_s < math.inf:
            raise ConfigError(f"plan.elapsed_s: {self.elapsed_s} is no time.")


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedValues:
    """All values of a training state; older checkpoints lack those that have a default."""

    trainer: TrainerValues
    best_score: float | None
    without_better: int
    data_digest: str = ""
    dev_digest: str = ""
    old_dev_digest: str = ""
    teacher_digest: str = ""
    precision: Literal["fp32", "bf16"] = "fp32"
    plan: PlanValues | None = None
    """Of a run by minutes."""

    def __post_init__(self) -> None:
        _check_number("without_better", self.without_better, MOST)


def load_values(path: Path) -> dict[str, Any]:
    """Load the values of the training state of a checkpoint, or of a run's last one.

    Raises:
        CheckpointError: there is none, it is damaged, or a value is one that training never saves.
    """
    values = load_training_meta(path)
    check_values(values, path)
    return values


def check_values(values: Mapping[str, Any], path: Path) -> None:
    """Check the values of the training state that was loaded from `path`.

    Raises:
        CheckpointError: a value is one that training never saves.
    """
    try:
        from_dict(SavedValues, values)
    except ConfigError as error:
        raise CheckpointError(
            f"{path}: training_state/state.json: {error} Go on from another checkpoint."
        ) from error


def _check_number(name: str, value: int, most: int) -> None:
    if not 0 <= value <= most:
        raise ConfigError(f"{name}: {shortened(str(value), 20)} is not in 0 to {most}.")
