"""Rules state: what sentences with rules keep from step to step, by slot."""

# Shapes: N slots, K hypotheses, S source length with EOS, T target length with EOS, P pieces of
# constraints.

from typing import NamedTuple

import torch
from torch import Tensor

from model.decoding.rules.constraints import MAX_PIECES
from model.decoding.rules.extraction import SourceWords, rows_of


class HypothesisRules(NamedTuple):
    """State of each hypothesis, which moves with it in the beam."""

    sequence: Tensor  # (N, K, T) its pieces, where n-grams are forbidden
    attended: Tensor  # (N, K, S) fp32 sum of its attention, where coverage counts
    avoiding: Tensor  # (N, K) state of the automaton of `avoid`
    partial: Tensor  # (N, K) int64, see `constraints.Progress`
    met: Tensor  # (N, K) int64
    begun: Tensor  # (N, K) its words, where they are limited, see `word_limits.WordProgress`
    inside: Tensor  # (N, K)
    passed: Tensor  # (N, K) words of the source, where only those are used, see `WordsTaken`
    node: Tensor  # (N, K)
    naming: Tensor  # (N, K) state of `source_names.SourceNames`, where names are the source's


class SentenceRules(NamedTuple):
    """State of each sentence."""

    closed: Tensor  # (N, K) finished hypotheses of each group
    draw: Tensor  # (N, T, K) fp64 random numbers
    places: Tensor  # (N, 3, P) piece, depth and end, see `constraints.Constraints`
    bits: Tensor  # (N, 2) int64: starts and ends, see there
    words: Tensor  # (N, 5, rows_of(S)) the fields of `extraction.SourceWords`


def allocate_rules(
    slots: int, beam_size: int, steps: int, source: int, device: torch.device
) -> tuple[HypothesisRules, SentenceRules]:
    """Allocate for `slots` sentences of `source` pieces and `steps` outputs, both with EOS."""

    def zeros(*shape: int, dtype: torch.dtype = torch.long) -> Tensor:
        return torch.zeros(slots, *shape, dtype=dtype, device=device)

    state = HypothesisRules(
        sequence=zeros(beam_size, steps),
        attended=zeros(beam_size, source, dtype=torch.float32),
        avoiding=zeros(beam_size),
        partial=zeros(beam_size),
        met=zeros(beam_size),
        begun=zeros(beam_size),
        inside=zeros(beam_size),
        passed=zeros(beam_size),
        node=zeros(beam_size),
        naming=zeros(beam_size),
    )
    held = SentenceRules(
        closed=zeros(beam_size),
        draw=zeros(steps, beam_size, dtype=torch.float64),
        places=zeros(3, MAX_PIECES),
        bits=zeros(2),
        words=zeros(len(SourceWords._fields), rows_of(source)),
    )
    return state, held
