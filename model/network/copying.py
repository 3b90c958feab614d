"""Copying: the mixture of the output with the attention over the source's pieces.

The pointer-generator of See et al. 2017, eq. 8 and 9, over the vocabulary that source and target
share, so that no piece has to be added to it. With z the logit of the gate, l_w the logits of the
output layer, Z = sum_v exp(l_v) and a_i the attention to source position i, which holds piece x_i:

    P(w) = (1 - sigmoid(z)) exp(l_w) / Z + sigmoid(z) sum_{i: x_i = w} a_i

sigmoid(z) is 1 - p_gen. Times Z (1 + exp(z)), the same for all pieces of a row, it is

    exp(l_w) + exp(z) Z sum_{i: x_i = w} a_i

so in log space only the logits of the source's own pieces change, and nothing is divided.
"""

# Shapes: N sentences, K hypotheses, S source length, C columns of the logits, F feature size.

import torch
from torch import Tensor, nn

from model.network.cells import fill_rows

_UNIT = 2.0**62
"""Attention is summed in whole multiples of 1 / _UNIT: the sum then has no order, on any device."""


def gate_logits(features: Tensor, gate: nn.Linear) -> Tensor:
    """The logits z (N, K), fp32 at least, of the gate (1, F) for features (N, K, F).

    Summed row by row, because the bits of a product with one column depend on the number of rows.
    """
    rows = features.flatten(0, 1)
    count = len(rows)
    wide = torch.promote_types(rows.dtype, torch.float32)
    sums = (fill_rows(rows).to(wide) * gate.weight.to(wide)).sum(dim=1)[:count]
    return (sums + gate.bias.to(wide)).view(features.shape[:2])


def with_copies(logits: Tensor, gate: Tensor, weights: Tensor, column: Tensor) -> Tensor:
    """The logits of the mixture (N, K, C): its log-probabilities up to a constant for each row.

    Args:
        logits: (N, K, C) of the output layer, fp32 at least; changed in place and returned.
        gate: (N, K) the logits z.
        weights: (N, K, S) attention, exactly 0 at padding.
        column: (N, S) the column of each source piece.
    """
    copied = piece_attention(weights, column, logits.shape[2]).to(logits.dtype).log()
    copied += (gate + logits.logsumexp(dim=2)).unsqueeze(2)
    at = column.unsqueeze(1).expand(-1, logits.shape[1], -1)
    # Positions with the same piece write the same value.
    return logits.scatter_(2, at, torch.logaddexp(logits.gather(2, at), copied))


def piece_attention(weights: Tensor, column: Tensor, columns: int) -> Tensor:
    """The attention (N, K, S), fp64, to all positions that hold the same piece as each position.

    Args:
        weights, column: see `with_copies`.
        columns: C.
    """
    count, length = column.shape
    position = torch.arange(length, device=column.device).expand(count, -1)
    # One of the positions of each piece stands for all. Which one does not matter, and entries of
    # other pieces are never read.
    table = column.new_empty(count, columns).scatter_(1, column, position)
    one = table.gather(1, column).unsqueeze(1).expand_as(weights)
    units = (weights.double() * _UNIT).long()
    sums = torch.zeros_like(units).scatter_add_(2, one, units)
    return sums.gather(2, one).double() / _UNIT
