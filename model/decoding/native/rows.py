"""Rows: kernels that write bytes where a product reads them."""

# Shapes: R rows, M rows of state, I columns of `out`, W of them that are written.

import numpy as np

from model.decoding.native.compiled import kernel
from model.decoding.native.product import Bytes, Floats, Ints
from model.decoding.native.scalar_math import narrowed, sigmoid

_ONE, _TWO = np.float32(1.0), np.float32(2.0)


@kernel
def place_rows(out: Bytes, column: int, part: Bytes, origin: Ints, rows: int) -> None:
    """Copy row origin[r] of `part` to row r of `out`, from column `column` on.

    Args:
        out: (R, I).
        part: (M, W).
        origin: (R,).
    """
    for r in range(rows):
        given, to = part[origin[r]], out[r, column : column + part.shape[1]]
        for j in range(part.shape[1]):
            to[j] = given[j]


@kernel
def place_narrow(out: Bytes, column: int, part: Floats, rows: int, steps: float) -> None:
    """Write row r of `part` as bytes to row r of `out`, from column `column` on.

    Args:
        out: (R, I).
        part: (R, W).
        steps: the number of steps between 0 and 1.
    """
    for r in range(rows):
        given, to = part[r], out[r, column : column + part.shape[1]]
        for j in range(part.shape[1]):
            to[j] = narrowed(given[j], np.float32(steps))


@kernel
def place_tanh(out: Bytes, part: Floats, rows: int, steps: float) -> None:
    """Write tanh(part[r] / 2) = 2 sigmoid(part[r]) - 1 as bytes to row r of `out`.

    The weights contain the factor 2 that makes it tanh of the sums.

    Args:
        out: (R, I).
        part: (R, I or more).
        steps: the number of steps between 0 and 1.
    """
    for r in range(rows):
        given, to = part[r], out[r]
        for j in range(out.shape[1]):
            to[j] = narrowed(_TWO * sigmoid(given[j]) - _ONE, np.float32(steps))
