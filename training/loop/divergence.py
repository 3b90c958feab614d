"""Divergence: tell a training that has diverged from one that met a few bad batches."""

import math
import statistics
from collections import deque
from collections.abc import Sequence
from typing import TypedDict

from model.errors import DragomanError

WINDOW = 200  # good losses that a new one is compared with
FEWEST = 20  # with fewer losses, only one that is not finite counts as bad
# A bad loss is above 1.5 * median + 1 nats per piece. Batches of a healthy training differ less,
# and a network that has forgotten everything is back at log V, which is 9 for 8,000 pieces.
FACTOR, MARGIN = 1.5, 1.0
IN_A_ROW = 10
MOST_ROLLBACKS = 3


class TrainingDiverged(DragomanError):
    """The loss got out of hand again and again."""


class DivergenceState(TypedDict):
    """State of a `DivergenceMonitor` in a checkpoint."""

    good: list[float]
    bad: int
    rollbacks: int
    in_vain: int
    learning_rate: float


class DivergenceMonitor:
    """Watches the loss of every update, and counts rollbacks."""

    def __init__(self, learning_rate: float) -> None:
        """Start with no losses; `learning_rate` is the configured one, see `load_state`."""
        self.learning_rate = learning_rate
        self.good: deque[float] = deque(maxlen=WINDOW)
        self.bad = 0  # bad updates in a row
        self.rollbacks = 0
        self.in_vain = 0  # rollbacks since the last good update

    def watch(self, nll: float) -> None:
        """Count an update by its loss in nats per target piece; NaN if it was skipped."""
        if math.isfinite(nll) and nll <= self.limit:
            self.good.append(nll)
            self.bad = self.in_vain = 0
        else:
            self.bad += 1

    @property
    def limit(self) -> float:
        """The highest loss that is still good."""
        if len(self.good) < FEWEST:
            return math.inf
        return FACTOR * statistics.median(self.good) + MARGIN

    @property
    def diverged(self) -> bool:
        """Whether `IN_A_ROW` updates were bad, so that the weights cannot be trusted."""
        return self.bad >= IN_A_ROW

    @property
    def rate_factor(self) -> float:
        """Factor of the learning rate: halved by every rollback."""
        return float(0.5**self.rollbacks)

    def roll_back(self, step: int, good: Sequence[float]) -> None:
        """Count a rollback after update `step`; next losses are compared with those of `good`.

        Raises:
            TrainingDiverged: there were `MOST_ROLLBACKS` before.
        """
        if self.rollbacks == MOST_ROLLBACKS:
            raise TrainingDiverged(
                f"the loss was not finite, or far above its median, in {IN_A_ROW} updates in a row "
                f"up to step {step}, after {MOST_ROLLBACKS} returns to a good state, each with "
                "half the learning rate. Try a lower optimizer.learning_rate or "
                "optimizer.clip_norm, more optimizer.warmup_steps or run.precision=fp32, and go on "
                "from the last checkpoint with --resume."
            )
        self.rollbacks += 1
        self.in_vain += 1
        self.bad = 0
        self.good = deque(good, maxlen=WINDOW)

    def state(self) -> DivergenceState:
        """Return everything that `load_state` needs, for a checkpoint."""
        return {
            "good": list(self.good),
            "bad": self.bad,
            "rollbacks": self.rollbacks,
            "in_vain": self.in_vain,
            "learning_rate": self.learning_rate,
        }

    def load_state(self, state: DivergenceState) -> None:
        """Continue from what `state` returned; another learning rate starts unhalved."""
        self.good = deque(state["good"], maxlen=WINDOW)
        self.bad = state["bad"]
        if state["learning_rate"] == self.learning_rate:
            self.rollbacks = state["rollbacks"]
            self.in_vain = state.get("in_vain", 0)  # older checkpoints have none
