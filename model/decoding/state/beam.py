"""Beam: the search state of all slots of a lane."""

# Shapes: N slots, K hypotheses, T target length with EOS.

from functools import lru_cache
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from model.decoding.beam_search import length_penalty
from model.decoding.cuda.side_stream import sent
from model.decoding.options import SearchOptions, beginnings
from model.text.tokenizer import BOS_ID


class Beam(NamedTuple):
    """The search state; dimension 0 of every field is the slot."""

    token: Tensor  # (N, K) the last piece of each hypothesis
    log_prob: Tensor  # (N, K) fp32, -inf where no hypothesis is alive
    length: Tensor  # (N,) pieces so far
    finished: Tensor  # (N,) hypotheses finished so far
    best: Tensor  # (N, K) their scores, best first, then -inf
    forced: Tensor  # (N, K) EOS was forced by the length limit, against a better piece
    n_best: Tensor  # (N,)
    penalty: Tensor  # (N, T) length penalty of a hypothesis that finishes in each step
    longest: Tensor  # (N,) the last of these penalties that this sentence can reach
    limit: Tensor  # (N,) the most pieces that the sentence may have
    shortest: Tensor  # (N,) pieces below which EOS is forbidden; no more than `limit`
    over: Tensor  # (N,) whether the slot is idle, so that a torch step leaves it unchanged

    @classmethod
    def allocate(cls, slots: int, beam: int, steps: int, device: torch.device) -> "Beam":
        """Allocate for `slots` sentences of `beam` hypotheses and `steps` pieces with EOS."""

        def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(slots, *shape, dtype=dtype, device=device)

        return cls(
            token=zeros(beam, dtype=torch.long),
            log_prob=zeros(beam),
            length=zeros(dtype=torch.long),
            finished=zeros(dtype=torch.long),
            best=zeros(beam),
            forced=zeros(beam, dtype=torch.bool),
            n_best=torch.ones(slots, dtype=torch.long, device=device),
            penalty=zeros(steps),
            longest=zeros(),
            limit=zeros(dtype=torch.long),
            shortest=zeros(dtype=torch.long),
            over=torch.ones(slots, dtype=torch.bool, device=device),
        )

    def begin(self, slot: int, options: SearchOptions, limit: int) -> None:
        """Initialise `slot` for a new sentence with a length limit of `limit` pieces."""
        self.token[slot] = BOS_ID
        self.log_prob[slot] = -torch.inf
        self.log_prob[slot, :: options.beam_size // beginnings(options)] = 0.0
        self.length[slot] = 0
        self.finished[slot] = 0
        self.best[slot] = -torch.inf
        self.n_best[slot] = options.n_best
        penalty = penalties(options.length_penalty, options.alpha, limit)
        self.penalty[slot, : limit + 1] = sent(penalty, self.penalty.device)
        self.longest[slot] = self.penalty[slot, limit]
        self.limit[slot] = limit
        self.shortest[slot] = min(options.min_length, limit)
        self.over[slot] = False


@lru_cache(maxsize=1024)
def penalties(kind: str, alpha: float, limit: int) -> Tensor:
    """The length penalties (limit + 1,) of 1 to `limit` + 1 pieces, the same for many sentences."""
    options = SearchOptions(length_penalty=cast(Any, kind), alpha=alpha)
    return length_penalty(options, torch.arange(1, limit + 2))
