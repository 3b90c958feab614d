"""Rollback: where a training that has gone astray goes back to."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from model.checkpoint.checkpoint import load_training_meta, load_training_state
from model.checkpoint.run_directory import checkpoints_of
from training.loop.divergence import FEWEST, IN_A_ROW, MOST_ROLLBACKS
from training.loop.trainer import Trainer
from training.system.distributed import World


class Rollback:
    """The good states: those of checkpoints, and the beginning until there is one.

    A killed and resumed run finds the same ones, because nothing of them is in memory alone.
    """

    def __init__(self, trainer: Trainer, run: Path, world: World) -> None:
        """`trainer` as the run began, also if it is about to load a later state.

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
        """Bring the trainer back to the last good state; the line that says so.

        If it was no better there, back to the good state before that one, as far as there is one.

        Raises:
            TrainingDiverged: see `Guard.roll_back`.
        """
        trainer, guard = self.trainer, self.trainer.guard
        if self.beginning:
            steps, tensors, good = 0, self.beginning, []
        else:
            names = self._good()
            name = names[min(guard.in_vain, len(names) - 1)]
            tensors, values = load_training_state(self.run / "checkpoints" / name)
            steps, good = values["trainer"]["steps"], _guard(values)["good"]
        if len(good) < FEWEST:  # so early the loss is that of guessing
            good = [math.log(trainer.config.model.vocab_size)] * FEWEST
        trainer.roll_back(tensors, good)
        return (
            f"step {trainer.steps:,}: {IN_A_ROW} updates in a row had no finite loss, or one far "
            f"above the median: back to the weights of step {steps:,}, learning rate x "
            f"{guard.rate_factor:g} from now on (return {guard.rollbacks} of {MOST_ROLLBACKS})"
        )

    def _good(self) -> list[str]:
        """The names of the good checkpoints, latest first: as the first process finds them."""
        return self.world.shared(lambda: [path.name for path in good_checkpoints(self.run)])


def good_checkpoints(run: Path) -> Iterator[Path]:
    """The checkpoints of `run` up to `last` whose last update was good, latest first."""
    if not (run / "last").exists():
        return
    last = load_training_meta(run)["trainer"]["steps"]
    for path in reversed(checkpoints_of(run)):
        if (path / "training_state").exists():  # who only translates deletes it
            values = load_training_meta(path)
            guard = _guard(values)
            # A kill may have left a later one, which `last` does not point to yet.
            known = values["trainer"]["steps"] <= last
            if known and not guard["bad"] and not guard.get("in_vain"):
                yield path


def _guard(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The guard of a checkpoint's values; older ones have none."""
    guard: Mapping[str, Any] = values["trainer"].get("guard", {"good": [], "bad": 0})
    return guard
