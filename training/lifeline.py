"""Lifeline: where a training that has gone astray goes back to."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from model.checkpoint import load_training_state
from model.run import LINKS
from training.guard import IN_A_ROW, MOST_ROLLBACKS
from training.trainer import Trainer


class Lifeline:
    """The last good state: that of a checkpoint, or of the beginning until there is one.

    A killed and resumed run finds the same one, because nothing of it is in memory alone.
    """

    def __init__(self, trainer: Trainer, run: Path) -> None:
        """`trainer` as it stands when the session begins."""
        self.trainer = trainer
        self.run = run
        self.beginning: dict[str, Tensor] = {}
        if not (run / "last").exists():
            self.beginning = {name: value.clone() for name, value in trainer.state()[0].items()}

    def saved(self) -> None:
        """There is a checkpoint now, so that the copy of the beginning is not needed."""
        self.beginning = {}

    def roll_back(self) -> str:
        """Bring the trainer back to the last good state; the line that says so.

        Raises:
            TrainingDiverged: see `Guard.roll_back`.
        """
        trainer, guard = self.trainer, self.trainer.guard
        steps, tensors = self._last_good()
        trainer.roll_back(tensors)
        return (
            f"step {trainer.steps:,}: {IN_A_ROW} updates in a row had no finite loss, or one far "
            f"above the median: back to the weights of step {steps:,}, learning rate x "
            f"{guard.rate_factor:g} from now on (return {guard.rollbacks} of {MOST_ROLLBACKS})"
        )

    def _last_good(self) -> tuple[int, Mapping[str, Tensor]]:
        if self.beginning:
            return 0, self.beginning
        # One that was saved in the middle of a bad stretch is no good; the best one always is.
        for link in reversed(LINKS):
            tensors, values = load_training_state(self.run / link)
            if values["trainer"]["guard"]["bad"] == 0:
                break
        return values["trainer"]["steps"], tensors
