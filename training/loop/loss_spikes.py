"""Loss spikes: which updates stand out from those before them.

A spike costs nothing but a line in the report; `divergence` decides whether training can go on.
"""

import math
import statistics
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from training.loop.divergence import FEWEST, WINDOW

# Of normally distributed losses one in a billion lies so many scaled MADs above the median. Those
# of batches are not quite normal (long sentences have another loss than short ones).
FACTOR = 6.0
TO_SIGMA = 1.4826  # a normal distribution's standard deviation in units of its MAD
LEAST = 0.5  # nats per piece above the median: less is no spike, however calm the losses were
HEAVY = 5.0  # a gradient whose norm is so many times optimizer.clip_norm is clipped heavily


class Spike(NamedTuple):
    """An update that stands out."""

    kind: Literal["not finite", "loss", "gradient"]
    usual: float
    """Median of what stands out, loss or norm; NaN if it was not finite."""
    excess: float
    """How many scaled MADs it is above that; infinite if it was not finite."""


class SpikeDetector:
    """Compares the loss and the gradient's norm of every update with those of the last ones."""

    def __init__(self, losses: Iterable[float], *, clip_norm: float) -> None:
        """Start with the `losses` of a resumed run."""
        self.losses = deque(losses, maxlen=WINDOW)
        self.norms: deque[float] = deque(maxlen=WINDOW)
        self.clip_norm = clip_norm

    def watch(self, nll: float, gradient_norm: float) -> Spike | None:
        """Compare an update with those before it, and remember it.

        Args:
            nll: nats per target piece.
            gradient_norm: before clipping.
        """
        if not (math.isfinite(nll) and math.isfinite(gradient_norm)):
            return Spike("not finite", math.nan, math.inf)
        spike = _above("loss", nll, self.losses, LEAST)
        if spike is None and gradient_norm > HEAVY * self.clip_norm:
            spike = _above("gradient", gradient_norm, self.norms, 0.0)
        self.losses.append(nll)
        self.norms.append(gradient_norm)
        return spike


def _above(
    kind: Literal["loss", "gradient"], value: float, others: Sequence[float], least: float
) -> Spike | None:
    """A spike if `value` is above the median by `FACTOR` scaled MADs and by `least`."""
    if len(others) < FEWEST:
        return None
    usual = statistics.median(others)
    if value <= usual + least:
        return None
    sigma = TO_SIGMA * statistics.median(abs(other - usual) for other in others)
    excess = (value - usual) / sigma if sigma else math.inf
    return Spike(kind, usual, excess) if excess > FACTOR else None
