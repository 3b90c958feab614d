"""Batches of vectors: normalised sequences, padded with zeros, which are the mean."""

# Shapes: N pairs, S source length, T target length, W and V numbers in a source and target vector.

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.vectors.frame_files import Frames
from training.data.batching import LENGTH_MULTIPLE, PART_MULTIPLE, round_up


class VectorBatch(NamedTuple):
    """Padded vectors. Rows that only fill the shape have one source vector and no target."""

    src: Tensor  # (N, S, W)
    src_lengths: Tensor  # (N,)
    tgt_in: Tensor  # (N, T, V) zeros, then all targets but the last
    tgt_out: Tensor  # (N, T, V)
    real: Tensor  # (N, T) bool

    def to(self, device: torch.device) -> "VectorBatch":
        """Copy the batch to `device`."""
        return VectorBatch(*(x.to(device) for x in self))


class VectorRows(NamedTuple):
    """Pairs of a batch before padding."""

    sources: list[Frames]  # N of (S, W)
    targets: list[Frames]  # N of (T, V)

    @property
    def source_tokens(self) -> int:
        """Number of source vectors."""
        return sum(map(len, self.sources))

    @property
    def target_tokens(self) -> int:
        """Number of target vectors."""
        return sum(map(len, self.targets))

    @property
    def target_weight(self) -> float:
        """The same: each counts alike in the loss."""
        return float(self.target_tokens)

    def only(self, places: NDArray[np.int64]) -> "VectorRows":
        """Select the pairs at `places`, in that order."""
        return VectorRows([self.sources[p] for p in places], [self.targets[p] for p in places])

    def part(self, number: int, count: int) -> "VectorRows":
        """Return slice `number` of `count` consecutive slices of nearly equal size."""
        total = len(self.sources)
        cut = slice(number * total // count, (number + 1) * total // count)
        return VectorRows(self.sources[cut], self.targets[cut])

    def lengths(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Vectors of each source and of each target."""
        sources, targets = ([len(one) for one in side] for side in self)
        return np.array(sources, np.int64), np.array(targets, np.int64)

    def padded(self) -> VectorBatch:
        """Pad them to a batch whose shape is one of few, as for pieces."""
        rows = max(round_up(len(self.sources), PART_MULTIPLE), PART_MULTIPLE)
        src, src_lengths = _stacked(self.sources, rows)
        tgt_out, lengths = _stacked(self.targets, rows)
        tgt_in = torch.zeros_like(tgt_out)
        tgt_in[:, 1:] = tgt_out[:, :-1]
        return VectorBatch(
            src=src,
            src_lengths=src_lengths.clamp(min=1),
            tgt_in=tgt_in,
            tgt_out=tgt_out,
            real=torch.arange(tgt_out.shape[1]) < lengths.unsqueeze(1),
        )


def _stacked(sequences: list[Frames], rows: int) -> tuple[Tensor, Tensor]:
    """The sequences, padded, in `rows` rows (N, S, W); and their lengths (N,)."""
    size = round_up(max(map(len, sequences), default=1), LENGTH_MULTIPLE)
    width = sequences[0].shape[1] if sequences else 1
    stacked = np.zeros((rows, size, width), np.float32)
    lengths = np.zeros(rows, np.int64)
    for number, one in enumerate(sequences):
        stacked[number, : len(one)] = one
        lengths[number] = len(one)
    return torch.from_numpy(stacked), torch.from_numpy(lengths)
