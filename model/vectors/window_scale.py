"""Window scale: each source brought to mean 0 and standard deviation 1 by its own numbers.

Series of any level look alike then, also those that no training has seen. Nothing but the source
itself is known to it, so no later step can leak into it.
"""

# Shapes: S steps of a source, T steps of an output, C numbers in a source vector, W in an output.

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.vectors.frame_files import Frames

Floats = NDArray[np.float64]


class WindowScale(NamedTuple):
    """Mean and standard deviation (C,) of a source; the latter is 1 where all numbers are equal."""

    mean: Floats
    std: Floats

    @classmethod
    def of(cls, source: Frames) -> "WindowScale":
        """That of a source (S, C)."""
        wide = source.astype(np.float64)
        std = wide.std(axis=0)
        # What is constant differs from its mean by rounding alone.
        constant = std <= 1e-12 * np.abs(wide).max(axis=0)
        return cls(wide.mean(axis=0), np.where(constant, 1.0, std))

    def scaled(self, vectors: Frames, places: Sequence[int]) -> Frames:
        """(T, W) numbers that stand in `places` of the source, scaled."""
        rows = list(places)
        return ((vectors - self.mean[rows]) / self.std[rows]).astype(np.float32)

    def restored(self, vectors: Floats, places: Sequence[int]) -> Floats:
        """The inverse."""
        rows = list(places)
        restored: Floats = vectors * self.std[rows] + self.mean[rows]
        return restored
