"""Loss window: the mean loss of the updates since the last line of metrics.jsonl."""

import math


class LossWindow:
    """Adds up the losses of updates, each by the weight of its target pieces.

    So its means are what the loss is: nats per target piece, over all pieces of the window. It is
    part of a checkpoint, so that a resumed run logs the means that the whole one would have logged.
    """

    def __init__(self, log_every: int) -> None:
        """Start a window after every `log_every` updates."""
        self.log_every = log_every
        self.sums = (0.0, 0.0, 0.0)  # loss, nll and target weight

    def add(self, step: int, *, loss: float, nll: float, target_weight: float) -> None:
        """Count update `step` with its mean loss and nll, unless they are not finite."""
        if (step - 1) % self.log_every == 0:
            self.sums = (0.0, 0.0, 0.0)
        if math.isfinite(loss) and math.isfinite(nll):
            sums = (loss * target_weight, nll * target_weight, target_weight)
            self.sums = (
                self.sums[0] + sums[0],
                self.sums[1] + sums[1],
                self.sums[2] + sums[2],
            )

    @property
    def means(self) -> tuple[float, float]:
        """Mean loss and nll; NaN if no update of the window had finite ones."""
        loss, nll, weight = self.sums
        return (loss / weight, nll / weight) if weight else (math.nan, math.nan)
