"""Product: a matrix product of inference in fp32 or bf16. That in int8 is in `native.product`."""

# Shapes: R rows, I inputs, O outputs.

import torch
from torch import Tensor

from model.network.cells import linear


class Product:
    """x W^T + b for rows x in the dtype; the result is fp32 (R, O)."""

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
        """`weight` (O, I) and `bias` (O,) are fp32; the bias is added in fp32."""
        self._weight = weight.detach().to(dtype).clone()
        self._bias = bias.detach().clone()

    def __call__(self, x: Tensor) -> Tensor:
        """(R, O) fp32 for `x` (R, I) in the dtype."""
        if self._weight.dtype == torch.float32:
            return linear(x, self._weight, self._bias)
        return linear(x, self._weight).float().add_(self._bias)
