"""Guided alignment: attention is trained towards a word alignment (Chen et al. 2016)."""

# Shapes: S source length, M target pieces.

import torch
from torch import Tensor


def alignment_cross_entropy(attention: Tensor, positions: Tensor, weights: Tensor) -> Tensor:
    """Sum () over aligned pieces of the cross entropy of `attention` (M, S); section 3.2:

        G(A, alpha) = -sum_t sum_i A_ti log alpha_ti

    with A_ti = 1 at the position i of target piece t, `positions` (M,), and 0 elsewhere; a piece
    without one (-1) counts nothing, the others `weights` (M,) times.
    """
    at = attention.gather(1, positions.clamp_min(0).unsqueeze(1)).squeeze(1)
    tiny = torch.finfo(torch.float32).tiny  # a weight that underflows costs 87 nats, no more
    return (-at.clamp_min(tiny).log() * weights * (positions >= 0)).sum()
