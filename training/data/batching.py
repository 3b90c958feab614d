"""Batching: sentences of similar length together, a token budget, and few shapes.

Libraries prepare (and keep) a program for each new shape of a recurrent layer. So lengths are
rounded up to multiples of `LENGTH_MULTIPLE`, and a batch has a multiple of `ROW_MULTIPLE` rows,
whatever the data. What processes share out is filled up to a multiple of `PART_MULTIPLE` only:
filled up to 16, each half of 176 rows would carry 8 rows of nothing.
"""

# Shapes: N sentences, S source length, T target length, M real target pieces.

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.text.tokenizer import BOS_ID, EOS_ID, PAD_ID
from training.system.distributed import equal_part

LENGTH_MULTIPLE = 2
ROW_MULTIPLE = 16
PART_MULTIPLE = 4

Ids = NDArray[np.int32]


class Whole(NamedTuple):
    """Figures of a global batch of which a process holds only its own pairs."""

    lines: int
    first: int
    """Number of its pairs before those that are held."""
    source_tokens: int
    target_tokens: int
    target_weight: float


class Rows(NamedTuple):
    """Pairs of a batch before padding: ids without BOS and EOS."""

    sources: list[Ids]
    targets: list[Ids]
    weights: NDArray[np.float32]  # (N,) of each pair in the loss; 1 where none were given
    inputs: list[Ids]  # the targets as the decoder reads them: some words may be hidden from it
    whole: Whole | None = None  # None if these are all pairs of the batch

    @classmethod
    def unweighted(cls, sources: list[Ids], targets: list[Ids]) -> "Rows":
        """Make rows of weight 1 with no piece hidden."""
        return cls(sources, targets, np.ones(len(sources), np.float32), targets)

    @property
    def lines(self) -> int:
        """Number of pairs of the whole batch, as all these figures are."""
        return self.whole.lines if self.whole else len(self.sources)

    @property
    def source_tokens(self) -> int:
        """Number of source pieces, without EOS."""
        return self.whole.source_tokens if self.whole else sum(map(len, self.sources))

    @property
    def target_tokens(self) -> int:
        """Number of target pieces with EOS, which are those that are predicted."""
        if self.whole:
            return self.whole.target_tokens
        return sum(map(len, self.targets)) + len(self.targets)

    @property
    def target_weight(self) -> float:
        """Sum of the weights of the target pieces."""
        if self.whole:
            return self.whole.target_weight
        pieces = np.array([len(target) + 1 for target in self.targets], np.float64)
        return float(pieces @ self.weights)

    def only(self, places: NDArray[np.int64]) -> "Rows":
        """Select the pairs at `places`, in that order."""
        sources, targets, inputs = (
            [side[place] for place in places] for side in (self.sources, self.targets, self.inputs)
        )
        return Rows(sources, targets, self.weights[places], inputs)

    def part(self, number: int, count: int) -> "Rows":
        """Return slice `number` of `count` consecutive slices of nearly equal size.

        All slices together are all rows of the whole batch; this one's must be held here. One is
        empty only if there are fewer rows than slices.
        """
        whole, first = equal_part(self.lines, number, count), self.whole.first if self.whole else 0
        cut = slice(whole.start - first, whole.stop - first)
        return Rows(self.sources[cut], self.targets[cut], self.weights[cut], self.inputs[cut])

    def padded(self) -> "Batch":
        """Pad them to a batch."""
        return collate(self)


class Batch(NamedTuple):
    """Padded ids. Rows that only fill the shape have one source piece and no target piece."""

    src: Tensor  # (N, S) pieces + EOS
    src_lengths: Tensor  # (N,)
    tgt_in: Tensor  # (N, T) BOS + pieces
    real: Tensor  # (M,) flat positions in (N, T) that hold a target piece
    tgt_out: Tensor  # (M,) pieces + EOS at those positions
    weights: Tensor  # (M,) fp32, of each of them in the loss

    def to(self, device: torch.device) -> "Batch":
        """Copy the batch to `device`; a GPU does so while it still computes."""
        if device.type != "cuda":
            return Batch(*(x.to(device) for x in self))
        return Batch(*(x.pin_memory().to(device, non_blocking=True) for x in self))


