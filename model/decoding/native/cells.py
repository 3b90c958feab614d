"""Cells: one step of the LSTM, GRU or simple recurrent network for many rows, after the products.

See `model.network.cells` for the equations. The kernels start from the weighted sums of the gates.
For tanh(x) = 2 sigmoid(2x) - 1 of a sum x, the weights contain the inner factor 2, see `layer`.
"""

# Shapes: R rows, M rows of state, D state size, G width of all gates (4D in an LSTM), P rows of the
# output, V vocabulary.

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.decoding.native.compiled import kernel
from model.decoding.native.int8_rows import STEPS
from model.decoding.native.product import Bytes, Floats, Ints
from model.decoding.native.scalar_math import narrowed, sigmoid
from model.decoding.native.vector import widen

Halves = NDArray[np.uint16]
"""bf16, as the bits of each number."""
_STEPS, _ONE, _TWO = np.float32(STEPS), np.float32(1.0), np.float32(2.0)


class LayerState(NamedTuple):
    """What a layer hands to its next step."""

    hidden: Bytes
    """(M, D)"""
    carry: Floats
    """(M, D) the cell state of an LSTM, the hidden state of a GRU; (M, 0) in a simple network."""


class Gates(NamedTuple):
    """Buffers for the gates of a step, each as wide as a product writes them."""

    sums: Floats
    """(R, G or more) the weighted sums; the kernels overwrite them."""
    from_hidden: Floats
    """(R, 3D or more) in a GRU, the sums over the hidden state alone."""


class Target(NamedTuple):
    """Where the hidden states of a step are written."""

    values: Floats
    """(P, column + D or more)"""
    place: Ints
    """(R,) the row of `values` for each row of the step."""
    column: int
    """The first column."""
    add: bool
    """Whether they are added to what is there instead of replacing it."""


@kernel
def add_table(gates: Floats, rows: int, table: Halves, piece: Ints) -> None:
    """Add row piece[r] of `table` to row r of `gates`.

    Args:
        gates: (R, G or more).
        table: (V, G).
        piece: (R,).
    """
    for r in range(rows):
        given, to = table[piece[r]], gates[r]
        for j in range(table.shape[1]):
            to[j] += widen(given[j])


@kernel
def add_rows(gates: Floats, rows: int, given: Floats, place: Ints) -> None:
    """Add row place[r] of `given` to row r of `gates`.

    Args:
        gates: (R, G or more).
        given: (P, as many columns as `gates`).
        place: (R,).
    """
    for r in range(rows):
        more, to = given[place[r]], gates[r]
        for j in range(gates.shape[1]):
            to[j] += more[j]


@kernel
def emit(h: Floats, hidden: Bytes, output: Floats, add: bool) -> None:
    """Write a hidden state (D,) as bytes, and to the output (D,) or, if `add`, add it to that."""
    for j in range(h.shape[0]):
        hidden[j] = narrowed(h[j], _STEPS)
    if add:
        for j in range(h.shape[0]):
            output[j] += h[j]
    else:
        for j in range(h.shape[0]):
            output[j] = h[j]


# All cells have the same arguments, which `Layer.step` depends on.


@kernel
def lstm(
    rows: int, gates: Gates, old: LayerState, origin: Ints, new: LayerState, target: Target
) -> None:
    """Take a step of the LSTM, with its gates in the order i f g o.

    Args:
        origin: (R,) the row of `old` that each row continues.
        new: row r is written for row r.
    """
    sums, before, after = gates.sums, old.carry, new.carry
    hidden = new.hidden
    output, place, column, add = target
    size = before.shape[1]
    for r in range(rows):
        # Each loop uses few arrays, so that LLVM turns it into vector instructions.
        for j in range(4 * size):
            sums[r, j] = sigmoid(sums[r, j])
        i, f = sums[r, :size], sums[r, size : 2 * size]
        g, o = sums[r, 2 * size : 3 * size], sums[r, 3 * size : 4 * size]
        cell, new_cell, h = before[origin[r]], after[r], i
        for j in range(size):
            new_cell[j] = f[j] * cell[j] + i[j] * (_TWO * g[j] - _ONE)
        for j in range(size):
            h[j] = o[j] * (_TWO * sigmoid(_TWO * new_cell[j]) - _ONE)
        emit(h, hidden[r], output[place[r], column : column + size], add)


@kernel
def gru(
    rows: int, gates: Gates, old: LayerState, origin: Ints, new: LayerState, target: Target
) -> None:
    """Take a step of the GRU, with its gates in the order r z n; see `lstm` for the arguments."""
    sums, from_hidden, before, after = gates.sums, gates.from_hidden, old.carry, new.carry
    hidden = new.hidden
    output, place, column, add = target
    size = before.shape[1]
    for r in range(rows):
        for j in range(2 * size):
            sums[r, j] = sigmoid(sums[r, j] + from_hidden[r, j])
        reset, z = sums[r, :size], sums[r, size : 2 * size]
        n, own = sums[r, 2 * size : 3 * size], from_hidden[r, 2 * size : 3 * size]
        h, new_h = before[origin[r]], after[r]
        for j in range(size):
            n[j] = _TWO * sigmoid(n[j] + reset[j] * own[j]) - _ONE
        for j in range(size):
            new_h[j] = n[j] + z[j] * (h[j] - n[j])
        emit(new_h, hidden[r], output[place[r], column : column + size], add)


@kernel
def rnn(
    rows: int, gates: Gates, old: LayerState, origin: Ints, new: LayerState, target: Target
) -> None:
    """Take a step of the simple recurrent network, h = tanh(sum), which carries nothing.

    See `lstm` for the arguments; `old` and `origin` are not used.
    """
    sums, hidden = gates.sums, new.hidden
    output, place, column, add = target
    size = hidden.shape[1]
    for r in range(rows):
        h = sums[r, :size]
        for j in range(size):
            h[j] = _TWO * sigmoid(h[j]) - _ONE
        emit(h, hidden[r], output[place[r], column : column + size], add)
