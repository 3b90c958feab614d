"""VectorTarget: the output of a network that writes vectors, in the unit of the data."""

# Shapes: S source vectors, T output vectors, W numbers in a vector.

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from model.network.seq2seq import Seq2Seq
from model.vectors.frame_files import Frames
from model.vectors.vector_form import VectorForm
from model.vectors.window_scale import WindowScale

Read = Frames | tuple[int, ...]
"""A source as it was read: vectors, or the ids of a line."""


class VectorTarget:
    """Undoes what was done to the numbers that the network has learned from."""

    def __init__(self, network: Seq2Seq, form: VectorForm) -> None:
        assert network.target_statistics is not None, "a network that writes vectors"
        self._statistics, self._form = network.target_statistics, form

    def scaled(self, source: Read) -> Read:
        """The source (S, W) as the network reads it: each window by itself, if it learned so."""
        if not self._form.scaled_by:
            return source
        assert isinstance(source, np.ndarray), "a window of a series"
        return WindowScale.of(source).scaled(source, range(source.shape[1]))

    def restored(self, vectors: Tensor, source: Read) -> NDArray[np.float64]:
        """The output (T, W) in the unit of the data, from that of the network for this source.

        It may be infinite or NaN, which callers tell of.
        """
        restored: NDArray[np.float64] = self._statistics.restored(vectors).numpy()
        if self._form.differences:
            with np.errstate(invalid="ignore"):  # the sum of infinities is NaN
                restored = restored.cumsum(axis=0)
        if self._form.scaled_by:
            assert isinstance(source, np.ndarray), "a window of a series"
            restored = WindowScale.of(source).restored(restored, self._form.scaled_by)
        return restored
