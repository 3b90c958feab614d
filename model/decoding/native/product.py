"""Int8 product: a matrix product of bytes, exact, so a row does not depend on those beside it.

int8 needs no calibration, because the architecture bounds what it multiplies: hidden states and
tanh layers lie in (-1, 1), a sum of l of them in (-l, l), an attention context is a convex mixture.
So activations have the fixed scale bound / 127, whatever the data. Weights have one scale for each
output (Jacob et al. 2018, 3).
"""

# Shapes: R rows, I inputs, O outputs, B blocks of 64 outputs.

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.decoding.native.compiled import kernel
from model.decoding.native.vector import BLOCK, dot_rows, pointer

STEPS = 127  # of int8, to either side of zero
ZERO = 128  # the uint8 that stands for 0: processors multiply unsigned with signed bytes

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

_dot_5, _dot_2, _dot_1 = dot_rows(5), dot_rows(2), dot_rows(1)


@kernel
def multiply(
    x: Bytes, rows: int, weight: Ints, correction: Ints, scale: Floats, bias: Floats, out: Floats
) -> None:
    """out (rows, 64 B) = (x W^T - correction) * scale + bias.

    `weight` (B, I/4, 64) holds 4 bytes in each int32; see `Int8Product`.
    """
    blocks, length, _ = weight.shape
    stride = out.shape[1]
    width = x.shape[1] // 4
    for b in range(blocks):
        block, column = pointer(weight, b * length * BLOCK), b * BLOCK
        less, factor = pointer(correction, column), pointer(scale, column)
        more = pointer(bias, column)
        row = 0
        while row + 5 <= rows:
            place = pointer(out, row * stride + column)
            given = pointer(x, row * 4 * width)
            _dot_5(given, width, block, length, less, factor, more, place, stride)
            row += 5
        while row + 2 <= rows:
            place = pointer(out, row * stride + column)
            given = pointer(x, row * 4 * width)
            _dot_2(given, width, block, length, less, factor, more, place, stride)
            row += 2
        if row < rows:
            place = pointer(out, row * stride + column)
            given = pointer(x, row * 4 * width)
            _dot_1(given, width, block, length, less, factor, more, place, stride)


class Int8Product:
    """x W^T + b for rows of bytes; the result is fp32."""

    def __init__(
        self, weight: Floats, bias: Floats, bounds: Sequence[tuple[int, float]] = ()
    ) -> None:
        """
        Args:
            weight: (O, I) fp32, I a multiple of 4.
            bias: (O,) fp32.
            bounds: widths and bounds of the parts of the input, in order; 1 for all of it if none
                are given. Each part is narrowed with its own bound.
        """
        outputs, inputs = weight.shape
        if bounds:
            parts = [np.full(width, bound, dtype=np.float32) for width, bound in bounds]
            weight = weight * np.concatenate(parts)
        # A row of zeros has any scale.
        scale = np.maximum(np.abs(weight).max(axis=1), np.finfo(np.float32).tiny) / STEPS
        steps = np.rint(weight / scale[:, None]).astype(np.int8)
        self.outputs = outputs
        self.width = -(-outputs // BLOCK) * BLOCK
        """O, filled up to whole blocks: the columns of a result."""
        filled = np.zeros((self.width, inputs), dtype=np.int8)
        filled[:outputs] = steps
        self.columns = np.ascontiguousarray(filled.view(np.int32).T)
        """(I/4, 64 B): the weights of each output, 4 bytes in each number."""
        blocks = self.columns.reshape(inputs // 4, -1, BLOCK).transpose(1, 0, 2)
        self.weight = np.ascontiguousarray(blocks)
        self.correction = (ZERO * filled.sum(axis=1, dtype=np.int32)).astype(np.int32)
        self.scale = np.zeros(self.width, dtype=np.float32)
        self.scale[:outputs] = scale / STEPS
        self.bias = np.zeros(self.width, dtype=np.float32)
        self.bias[:outputs] = bias

    def __call__(self, x: Bytes, rows: int, out: Floats) -> None:
        """Write the first `rows` rows of `out` (R, width) for those of `x` (R, I)."""
        multiply(x, rows, self.weight, self.correction, self.scale, self.bias, out)
