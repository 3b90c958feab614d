"""Int8 product: a matrix product of bytes, which is exact, so no row depends on the other rows.

int8 needs no calibration, because the architecture bounds all activations: hidden states and the
outputs of tanh layers lie in (-1, 1), a sum of l of them in (-l, l), and an attention context is a
convex combination. The scale of activations is therefore fixed at bound / 127, whatever the data.
Weights have one scale per output (Jacob et al. 2018, section 3).
"""

# Shapes: R rows, I inputs, O outputs, B blocks of 64 outputs.

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.decoding.native.compiled import bound, kernel
from model.decoding.native.int8_rows import STEPS, int8_rows
from model.decoding.native.vector import BLOCK, dot_rows, pointer

ZERO = 128  # the uint8 that represents 0: processors multiply unsigned by signed bytes

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

_dot_5, _dot_2, _dot_1 = dot_rows(5), dot_rows(2), dot_rows(1)


class Int8Weights(NamedTuple):
    """The weights of a product, as the kernel reads them; O is rounded up to 64 B."""

    weight: Ints
    """(B, I/4, 64), the weights for 4 consecutive inputs as the bytes of each int32."""
    correction: Ints
    """(64 B,) the sum of each output's weights times `ZERO`."""
    scale: Floats
    """(64 B,)"""
    bias: Floats
    """(64 B,)"""


@kernel
def multiply(x: Bytes, rows: int, weights: Int8Weights, out: Floats) -> None:
    """Compute out[r] = (x[r] W^T - correction) * scale + bias for the first `rows` rows.

    Args:
        x: (R, I).
        out: (R, 64 B).
    """
    weight, correction, scale, bias = weights
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
    """A linear layer, x W^T + b, of rows of bytes; its result is fp32."""

    def __init__(
        self, weight: Floats, bias: Floats, bounds: Sequence[tuple[int, float]] = ()
    ) -> None:
        """
        Args:
            weight: (O, I) fp32, I a multiple of 4.
            bias: (O,) fp32.
            bounds: the width and the bound of each part of the input, in order. Each part is
                converted to bytes with its own bound. Without any, the bound of all inputs is 1.
        """
        outputs, inputs = weight.shape
        if bounds:
            parts = [np.full(width, bound, dtype=np.float32) for width, bound in bounds]
            weight = weight * np.concatenate(parts)
        steps, scale = int8_rows(weight)
        self.outputs = outputs
        self.width = -(-outputs // BLOCK) * BLOCK
        """64 B, which is O rounded up to whole blocks: the number of columns of the result."""
        filled = np.zeros((self.width, inputs), dtype=np.int8)
        filled[:outputs] = steps
        self.columns = np.ascontiguousarray(filled.view(np.int32).T)
        """(I/4, 64 B): a column for each output, 4 weights in each int32."""
        blocks = self.columns.reshape(inputs // 4, -1, BLOCK).transpose(1, 0, 2)
        self.weights = Int8Weights(
            weight=np.ascontiguousarray(blocks),
            correction=(ZERO * filled.sum(axis=1, dtype=np.int32)).astype(np.int32),
            scale=np.zeros(self.width, dtype=np.float32),
            bias=np.zeros(self.width, dtype=np.float32),
        )
        self.weights.scale[:outputs] = scale / STEPS
        self.weights.bias[:outputs] = bias
        x, out = np.zeros((1, inputs), np.uint8), np.zeros((1, self.width), np.float32)
        self._multiply = bound(multiply, x, 1, self.weights, out)

    def __call__(self, x: Bytes, rows: int, out: Floats) -> None:
        """Write the first `rows` rows of `out` (R, width) from those of `x` (R, I)."""
        self._multiply(x, rows, self.weights, out)
