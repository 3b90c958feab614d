"""Cells: one step of the LSTM, GRU or simple recurrent network for many rows, after the products.

The gates come as sums already, see `model.network.cells` for the equations. The factor 2 in
tanh(x) = 2 sigmoid(2x) - 1 lies in the weights, see `layer`.
"""

# Shapes: R rows, M rows of state, D state size, P places of the output.

import numpy as np
from numpy.typing import NDArray

from model.decoding.native.compiled import kernel
from model.decoding.native.product import STEPS, Bytes, Floats, Ints
from model.decoding.native.scalar_math import narrowed, sigmoid
from model.decoding.native.vector import widen

Halves = NDArray[np.uint16]
"""bf16 by its bits."""
_STEPS, _ONE, _TWO = np.float32(STEPS), np.float32(1.0), np.float32(2.0)


@kernel
def add_table(gates: Floats, rows: int, table: Halves, piece: Ints) -> None:
    """Add to each row of `gates` that of the `table` (V, G) for its piece."""
    for r in range(rows):
        given, to = table[piece[r]], gates[r]
        for j in range(table.shape[1]):
            to[j] += widen(given[j])


@kernel
def add_rows(gates: Floats, rows: int, given: Floats, place: Ints) -> None:
    """Add row place[r] of `given` to row r of `gates`."""
    for r in range(rows):
        more, to = given[place[r]], gates[r]
        for j in range(gates.shape[1]):
            to[j] += more[j]


@kernel
def emit(h: Floats, hidden: Bytes, output: Floats, add: bool) -> None:
    """Write a hidden state (D,) as bytes, and into the output or onto it."""
    for j in range(h.shape[0]):
        hidden[j] = narrowed(h[j], _STEPS)
    if add:
        for j in range(h.shape[0]):
            output[j] += h[j]
    else:
        for j in range(h.shape[0]):
            output[j] = h[j]


@kernel
def lstm(
    gates: Floats,
    rows: int,
    carry: Floats,
    origin: Ints,
    new_carry: Floats,
    hidden: Bytes,
    output: Floats,
    place: Ints,
    column: int,
    add: bool,
) -> None:
    """The LSTM's step from `gates` (R, 4D or more), in the order i f g o.

    Args:
        carry: (M, D) cell states before; row r continues that of `origin[r]`.
        new_carry: (M, D), row r is written.
        hidden: (M, D) bytes, row r is written.
        output: (P, ...) fp32; the hidden state goes to `output[place[r], column:]`.
        add: to what is there.
    """
    size = carry.shape[1]
    for r in range(rows):
        # Loops over few arrays each: LLVM turns those into vector instructions.
        for j in range(4 * size):
            gates[r, j] = sigmoid(gates[r, j])
        i, f = gates[r, :size], gates[r, size : 2 * size]
        g, o = gates[r, 2 * size : 3 * size], gates[r, 3 * size : 4 * size]
        old, new, h = carry[origin[r]], new_carry[r], i
        for j in range(size):
            new[j] = f[j] * old[j] + i[j] * (_TWO * g[j] - _ONE)
        for j in range(size):
            h[j] = o[j] * (_TWO * sigmoid(_TWO * new[j]) - _ONE)
        emit(h, hidden[r], output[place[r], column : column + size], add)


@kernel
def gru(
    gates: Floats,
    rows: int,
    from_hidden: Floats,
    carry: Floats,
    origin: Ints,
    new_carry: Floats,
    hidden: Bytes,
    output: Floats,
    place: Ints,
    column: int,
    add: bool,
) -> None:
    """The GRU's step, gates r z n; `from_hidden` (R, 3D) are the parts of the hidden state.

    It carries its hidden state in fp32. The rest is as in `lstm`.
    """
    size = carry.shape[1]
    for r in range(rows):
        for j in range(2 * size):
            gates[r, j] = sigmoid(gates[r, j] + from_hidden[r, j])
        reset, z = gates[r, :size], gates[r, size : 2 * size]
        n, own = gates[r, 2 * size : 3 * size], from_hidden[r, 2 * size : 3 * size]
        old, new = carry[origin[r]], new_carry[r]
        for j in range(size):
            n[j] = _TWO * sigmoid(n[j] + reset[j] * own[j]) - _ONE
        for j in range(size):
            new[j] = n[j] + z[j] * (old[j] - n[j])
        emit(new, hidden[r], output[place[r], column : column + size], add)


@kernel
def rnn(
    gates: Floats, rows: int, hidden: Bytes, output: Floats, place: Ints, column: int, add: bool
) -> None:
    """The simple recurrent network's step, h = tanh(gates); it carries nothing."""
    size = hidden.shape[1]
    for r in range(rows):
        h = gates[r, :size]
        for j in range(size):
            h[j] = _TWO * sigmoid(h[j]) - _ONE
        emit(h, hidden[r], output[place[r], column : column + size], add)
