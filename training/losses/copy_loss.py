"""Loss of a network that copies: label-smoothed cross entropy of the mixture, in chunks of rows.

With P(y) the mixture of `model.network.copying` and P_vocab the distribution of the output layer,

    (1 - e) * -log P(y) + e * mean over V of -log P_vocab

where PAD is left out of the mean, as in `training.losses.output_loss`. Smoothing spreads over what
the output layer can say: a source has few pieces, and the attention is not asked to spread.
"""

# Shapes: M target pieces, m of them in a chunk, S source length, F feature size, V vocabulary.

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from model.text.tokenizer import PAD_ID
from training.losses.output_loss import ROW_MULTIPLE, Loss, chunk_rows

LEAST = 1e-30
"""Attention below it counts as none: the gradient of its logarithm would not stay finite."""


class _CopyLoss(torch.autograd.Function):
    """Output layer and loss in one: no (M, V) tensor outlives its chunk, in either direction.

    With g = sigmoid(-z) P_vocab(y) / P(y), the share of the output layer in the probability of the
    gold piece y, and c the attention to it, the gradients of -log P(y) are

        logits: g (P_vocab - [v = y])        z: sigmoid(z) - (1 - g)        c: -(1 - g) / c
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        features: Tensor,
        weight: Tensor,
        bias: Tensor,
        gate: Tensor,
        copied: Tensor,
        target: Tensor,
        weights: Tensor,
        smoothing: float,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        wide = torch.promote_types(dtype, torch.float32)
        low_weight, low_bias = weight.to(dtype), bias.to(dtype)
        gradients = [torch.zeros_like(x) for x in (features, weight, bias, gate, copied)]
        totals = weight.new_zeros(2, dtype=wide)  # of the smoothed loss, and of the likelihood
        size = chunk_rows(weight)
        for start in range(0, len(target), size):
            rows = slice(start, min(start + size, len(target)))
            real = rows.stop - start
            filled = F.pad(features[rows].to(dtype), (0, 0, 0, -real % ROW_MULTIPLE))
            logits = F.linear(filled, low_weight, low_bias)[:real].to(wide)
            given = weights[rows].to(wide)
            z, c = gate[rows].to(wide), F.threshold(copied[rows].to(wide), LEAST, 0.0)
            log_p = logits.log_softmax(dim=1)
            gold = target[rows].unsqueeze(1)
            generated = F.logsigmoid(-z) + log_p.gather(1, gold).squeeze(1)
            mixed = torch.logaddexp(generated, F.logsigmoid(z) + c.log())
            spread = log_p.sum(dim=1) - log_p[:, PAD_ID]
            uniform = smoothing / (weight.shape[0] - 1)
            likelihood = (mixed * given).sum()
            totals[0] -= (1 - smoothing) * likelihood + uniform * (spread * given).sum()
            totals[1] -= likelihood
            if not any(ctx.needs_input_grad):  # type: ignore[attr-defined]
                continue
            share = (generated - mixed).exp()
            scale = (1 - smoothing) * given
            gradients[3][rows] = (scale * (z.sigmoid() - (1 - share))).to(gate.dtype)
            gradients[4][rows] = (-scale * (1 - share) / c.clamp_min(LEAST)).to(copied.dtype)
            p = log_p.exp_().mul_((scale * share + smoothing * given).unsqueeze(1))
            p.scatter_add_(1, gold, -(scale * share).unsqueeze(1))
            p.sub_((uniform * given).unsqueeze(1))
            p[:, PAD_ID] += uniform * given
            low = F.pad(p.to(dtype), (0, 0, 0, len(filled) - real))
            gradients[0][rows] = (low @ low_weight)[:real].to(features.dtype)
            gradients[1] += low.t() @ filled
            gradients[2] += p.sum(dim=0)
        ctx.save_for_backward(*gradients)
        ctx.mark_non_differentiable(totals[1])
        return totals[0], totals[1]

    @staticmethod
    def backward(
        ctx: FunctionCtx, *gradients: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, None, None, None, None]:
        scale = gradients[0]
        features, weight, bias, gate, copied = ctx.saved_tensors  # type: ignore[attr-defined]
        return (
            features * scale.to(features.dtype),
            weight * scale,
            bias * scale,
            gate * scale,
            copied * scale,
            None,
            None,
            None,
            None,
        )


def copy_loss(
    features: Tensor,
    output: nn.Linear,
    gate: Tensor,
    copied: Tensor,
    target: Tensor,
    weights: Tensor,
    *,
    smoothing: float,
) -> Loss:
    """Loss of predicting `target` (M,) by the mixture; each target piece counts `weights` (M,).

    Args:
        features: (M, F) read by the output layer.
        gate: (M,) logits of copying.
        copied: (M,) the attention to the gold piece, see `attention_to`.
    """
    device, weight = features.device.type, output.weight
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
    with torch.autocast(device, enabled=False):
        losses = _CopyLoss.apply(  # type: ignore[no-untyped-call]
            features, weight, output.bias, gate, copied, target, weights, smoothing, dtype
        )
    return Loss(*losses)


def attention_to(target: Tensor, attention: Tensor, src: Tensor) -> Tensor:
    """The attention (M,) to all source positions that hold the piece of `target` (M,).

    Args:
        attention: (M, S).
        src: (M, S) the source pieces of each target piece.
    """
    return (attention * (src == target.unsqueeze(1))).sum(dim=1)
