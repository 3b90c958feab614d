"""Span attention: a query attends only to the windows of a long memory that suit it best.

The memory is cut into windows of 512 pieces. The mean of the keys of a window stands for it: the
attention to these means, the mean over the heads, ranks the windows, and the best are taken until
they have as many pieces as the span. Within them the attention is that to all of the memory, with
weights that sum up to 1; everything else has a weight of 0. With coverage, a window has the mean of
the past weights of its pieces.

For inference, and one source: each hypothesis chooses for itself, in every step.
"""

# Shapes: S source length with EOS, W windows, Q queries (the hypotheses), H encoder output size,
# D decoder size, A attention size, G heads.

import torch
from torch import Tensor

from model.network.attention import Attention
from model.network.memory import Memory, chunks

WINDOW = 512


class SpanAttention:
    """The attention to one memory, in place of `Attention`."""

    def __init__(self, attention: Attention, memory: Memory, span: int) -> None:
        """
        Args:
            attention: the trained one.
            memory: the only one (N = 1) that is attended to, without padding.
            span: pieces that a query attends to at least, fewer than the memory has.
        """
        self._attention, self._span = attention, span
        pieces = memory.mask.shape[1]
        parts = list(chunks(pieces, WINDOW))
        means = torch.stack([memory.keys[0, part].mean(dim=0) for part in parts]).unsqueeze(0)
        self._ends = means.new_tensor([part.stop for part in parts], dtype=torch.long)
        self._sizes = means.new_tensor([part.stop - part.start for part in parts])
        # Only their scores are read.
        self._windows = Memory(
            src=torch.zeros_like(memory.src[:, : len(parts)]),
            values=means,
            keys=means,
            mask=torch.ones(1, len(parts), dtype=torch.bool, device=means.device),
        )

    def __call__(
        self, query: Tensor, memory: Memory, attended: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Context (1, Q, H) and weights (1, Q, S) for query (1, Q, D); see `Attention.forward`."""
        contexts, all_weights = [], []
        for row, windows in enumerate(self.chosen(query, attended)):
            one = query[:, row : row + 1]
            past = None if attended is None else attended[:, row : row + 1]
            context, weights = self._attention.within(
                one, memory, [self._part(window) for window in windows], past
            )
            contexts.append(context)
            all_weights.append(weights)
        return torch.cat(contexts, dim=1), torch.cat(all_weights, dim=1)

    def chosen(self, query: Tensor, attended: Tensor | None) -> list[list[int]]:
        """The windows that each query (1, Q, D) attends to, in the order of the memory.

        `attended`: (1, Q, S), with coverage.
        """
        scores = self._attention.masked_scores(query, self._windows, self._means(attended))
        # In log space, where no two windows have the same weight of 0.
        rank = scores.log_softmax(dim=3).logsumexp(dim=1)[0]
        best = rank.sort(dim=1, descending=True, stable=True).indices  # (Q, W)
        sizes = self._sizes[best]
        before = sizes.cumsum(dim=1) - sizes
        counts = (before < self._span).sum(dim=1).tolist()
        return [sorted(row[:count]) for row, count in zip(best.tolist(), counts, strict=True)]

    def _means(self, attended: Tensor | None) -> Tensor | None:
        """The mean (1, Q, W) of the past weights (1, Q, S) in each window."""
        if attended is None or not attended.shape[2]:
            return attended
        parts = torch.split(attended, WINDOW, dim=2)
        return torch.stack([part.mean(dim=2) for part in parts], dim=2)

    def _part(self, window: int) -> slice:
        start = window * WINDOW
        return slice(start, min(start + WINDOW, int(self._ends[-1])))
