"""Automaton over pieces that tells which pieces would complete a forbidden phrase.

One automaton covers a whole list of phrases; `model.translation.avoid_automaton` builds it.
"""

# Shapes: M sentences, K hypotheses, V vocabulary, Q states.

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Automaton:
    """Table of an automaton whose state 0 is the beginning of the translation."""

    following: Tensor
    """(Q, V) int16 or int32: the state that each piece leads to, below 0 for one that would
    complete a phrase."""

    def to(self, device: torch.device) -> "Automaton":
        """A copy on `device`."""
        return Automaton(self.following.to(device))


def forbid_completions(log_probs: Tensor, automaton: Automaton, state: Tensor) -> None:
    """Set `log_probs` (M, K, V) to -inf for pieces that complete a phrase in `state` (M, K)."""
    log_probs.masked_fill_(automaton.following[state] < 0, -torch.inf)
