"""Product: a matrix product of inference in fp32, bf16 or int8, exact about what a row depends on.

int8 needs no calibration, because the architecture bounds what it multiplies: hidden states and
tanh layers lie in (-1, 1), a sum of l of them in (-l, l), an attention context is a convex mixture.
So activations have the fixed scale bound / 127, whatever the data, and the result for one row does
not depend on the rows beside it. Weights have one scale for each output (Jacob et al. 2018, 3).
"""

# Shapes: R rows, I inputs, O outputs.

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from model.network.cells import linear

Precision = Literal["fp32", "bf16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

STEPS = 127  # of int8, to either side of zero
ZERO = 128  # the uint8 that stands for 0: processors multiply unsigned with signed bytes

_HALF_UP = torch.tensor(ZERO + 0.5)

DTYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "int8": torch.uint8,
}
"""Of a product's input."""


def narrow(x: Tensor, precision: Precision, bound: float = 1.0) -> Tensor:
    """fp32 `x`, between -bound and bound, as a product of that precision takes it.

    int8: round(127 x / bound) + 128, as uint8. Values at the bound itself are not clipped.
    """
    if precision == "fp32":
        return x
    if precision == "bf16":
        return x.to(torch.bfloat16)
    # What is positive is cut off at the point, so that half a step more rounds.
    return torch.add(_HALF_UP, x, alpha=STEPS / bound).to(torch.uint8)


class Product:
    """x W^T + b for `narrow` rows x; the result is fp32 (R, O)."""

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        precision: Precision,
        bounds: Sequence[tuple[int, float]] = (),
    ) -> None:
        """
        Args:
            weight: (O, I) fp32.
            bias: (O,) fp32, added in fp32.
            bounds: widths and bounds of the parts of the input, in order; 1 for all of it if none
                are given. Each part is narrowed with its own bound.
        """
        self.precision = precision
        self._bias = bias.detach().clone()
        weight = weight.detach()
        if precision != "int8":
            self._weight = weight.to(DTYPES[precision]).clone()
            return
        if bounds:
            weight = weight * torch.cat([weight.new_full((width,), b) for width, b in bounds])
        # A row of zeros has any scale.
        self._scale = weight.abs().amax(dim=1).clamp_min(torch.finfo(torch.float32).tiny) / STEPS
        steps = (weight / self._scale.unsqueeze(1)).round().to(torch.int8)
        self._zeros = torch.zeros(len(weight), dtype=torch.int32)
        self._weight = torch.ops.onednn.qlinear_prepack(steps, None)

    def __call__(self, x: Tensor) -> Tensor:
        """(R, O) fp32 for `x` (R, I) in the dtype of the precision."""
        if self.precision == "fp32":
            return linear(x, self._weight, self._bias)
        if self.precision == "bf16":
            return linear(x, self._weight).float().add_(self._bias)
        product: Tensor = torch.ops.onednn.qlinear_pointwise(
            x,
            1 / STEPS,
            ZERO,
            self._weight,
            self._scale,
            self._zeros,
            self._bias,
            1.0,
            0,
            torch.float32,
            "none",
            [],
            "",
        )
        return product


def int8_is_exact() -> bool:
    """Whether this machine's int8 products are there, and exact in the worst case.

    Processors without VNNI add pairs of products in 16 bits, where two large ones overflow.
    """
    try:
        product = Product(torch.full((16, 64), 1.0), torch.zeros(16), "int8")
        return bool((product(torch.full((3, 64), 255, dtype=torch.uint8)) == 64).all())
    except (RuntimeError, AttributeError):  # a build of torch without oneDNN's int8
        return False
