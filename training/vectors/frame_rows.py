"""FrameRows: the pairs of a batch before padding, with vectors on at least one side."""

# Shapes: N pairs, S source length, W numbers in a source vector.

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.text.tokenizer import PAD_ID
from model.vectors.frame_files import Frames
from training.data.batching import LENGTH_MULTIPLE, Ids, round_up
from training.loop.gradient_accumulation import TrainingBatch
from training.system.distributed import equal_part

Target = TypeVar("Target", Frames, Ids)
SourceIds = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FrameRows(ABC, Generic[Target]):
    """What is read, normalised vectors or ids with EOS, and what is learned of each."""

    sources: Sequence[Frames | SourceIds]  # N of (S, W) or (S,)
    targets: list[Target]

    @property
    def lines(self) -> int:
        """Number of pairs."""
        return len(self.sources)

    @property
    def source_tokens(self) -> int:
        """Number of source vectors, or of ids with EOS."""
        return sum(map(len, self.sources))

    @property
    @abstractmethod
    def target_tokens(self) -> int:
        """Number of steps that are predicted."""

    @property
    def target_weight(self) -> float:
        """The same: each counts alike in the loss."""
        return float(self.target_tokens)

    def only(self, places: NDArray[np.int64]) -> Self:
        """Select the pairs at `places`, in that order."""
        sources, targets = [self.sources[p] for p in places], [self.targets[p] for p in places]
        return replace(self, sources=sources, targets=targets)

    def part(self, number: int, count: int) -> Self:
        """Return slice `number` of `count` consecutive slices of nearly equal size."""
        cut = equal_part(len(self.sources), number, count)
        return replace(self, sources=self.sources[cut], targets=self.targets[cut])

    def lengths(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Steps of each source and of each target."""
        sources, targets = ([len(one) for one in side] for side in (self.sources, self.targets))
        return np.array(sources, np.int64), np.array(targets, np.int64)

    @abstractmethod
    def padded(self) -> TrainingBatch:
        """Pad them to a batch."""


def stacked(sequences: Sequence[Frames | SourceIds], rows: int) -> tuple[Tensor, Tensor]:
    """The sequences, padded, in `rows` rows (N, S, W), or of ids (N, S); and their lengths (N,)."""
    size = round_up(max(map(len, sequences), default=1), LENGTH_MULTIPLE)
    first = sequences[0] if sequences else np.zeros((1, 1), np.float32)
    padded = np.full((rows, size, *first.shape[1:]), PAD_ID, first.dtype)  # of vectors the mean, 0
    lengths = np.zeros(rows, np.int64)
    for number, one in enumerate(sequences):
        padded[number, : len(one)] = one
        lengths[number] = len(one)
    return torch.from_numpy(padded), torch.from_numpy(lengths)
