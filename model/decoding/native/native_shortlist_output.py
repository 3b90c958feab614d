"""NativeShortlistOutput: the output layer where each sentence has its own shortlist of pieces.

The weights of a sentence's list are copied when it takes its slot. The sums are those of the whole
output layer, to the bit, so a sentence depends on no other.
"""

# Shapes: N slots, R rows, C columns of the widest list, B blocks of it, I inputs, V vocabulary.

import numpy as np
from numpy.typing import NDArray

from model.decoding.lexical_shortlist import Shortlist
from model.decoding.native.compiled import kernel
from model.decoding.native.network import NativeNetwork
from model.decoding.native.product import Bytes, Floats, Ints, multiply
from model.decoding.native.vector import BLOCK
from model.decoding.request import Request

FIRST_WIDTH = 512


@kernel
def pick(columns: Ints, ids: NDArray[np.int64], blocks: int, out: Ints) -> None:
    """out (B, I/4, BLOCK) = the columns `ids` of `columns` (I/4, V); the last ones fill it up."""
    for b in range(blocks):
        for i in range(columns.shape[0]):
            for j in range(BLOCK):
                out[b, i, j] = columns[i, ids[b * BLOCK + j]]


@kernel
def list_logits(
    first: int,
    count: int,
    row: Ints,
    offset: int,
    x: Bytes,
    blocks: Ints,
    weight: Ints,
    correction: Ints,
    scale: Floats,
    bias: Floats,
    out: Floats,
) -> None:
    """Logits of the sentences `first` to `first + count`, row r in row `r - offset` of `out`.

    `row` (count, K) has the rows of their hypotheses, -1 where there is none; `x` (R, I);
    `blocks` (N,) how many each list has; the rest (N, B, ...) are the lists.
    """
    for n in range(count):
        rows = 0
        start = -1
        for k in range(row.shape[1]):
            if row[n, k] >= 0:
                if start < 0:
                    start = row[n, k]
                rows += 1
        slot, used = first + n, blocks[first + n]
        if rows:
            to = start - offset
            multiply(
                x[start : start + rows],
                rows,
                weight[slot, :used],
                correction[slot],
                scale[slot],
                bias[slot],
                out[to : to + rows],
            )


class NativeShortlistOutput:
    """Each slot's list, in buffers as wide as the longest so far."""

    def __init__(self, network: NativeNetwork, shortlist: Shortlist, slots: int) -> None:
        self._output = network.output
        self._shortlist = shortlist
        self._slots = slots
        self._widest = network.config.vocab_size
        self._blocks = np.zeros(slots, np.int32)
        self._make(FIRST_WIDTH)

    def _make(self, width: int) -> None:
        slots, length = self._slots, len(self._output.columns)
        self.ids = np.zeros((slots, width), np.int64)
        """(N, C) the pieces of each list, ascending, EOS first."""
        self._weight = np.zeros((slots, width // BLOCK, length, BLOCK), np.int32)
        self._correction = np.zeros((slots, width), np.int32)
        self._scale = np.zeros((slots, width), np.float32)
        self._bias = np.zeros((slots, width), np.float32)
        self._logits = np.zeros((0, width), np.float32)

    def admit(self, slot: int, request: Request) -> int:
        """Make the list of `slot` that of a new sentence, with the pieces that it demands.

        Returns:
            The number of its pieces.
        """
        demanded = [*request.prefix, *(id for phrase in request.constraints for id in phrase)]
        ids = self._shortlist.of(request.src)
        if demanded:
            ids = np.union1d(ids, np.array(demanded, dtype=np.int64))
        blocks = -(-len(ids) // BLOCK)
        if blocks * BLOCK > self.ids.shape[1]:
            self._widen(2 * blocks * BLOCK)
        filled = np.full(blocks * BLOCK, ids[-1])
        filled[: len(ids)] = ids
        self._blocks[slot] = blocks
        self.ids[slot, : len(filled)] = filled
        pick(self._output.columns, filled, blocks, self._weight[slot])
        for held, all_ in (
            (self._correction, self._output.correction),
            (self._scale, self._output.scale),
            (self._bias, self._output.bias),
        ):
            held[slot, : len(filled)] = all_[filled]
        return len(ids)

    def move(self, source: int, target: int) -> None:
        """Move the list of slot `source` to slot `target`."""
        self._blocks[target] = self._blocks[source]
        for held in (self.ids, self._weight, self._correction, self._scale, self._bias):
            held[target] = held[source]

    def logits(self, first: int, count: int, row: Ints, offset: int, features: Bytes) -> Floats:
        """Of the sentences `first` to `first + count`; see `list_logits`."""
        if len(self._logits) < row.size:
            self._logits = np.zeros((row.size, self.ids.shape[1]), np.float32)
        list_logits(
            first,
            count,
            row,
            offset,
            features,
            self._blocks,
            self._weight,
            self._correction,
            self._scale,
            self._bias,
            self._logits,
        )
        return self._logits

    def name(self, count: int, column: NDArray[np.int64]) -> None:
        """Put pieces in the place of columns (N, K), for the first `count` sentences."""
        column[:count] = np.take_along_axis(self.ids[:count], column[:count], axis=1)

    def _widen(self, width: int) -> None:
        ids, weight, old = self.ids, self._weight, self.ids.shape[1]
        others = (self._correction, self._scale, self._bias)
        self._make(width)
        self.ids[:, :old] = ids
        self._weight[:, : weight.shape[1]] = weight
        self._correction[:, :old], self._scale[:, :old], self._bias[:, :old] = others
