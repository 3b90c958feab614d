"""NativeShortlistOutput: the output layer for sentences that each have their own shortlist.

The weights of a sentence's list are copied when the sentence takes its slot. Every logit is that of
the whole output layer, to the bit, so no sentence depends on the others.
"""

# Shapes: N slots, K hypotheses, R rows, C columns of the widest list, B blocks of it, I inputs,
# V vocabulary.

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.decoding.lexical_shortlist import Shortlist
from model.decoding.native.compiled import bound, kernel
from model.decoding.native.network import NativeNetwork
from model.decoding.native.product import Bytes, Floats, Int8Weights, Ints, multiply
from model.decoding.native.vector import BLOCK
from model.decoding.request import Request
from model.text.tokenizer import EOS_ID

FIRST_WIDTH = 512


@kernel
def pick(columns: Ints, ids: NDArray[np.int64], blocks: int, out: Ints) -> None:
    """Copy the columns `ids` of `columns` to `out`.

    Args:
        columns: (I/4, V), see `Int8Product`.
        ids: (blocks * BLOCK,).
        out: (B, I/4, BLOCK), the first `blocks` blocks are written.
    """
    for b in range(blocks):
        for i in range(columns.shape[0]):
            for j in range(BLOCK):
                out[b, i, j] = columns[i, ids[b * BLOCK + j]]


class ListWeights(NamedTuple):
    """The weights of all lists; see `Int8Weights`."""

    blocks: Ints
    """(N,) how many blocks each list has."""
    weight: Ints
    """(N, B, I/4, BLOCK)"""
    correction: Ints
    """(N, C)"""
    scale: Floats
    """(N, C)"""
    bias: Floats
    """(N, C)"""


@kernel
def list_logits(
    first: int, count: int, row: Ints, offset: int, x: Bytes, lists: ListWeights, out: Floats
) -> None:
    """Compute the logits of the sentences `first` to `first + count`.

    Args:
        row: (count, K) the rows of their hypotheses, -1 where there is none.
        x: (R, I) features.
        out: (R, C); row `r - offset` gets the logits of row r.
    """
    for n in range(count):
        rows = 0
        start = -1
        for k in range(row.shape[1]):
            if row[n, k] >= 0:
                if start < 0:
                    start = row[n, k]
                rows += 1
        slot = first + n
        if rows:
            to = start - offset
            weights = Int8Weights(
                lists.weight[slot, : lists.blocks[slot]],
                lists.correction[slot],
                lists.scale[slot],
                lists.bias[slot],
            )
            multiply(x[start : start + rows], rows, weights, out[to : to + rows])


class NativeShortlistOutput:
    """Holds the list of each slot, in buffers as wide as the longest list so far."""

    def __init__(self, network: NativeNetwork, shortlist: Shortlist, slots: int) -> None:
        self._output = network.output
        self._shortlist = shortlist
        self._slots = slots
        self._gate_column = network.config.vocab_size
        self._copies = network.copies
        self._make(FIRST_WIDTH)
        row, x = np.zeros((1, 1), np.int32), np.zeros((1, network.features), np.uint8)
        self._list_logits = bound(list_logits, 0, 0, row, 0, x, self._lists, self._logits)

    def _make(self, width: int) -> None:
        slots, length = self._slots, len(self._output.columns)
        self.ids = np.zeros((slots, width), np.int64)
        """(N, C) the pieces of each list in ascending order, EOS first."""
        self._lists = ListWeights(
            blocks=np.zeros(slots, np.int32),
            weight=np.zeros((slots, width // BLOCK, length, BLOCK), np.int32),
            correction=np.zeros((slots, width), np.int32),
            scale=np.zeros((slots, width), np.float32),
            bias=np.zeros((slots, width), np.float32),
        )
        self._logits = np.zeros((0, width), np.float32)

    def admit(self, slot: int, request: Request) -> int:
        """Give `slot` the list of a new sentence, including the pieces that it demands.

        Returns:
            The number of pieces in it. If the network copies, the column of its gate follows.
        """
        demanded = [*request.prefix, *(id for phrase in request.constraints for id in phrase)]
        ids = self._shortlist.of(request.src)
        if demanded:
            ids = np.union1d(ids, np.array(demanded, dtype=np.int64))
        blocks = -(-(len(ids) + self._copies) // BLOCK)
        if blocks * BLOCK > self.ids.shape[1]:
            self._widen(2 * blocks * BLOCK)
        filled = np.full(blocks * BLOCK, ids[-1])
        filled[: len(ids)] = ids
        filled[len(ids) : len(ids) + self._copies] = self._gate_column  # the column of the gate
        lists, weights = self._lists, self._output.weights
        lists.blocks[slot] = blocks
        self.ids[slot, : len(filled)] = filled
        pick(self._output.columns, filled, blocks, lists.weight[slot])
        for held, all_ in (
            (lists.correction, weights.correction),
            (lists.scale, weights.scale),
            (lists.bias, weights.bias),
        ):
            held[slot, : len(filled)] = all_[filled]
        return len(ids)

    def columns_of(self, slot: int, count: int, pieces: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the column of each of `pieces` (S,) in the list of `slot`, of `count` pieces.

        It is -1 for PAD and UNK. All other pieces of the source are in the list.
        """
        held = self.ids[slot, :count]
        return np.where(pieces < EOS_ID, -1, np.searchsorted(held, pieces))

    def move(self, source: int, target: int) -> None:
        """Move the list of slot `source` to slot `target`."""
        for held in (self.ids, *self._lists):
            held[target] = held[source]

    def logits(self, first: int, count: int, row: Ints, offset: int, features: Bytes) -> Floats:
        """Compute the logits of the sentences `first` to `first + count`, see `list_logits`."""
        if len(self._logits) < row.size:
            self._logits = np.zeros((row.size, self.ids.shape[1]), np.float32)
        self._list_logits(first, count, row, offset, features, self._lists, self._logits)
        return self._logits

    def name(self, count: int, column: NDArray[np.int64]) -> None:
        """Replace columns of lists (N, K) by their pieces, for the first `count` sentences."""
        column[:count] = np.take_along_axis(self.ids[:count], column[:count], axis=1)

    def _widen(self, width: int) -> None:
        ids, lists, old = self.ids, self._lists, self.ids.shape[1]
        self._make(width)
        self.ids[:, :old] = ids
        self._lists.blocks[:] = lists.blocks
        self._lists.weight[:, : lists.weight.shape[1]] = lists.weight
        for held, before in zip(self._lists[2:], lists[2:], strict=True):
            held[:, :old] = before