def round_up(value: int, multiple: int) -> int:
    """The least multiple of `multiple` that is not below `value`."""
    return -(-value // multiple) * multiple


def plan_epoch(
    source_lengths: NDArray[np.int64],
    target_lengths: NDArray[np.int64],
    *,
    batch_tokens: int,
    generator: np.random.Generator,
) -> list[NDArray[np.int64]]:
    """Index arrays of one epoch's batches, in random order, each sentence exactly once.

    Sentences are sorted by padded target length, then padded source length, in random order among
    equals, so that companions differ between epochs. A batch holds as many as keep rows * (S + T),
    padding included, within `batch_tokens`, and at least one; rows that `collate` adds to fill a
    small batch's shape do not count.
    """
    target = -(-(target_lengths + 1) // LENGTH_MULTIPLE) * LENGTH_MULTIPLE
    source = -(-(source_lengths + 1) // LENGTH_MULTIPLE) * LENGTH_MULTIPLE
    order = np.lexsort((generator.random(len(source)), source, target))
    source, target = source[order], target[order]
    batches: list[NDArray[np.int64]] = []
    start = 0
    while start < len(order):
        # A batch cannot have more: it is as wide as its first row at least.
        most = slice(start, start + max(batch_tokens // int(source[start] + target[start]), 1))
        width = np.maximum.accumulate(source[most]) + np.maximum.accumulate(target[most])
        fitting = np.arange(1, len(width) + 1) * width <= batch_tokens
        rows = max(int(np.count_nonzero(fitting)), 1)
        if rows > ROW_MULTIPLE and start + rows < len(order):
            rows -= rows % ROW_MULTIPLE
        batches.append(order[start : start + rows])
        start += rows
    shuffled = generator.permutation(len(batches))
    return [batches[number] for number in shuffled]


def collate(pairs: Rows) -> Batch:
    """Pad these pairs to a batch; none give a batch of rows that only fill the shape."""
    sources, targets, pair_weights, inputs, _ = pairs
    rows = max(round_up(len(sources), PART_MULTIPLE), PART_MULTIPLE)
    size = round_up(max(map(len, sources), default=0) + 1, LENGTH_MULTIPLE)
    length = round_up(max(map(len, targets), default=0) + 1, LENGTH_MULTIPLE)
    src = np.full((rows, size), PAD_ID, dtype=np.int64)
    src[:, 0] = EOS_ID
    src_lengths = np.ones(rows, dtype=np.int64)
    tgt_in = np.full((rows, length), PAD_ID, dtype=np.int64)
    tgt_in[: len(targets), 0] = BOS_ID
    tgt_out = np.full((rows, length), PAD_ID, dtype=np.int64)
    source_lengths = _write(src, sources)
    src[np.arange(len(sources)), source_lengths] = EOS_ID
    src_lengths[: len(sources)] += source_lengths
    _write(tgt_in[:, 1:], inputs)
    target_lengths = _write(tgt_out, targets)
    tgt_out[np.arange(len(targets)), target_lengths] = EOS_ID
    weights = np.repeat(pair_weights, target_lengths + 1)
    flat = tgt_out.ravel()
    real = np.flatnonzero(flat != PAD_ID)
    return Batch(
        src=torch.from_numpy(src),
        src_lengths=torch.from_numpy(src_lengths),
        tgt_in=torch.from_numpy(tgt_in),
        real=torch.from_numpy(real),
        tgt_out=torch.from_numpy(flat[real]),
        weights=torch.from_numpy(weights),
    )


def _write(table: NDArray[np.int64], rows: Sequence[Ids]) -> NDArray[np.int64]:
    """Each row's ids into the beginning of that row of `table`; their lengths."""
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    if len(rows):
        starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
        places = np.arange(lengths.sum()) - starts
        table[np.repeat(np.arange(len(rows)), lengths), places] = np.concatenate(rows)
    return lengths
