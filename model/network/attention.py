"""Attention: scores, weights and context of a query over the encoder outputs.

`general`: q W h (Luong 2015, eq. 8), in heads and scaled as in Vaswani et al. 2017, eq. 1;
`dot`: q h (Luong 2015, eq. 8); `additive`: v tanh(W q + U h) (Bahdanau 2015, A.1.2).

With `coverage`, w c is added to every score, where c is the sum of the past weights of the position
(See et al. 2017, eq. 10) and w a learned number. In eq. 11 it stands within the tanh; outside, it
serves all kinds of score alike.
"""

# Shapes: N sentences, Q queries per sentence (T in training, K hypotheses in search), S source
# length, H encoder output size, D decoder size, A attention size (D here), G heads.

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.config import ModelConfig
from model.network.cells import ROW_MULTIPLE, linear
from model.network.memory import Memory

SMALL_PRODUCT = 400


class Attention(nn.Module):
    """All three kinds of score; keys are projected once for each sentence."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.kind = config.attention
        self.heads = config.attention_heads
        size = config.decoder_size
        self.scale = 1 / math.sqrt(size // self.heads)
        self.narrowest = min(size, config.encoder_size) // self.heads
        if self.kind in ("general", "additive"):
            self.key = nn.Linear(config.encoder_size, size, bias=False)
            nn.init.xavier_uniform_(self.key.weight)
        self.coverage = nn.Parameter(torch.zeros(1)) if config.coverage else None
        if self.kind == "additive":
            self.query = nn.Linear(size, size)
            self.energy = nn.Parameter(torch.empty(size).uniform_(-0.1, 0.1))
            nn.init.xavier_uniform_(self.query.weight)
            nn.init.zeros_(self.query.bias)

    def keys(self, values: Tensor) -> Tensor:
        """Keys (N, S, A) for encoder outputs (N, S, H)."""
        return values if self.kind == "dot" else torch.as_tensor(self.key(values))

    def forward(
        self, query: Tensor, memory: Memory, attended: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Context (N, Q, H) and weights (N, Q, S), the mean over the heads, for query (N, Q, D).

        `attended` (N, Q, S), the sums of the past weights, is needed with coverage.

        The softmax is at least in fp32. Weights of padding are exactly 0. Queries are filled up
        as in `linear`, without gradients: the bits of one must not depend on N or on padding.
        """
        if memory.is_long and not torch.is_grad_enabled():
            return self._in_blocks(query, memory, attended)
        count, queries = query.shape[:2]
        on_cpu = query.device.type == "cpu"
        if on_cpu and count == 1 and not torch.is_grad_enabled() and torch.get_num_threads() > 1:
            # Threads divide a single product in another way than several products.
            query, memory = query.expand(2, -1, -1), Memory(*(x[[0, 0]] for x in memory))
            attended = None if attended is None else attended.expand(2, -1, -1)
        if not torch.is_grad_enabled():
            query = F.pad(query, (0, 0, 0, self._filled(queries, query.dtype) - queries))
        if self.coverage is not None and attended is not None:
            attended = F.pad(attended, (0, 0, 0, query.shape[1] - queries))
        scores = self.masked_scores(query, memory, attended)
        weights = scores.softmax(dim=-1)
        context = weights.to(memory.values.dtype) @ self._split(memory.values)  # (N, G, Q, H/G)
        mean = weights[:, 0] if self.heads == 1 else weights.mean(dim=1)
        return context.transpose(1, 2).flatten(2)[:count, :queries], mean[:count, :queries]

    def _in_blocks(
        self, query: Tensor, memory: Memory, attended: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """`forward` for a long memory: beside the weights of the heads, a block at a time.

        Nobody reads a long memory together with others, so queries need not be filled up.
        """
        count, queries = query.shape[:2]
        wide = torch.promote_types(memory.values.dtype, torch.float32)
        weights = query.new_empty(count, self.heads, queries, memory.mask.shape[1], dtype=wide)
        for part, block in memory.blocks():
            past = None if attended is None else attended[:, :, part]
            weights[..., part] = self.masked_scores(query, block, past)
        # The softmax, in place.
        weights.sub_(weights.amax(dim=-1, keepdim=True)).exp_()
        weights.div_(weights.sum(dim=-1, keepdim=True))
        context = memory.values.new_zeros(
            count, self.heads, queries, memory.values.shape[2] // self.heads, dtype=wide
        )
        for part, block in memory.blocks():
            own = weights[..., part].to(memory.values.dtype)
            context += own @ self._split(block.values)
        mean = weights[:, 0] if self.heads == 1 else weights.mean(dim=1)
        return context.to(memory.values.dtype).transpose(1, 2).flatten(2), mean

    def within(
        self, query: Tensor, memory: Memory, parts: Sequence[slice], attended: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """`forward` as if the memory were nothing but `parts`. Weights of all else are 0.

        For inference, and one source, which is not copied.
        """
        blocks = [Memory(*(field[:, part] for field in memory)) for part in parts]
        past = [None if attended is None else attended[:, :, part] for part in parts]
        scores = [self.masked_scores(query, *each) for each in zip(blocks, past, strict=True)]
        sizes = [each.shape[3] for each in scores]
        found = torch.split(torch.cat(scores, dim=3).softmax(dim=3), sizes, dim=3)
        context = torch.stack(
            [
                own.to(block.values.dtype) @ self._split(block.values)
                for own, block in zip(found, blocks, strict=True)
            ]
        ).sum(dim=0)
        weights = found[0].new_zeros(*query.shape[:2], memory.mask.shape[1])
        for own, part in zip(found, parts, strict=True):
            weights[:, :, part] = own.mean(dim=1)
        return context.transpose(1, 2).flatten(2), weights

    def _filled(self, queries: int, dtype: torch.dtype) -> int:
        """How many queries to compute.

        In fp32 torch has one algorithm for products of less than 400 multiplications and another
        for larger ones; sources have at least 16 pieces.
        """
        if dtype != torch.float32:
            return -(-queries // ROW_MULTIPLE) * ROW_MULTIPLE
        return max(queries, -(-SMALL_PRODUCT // (16 * self.narrowest)))

    def _split(self, x: Tensor) -> Tensor:
        """(N, G, X, size/G) for x (N, X, size)."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def masked_scores(self, query: Tensor, memory: Memory, attended: Tensor | None) -> Tensor:
        """Scores (N, G, Q, S) for query (N, Q, D), at least in fp32; -inf at padding."""
        scores = self._scores(query, memory.keys)
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        if self.coverage is not None:
            assert attended is not None, "with coverage, attention needs its past"
            scores = scores + (self.coverage * attended).unsqueeze(1)
        return scores.masked_fill(~memory.mask[:, None, None, :], -math.inf)

    def _scores(self, query: Tensor, keys: Tensor) -> Tensor:
        if self.kind == "additive":
            projected = linear(query.flatten(0, 1), self.query.weight, self.query.bias)
            both = projected.view(query.shape).unsqueeze(2) + keys.unsqueeze(1)  # (N, Q, S, A)
            return (both.tanh() @ self.energy).unsqueeze(1)
        scores = self._split(query) @ self._split(keys).transpose(2, 3)
        return scores * self.scale if self.kind == "general" else scores
