"""Losses of logits, without keeping these: chunk by chunk, with the gradients taken at once."""

# Shapes: B passes over the same target pieces, M of these, m of them in a chunk, F feature size,
# V vocabulary.

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from training.objective import ROW_MULTIPLE, chunk_rows

RowLoss = Callable[[Tensor, slice], Tensor]
"""The summed loss of fp32 logits (B, m, V), which are those of the given rows among all M."""


class _ChunkedLoss(torch.autograd.Function):
    """Any loss that is a sum over rows. No (M, V) tensor outlives its chunk, in either direction.

    The gradient of a chunk's logits is taken by autograd while they exist, and goes at once through
    the output layer to features, weight and bias.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        features: Tensor,
        weight: Tensor,
        bias: Tensor,
        loss: RowLoss,
        dtype: torch.dtype,
    ) -> Tensor:
        wide = torch.promote_types(dtype, torch.float32)
        low_weight, low_bias = weight.to(dtype), bias.to(dtype)
        gradients = tuple(torch.zeros_like(x) for x in (features, weight, bias))
        total = weight.new_zeros((), dtype=wide)
        size = chunk_rows(weight) // len(features)
        for start in range(0, features.shape[1], size):
            rows = slice(start, min(start + size, features.shape[1]))
            real = rows.stop - start
            fill = (0, 0, 0, -real % ROW_MULTIPLE)
            filled = F.pad(features[:, rows].to(dtype), fill)
            logits = F.linear(filled, low_weight, low_bias)[:, :real].to(wide).detach()
            with torch.enable_grad():
                value = loss(logits.requires_grad_(), rows)
                (gradient,) = torch.autograd.grad(value, logits)
            total += value.detach()
            low = F.pad(gradient, fill).to(dtype)
            gradients[0][:, rows] = (low @ low_weight)[:, :real]
            gradients[1].add_(low.flatten(0, 1).t() @ filled.flatten(0, 1))
            gradients[2].add_(gradient.sum((0, 1)))
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        features, weight, bias = ctx.saved_tensors  # type: ignore[attr-defined]
        (scale,) = gradients
        return features * scale.to(features.dtype), weight * scale, bias * scale, None, None


def chunked_loss(features: Tensor, output: nn.Linear, loss: RowLoss) -> Tensor:
    """The sum () of `loss` over all rows, for the logits of `features` (B, M, F).

    Under autocast the products run in its dtype; `loss` gets fp32 at least.
    """
    device = features.device.type
    weight, bias = output.weight, output.bias
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
    with torch.autocast(device, enabled=False):
        total = _ChunkedLoss.apply(  # type: ignore[no-untyped-call]
            features, weight, bias, loss, dtype
        )
    return torch.as_tensor(total)
