"""Aligned attention: step i reads the output of the encoder at step i, without any scores.

For outputs of one vector for each source step. What it reads of its past is the number of steps so
far, which is the sum of its weights: each is 1. It stands in the place of `Attention`.
"""

# Shapes: N sentences, Q queries per sentence (T in training, K hypotheses in search), S source
# length, H encoder output size.

import torch
from torch import Tensor

from model.network.attention import Attention
from model.network.memory import Memory


class AlignedAttention(Attention):
    """An attention without parameters."""

    def keys(self, values: Tensor) -> Tensor:
        """No keys (N, S, 0) for encoder outputs (N, S, H)."""
        return values[..., :0]

    def forward(
        self, query: Tensor, memory: Memory, attended: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Context (N, Q, H) and weights (N, Q, 1), which are 1.

        The queries are the hypotheses of one step after `attended` (N, Q, 1) steps; without that
        they are the first Q steps. Only their number is read.
        """
        count, queries = query.shape[:2]
        if attended is None:
            context = memory.values[:, :queries]
        else:
            width = memory.values.shape[2]
            places = attended.long().expand(count, queries, width)
            context = memory.values.gather(1, places)
        return context, torch.ones_like(query[..., :1])
