"""Batches of vectors: normalised sequences, padded with zeros, which are the mean."""

# Shapes: N pairs, S source length, T target length, W and V numbers in a source and target vector.

from typing import NamedTuple

import torch
from torch import Tensor

from model.vectors.frame_files import Frames
from training.data.batching import PART_MULTIPLE, round_up
from training.vectors.frame_rows import FrameRows, stacked


class VectorBatch(NamedTuple):
    """Padded vectors. Rows that only fill the shape have one source vector and no target."""

    src: Tensor  # (N, S, W), or ids (N, S) with EOS
    src_lengths: Tensor  # (N,)
    tgt_in: Tensor  # (N, T, V) zeros, then all targets but the last
    tgt_out: Tensor  # (N, T, V)
    real: Tensor  # (N, T) bool

    def to(self, device: torch.device) -> "VectorBatch":
        """Copy the batch to `device`."""
        return VectorBatch(*(x.to(device) for x in self))


class VectorRows(FrameRows[Frames]):
    """Pairs of a batch before padding whose targets are vectors, (T, V) each."""

    @property
    def target_tokens(self) -> int:
        """Number of target vectors."""
        return sum(map(len, self.targets))

    def padded(self) -> VectorBatch:
        """Pad them to a batch whose shape is one of few, as for pieces."""
        rows = max(round_up(len(self.sources), PART_MULTIPLE), PART_MULTIPLE)
        src, src_lengths = stacked(self.sources, rows)
        tgt_out, lengths = stacked(self.targets, rows)
        tgt_in = torch.zeros_like(tgt_out)
        tgt_in[:, 1:] = tgt_out[:, :-1]
        return VectorBatch(
            src=src,
            src_lengths=src_lengths.clamp(min=1),
            tgt_in=tgt_in,
            tgt_out=tgt_out,
            real=torch.arange(tgt_out.shape[1]) < lengths.unsqueeze(1),
        )
