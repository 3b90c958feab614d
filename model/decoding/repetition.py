"""Repetition: no n-gram of pieces twice in a hypothesis."""

# Shapes: M sentences, K hypotheses, V vocabulary, T target length, W windows of n pieces.

import torch
from torch import Tensor


def forbid_repetition(log_probs: Tensor, sequence: Tensor, length: Tensor, n: int) -> None:
    """Set to -inf the pieces that would complete an n-gram that the hypothesis already has.

    Args:
        log_probs: (M, K, V).
        sequence: (M, K, T) the pieces so far; what lies behind `length` may be any piece.
        length: (M,) pieces so far.
    """
    if sequence.shape[2] < n:
        return
    windows = sequence.unfold(2, n, 1)  # (M, K, W, n)
    steps = torch.arange(windows.shape[2], device=sequence.device)
    complete = steps + n <= length.unsqueeze(1)  # (M, W)
    places = (length.unsqueeze(1) - (n - 1) + steps.new_ones(n - 1).cumsum(0) - 1).clamp(min=0)
    tail = sequence.gather(2, places.unsqueeze(1).expand(-1, sequence.shape[1], -1))
    repeats = (windows[..., :-1] == tail.unsqueeze(2)).all(dim=3) & complete.unsqueeze(1)
    # The least of the old value and +inf is the old value, so nothing else is touched.
    value = torch.full_like(repeats, torch.inf, dtype=log_probs.dtype)
    value.masked_fill_(repeats, -torch.inf)
    log_probs.scatter_reduce_(2, windows[..., -1], value, "amin")
