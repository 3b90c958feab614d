"""Coverage loss: attention that goes where it already was is punished (See et al. 2017, eq. 12)."""

# Shapes: N sentences, T target length, S source length.

from torch import Tensor


def coverage_overlap(attention: Tensor) -> Tensor:
    """The overlap (N, T) of each step's attention with the past: sum_i min(a_i, c_i).

    c is the sum of `attention` (N, T, S) over the steps before (eq. 10), so the first overlap is 0.
    """
    past = attention.cumsum(dim=1) - attention
    return attention.minimum(past).sum(dim=2)
