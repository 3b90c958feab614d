"""Scoring: what a score has besides log-probability and length penalty, and its bound.

score = log_prob / length_penalty(|Y|) + word_reward * |Y| + coverage_beta * coverage(X, Y)

|Y| counts EOS, as in the length penalty. Only finished hypotheses have a score: what is kept in the
beam is decided by log-probability.
"""

# Shapes: M sentences, K hypotheses, S source length with EOS.

import torch
from torch import Tensor

LEAST = torch.finfo(torch.float32).tiny  # stands for a coverage of 0, whose logarithm is infinite


def coverage(attended: Tensor, source_length: Tensor) -> Tensor:
    """The sum over the source pieces of log(min(attention received, 1)); (M, K) fp32, at most 0.

    Wu et al. 2016, eq. 14, without beta. Neither padding nor the EOS of the source counts.

    Args:
        attended: (M, K, S) attention that each source piece received from Y and its EOS.
        source_length: (M,) pieces without EOS.
    """
    real = torch.arange(attended.shape[2], device=attended.device) < source_length.view(-1, 1, 1)
    logs = attended.double().clamp(LEAST, 1.0).log().masked_fill(~real, 0.0)
    # A running sum has one order whatever padding follows; `sum` has not.
    return logs.cumsum(dim=2)[..., -1].float()


def reward_bound(word_reward: float, next_length: int, longest: int) -> float:
    """The most reward that a hypothesis can get with between `next_length` and `longest` pieces.

    Both count EOS. Added to the bound of `is_over`, it keeps the stop rule exact: coverage is never
    above 0.
    """
    return max(word_reward * next_length, word_reward * longest)
