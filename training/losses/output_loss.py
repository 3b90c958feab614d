"""Output loss: label-smoothed cross entropy of the output layer, in chunks of rows.

Definition (a) of the field (torch, OpenNMT-py): (1 - e) * nll + e * mean over V of -log p, with PAD
left out of the mean. Szegedy et al. 2016, section 7.

`chunked_loss` computes any loss of logits without keeping these, with the gradients taken at once.
"""

# Shapes: B passes over the same target pieces, M of these, m of them in a chunk, F feature size,
# V vocabulary.

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from model.text.tokenizer import PAD_ID

CHUNK = 256  # rows whose logits exist at one time: 256 x 8,000 fp32 numbers are 8 MB
CUDA_LOGITS = 2**27  # 512 MB of them on a GPU, where launching a small chunk takes longer than it
# The last chunk is filled up to a multiple of this: each new number of rows would make the matrix
# library prepare (and keep) three more programs.
ROW_MULTIPLE = 32


class Loss(NamedTuple):
    """Weighted sums over the target pieces, in nats."""

    smoothed: Tensor  # () what training minimises
    nll: Tensor  # () the unsmoothed negative log-likelihood


def chunk_rows(weight: Tensor) -> int:
    """Choose how many rows of logits exist at one time, for the output weights (V, F)."""
    if not weight.is_cuda:
        return CHUNK
    return max(CUDA_LOGITS // len(weight) // ROW_MULTIPLE * ROW_MULTIPLE, CHUNK)


class _OutputLoss(torch.autograd.Function):
    """Output layer and loss in one: the softmax gives its gradient, too.

    No (M, V) tensor outlives its chunk, in either direction. With p = softmax(logits), c = e/(V-1)
    and y the gold piece, the gradient of the logits is p - (1 - e) [v = y] - c [v != PAD], times
    the weight of the piece. Neither the constant c nor the weights need a pass over (M, V): what c
    adds to the products are plain sums, and a weight scales a whole row of features.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        features: Tensor,
        weight: Tensor,
        bias: Tensor,
        target: Tensor,
        weights: Tensor,
        smoothing: float,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        uniform = smoothing / (weight.shape[0] - 1)
        wide = torch.promote_types(dtype, torch.float32)
        low_weight, low_bias = weight.to(dtype), bias.to(dtype)
        grad_features = torch.empty_like(features)
        grad_weight = torch.zeros_like(weight)
        grad_bias = torch.zeros_like(bias)
        nll = weight.new_zeros((), dtype=wide)
        mean = weight.new_zeros((), dtype=wide)
        # Sums over the vocabulary without PAD: of the weights (F,) and of the bias ().
        weight_sum = (weight.sum(0) - weight[PAD_ID]).to(wide)
        bias_sum = (bias.sum() - bias[PAD_ID]).to(wide)
        size = chunk_rows(weight)
        for start in range(0, len(target), size):
            gold = target[start : start + size].unsqueeze(1)
            real = len(gold)
            fill = (0, 0, 0, -real % ROW_MULTIPLE)
            gold = F.pad(gold, fill)
            given = weights[start : start + size, None].to(wide)  # (m, 1)
            rows = F.pad(features[start : start + size].to(dtype), fill)
            logits = F.linear(rows, low_weight, low_bias)
            p = logits.softmax(dim=-1, dtype=wide)
            # A gold piece whose probability underflows costs 87 nats, not infinitely many.
            log_p_gold = p.gather(1, gold).clamp_min(torch.finfo(torch.float32).tiny).log()
            normaliser = logits.gather(1, gold).to(wide) - log_p_gold  # log sum exp, (m, 1)
            nll -= (log_p_gold[:real] * given).sum()
            mean += (weight.shape[0] - 1) * (normaliser[:real] * given).sum()
            mean -= ((rows[:real].to(wide) @ weight_sum + bias_sum) * given[:, 0]).sum()
            if not any(ctx.needs_input_grad):  # type: ignore[attr-defined]
                continue
            p.scatter_add_(1, gold, p.new_full(gold.shape, smoothing - 1))
            p[:, PAD_ID] += uniform
            p[real:] = 0
            low = p.to(dtype)
            grad_features[start : start + size] = (low @ low_weight)[:real] * given
            grad_weight += low.t() @ (rows * F.pad(given, fill).to(dtype))
            grad_bias += F.pad(given[:, 0], fill[2:]) @ p
        constant = uniform * weights.to(wide)  # (M,)
        grad_features -= (constant[:, None] * weight.sum(0)).to(grad_features.dtype)
        grad_weight -= (constant @ features.to(wide)).to(grad_weight.dtype)
        grad_bias -= constant.sum()
        ctx.save_for_backward(grad_features, grad_weight, grad_bias)
        smoothed = (1 - smoothing) * nll + uniform * mean
        ctx.mark_non_differentiable(nll)
        return smoothed, nll

    @staticmethod
    def backward(
        ctx: FunctionCtx, *gradients: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, None, None, None, None]:
        grad_features, grad_weight, grad_bias = ctx.saved_tensors  # type: ignore[attr-defined]
        scale = gradients[0]
        return (
            grad_features * scale.to(grad_features.dtype),
            grad_weight * scale,
            grad_bias * scale,
            None,
            None,
            None,
            None,
        )


def output_loss(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    target: Tensor,
    weights: Tensor,
    *,
    smoothing: float,
) -> Loss:
    """Loss of predicting `target` (M,) by `features` (M, F) @ weight (V, F)^T + bias (V,).

    Each target piece counts `weights` (M,) times. Under autocast the products run in its dtype;
    softmax and sums are in fp32 at least.
    """
    device = features.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
    with torch.autocast(device, enabled=False):
        losses = _OutputLoss.apply(  # type: ignore[no-untyped-call]
            features, weight, bias, target, weights, smoothing, dtype
        )
    return Loss(*losses)


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
    """Sum () of `loss` over all rows, for the logits of `features` (B, M, F).

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
