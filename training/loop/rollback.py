"""Rollback: return a diverged training to its last good state."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from model.checkpoint.checkpoint import load_training_state
from model.checkpoint.run_directory import checkpoints_of
from training.loop.divergence import FEWEST, IN_A_ROW, MOST_ROLLBACKS
from training.loop.saved_values import load_values
from training.loop.trainer import AnyTrainer
from training.system.distributed import World


class Rollback:
    """Goes back to good checkpoints, or to the beginning until there is one.

    A killed and resumed run goes back to the same states, because none is in memory only: the
    beginning can be computed again.
    """

    def __init__(self, trainer: AnyTrainer[Any, Any], run: Path, world: World) -> None:
        """Copy the beginning, if needed: `trainer` must not have loaded a later state yet.

        Every process must call this, as well as `saved` and `roll_back`.
        """
        self.trainer = trainer
        self.run = run
        self.world = world
        self.beginning: dict[str, Tensor] = {}
        if not self._good():
            self.beginning = {name: value.clone() for name, value in trainer.state()[0].items()}

    def saved(self) -> None:
        """Drop the copy of the beginning if there is a good checkpoint now."""
        if self.beginning and self._good():
            self.beginning = {}

    def roll_back(self) -> str:
        """Return the trainer to its last good state; the result is a line for the log.

        A rollback that did not help is followed by one to the good state before, if any.

        Raises:
            TrainingDiverged: see `DivergenceMonitor.roll_back`.
        """
        trainer, monitor = self.trainer, self.trainer.divergence
        if self.beginning:
            steps, tensors, good = 0, self.beginning, []
        else:
            names = self._good()
            name = names[min(monitor.in_vain, len(names) - 1)]
            tensors, values = load_training_state(self.run / "checkpoints" / name)
            steps, good = values["trainer"]["steps"], _monitor_state(values)["good"]
        if len(good) < FEWEST:  # so early the loss is that of guessing
            good = [math.log(trainer.config.model.vocab_size)] * FEWEST
        trainer.roll_back(tensors, good)
        return (
            f"step {trainer.steps:,}: {IN_A_ROW} updates in a row had no finite loss, or one far "
            f"above the median: back to the weights of step {steps:,}, learning rate x "
            f"{monitor.rate_factor:g} from now on (return {monitor.rollbacks} of {MOST_ROLLBACKS})"
        )

    def _good(self) -> list[str]:
        """Names of the good checkpoints that the first process finds, latest first."""
        return self.world.shared(lambda: [path.name for path in good_checkpoints(self.run)])


def good_checkpoints(run: Path) -> Iterator[Path]:
    """Yield the checkpoints of `run` up to `last` whose last update was good, latest first."""
    if not (run / "last").exists():
        return
    last = load_values(run)["trainer"]["steps"]
    for path in reversed(checkpoints_of(run)):
        if (path / "training_state").exists():  # may have been deleted, if no resume is planned
            values = load_values(path)
            monitor = _monitor_state(values)
            # A kill may have left a later one, which `last` does not point to yet.
            known = values["trainer"]["steps"] <= last
            if known and not monitor["bad"] and not monitor.get("in_vain"):
                yield path


def _monitor_state(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """State of the divergence monitor in a checkpoint; older ones have none."""
    state: Mapping[str, Any] = values["trainer"].get("guard", {"good": [], "bad": 0})
    return state
