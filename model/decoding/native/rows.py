"""Rows: bytes put where a product reads them."""

import numpy as np

from model.decoding.native.compiled import kernel
from model.decoding.native.product import Bytes, Floats, Ints
from model.decoding.native.scalar_math import narrowed, sigmoid

_ONE, _TWO = np.float32(1.0), np.float32(2.0)


@kernel
def place_rows(out: Bytes, column: int, part: Bytes, origin: Ints, rows: int) -> None:
    """out[r, column:] = part[origin[r]]."""
    for r in range(rows):
        given, to = part[origin[r]], out[r, column : column + part.shape[1]]
        for j in range(part.shape[1]):
            to[j] = given[j]


@kernel
def place_narrow(out: Bytes, column: int, part: Floats, rows: int, steps: float) -> None:
    """out[r, column:] = part[r] as bytes, `steps` for each unit."""
    for r in range(rows):
        given, to = part[r], out[r, column : column + part.shape[1]]
        for j in range(part.shape[1]):
            to[j] = narrowed(given[j], np.float32(steps))


@kernel
def place_tanh(out: Bytes, part: Floats, rows: int, steps: float) -> None:
    """out[r] = tanh(part[r] / 2) as bytes: 2 sigmoid(x) - 1, the factor is in the weights."""
    for r in range(rows):
        given, to = part[r], out[r]
        for j in range(out.shape[1]):
            to[j] = narrowed(_TWO * sigmoid(given[j]) - _ONE, np.float32(steps))
