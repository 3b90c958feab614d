"""Constraints: make every hypothesis contain given phrases, by dynamic beam allocation.

Post & Vilar 2018: hypotheses are sorted into banks by how many pieces of the constraints they have
met, and the beam is divided among the banks, so that those with much progress are not crowded out
by more probable ones with little. What a bank cannot use goes to the others. As in Hu et al. 2019
this is tensor arithmetic: candidates are ranked within their bank, and taken in the order of
(rank, bank).

Occurrences are tracked by the Shift-And method (Baeza-Yates & Gonnet 1992). Each piece of each
constraint of a sentence has a bit, so two integers are the whole state of a hypothesis: where it
is, and what it has met. A constraint is met where its pieces follow one another and the next piece
does not continue the last word; EOS never does.
"""

# Shapes: M sentences, K hypotheses, P pieces of all constraints of a sentence, J candidates,
# V vocabulary.

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from model.decoding.beam_search import Candidates, best_candidates
from model.text.tokenizer import EOS_ID

MAX_PIECES = 62
"""Pieces of all constraints of a sentence: each is a bit of an integer."""


class Constraints(NamedTuple):
    """The constraints of M sentences, piece by piece, with padding at the end of rows."""

    piece: Tensor  # (M, P) long, -1 for padding
    depth: Tensor  # (M, P) long: the number of the piece in its constraint, from 1; padding 0
    end: Tensor  # (M, P) long: the bit number of the last piece of its constraint
    starts: Tensor  # (M,) int64 bits of the first pieces
    ends: Tensor  # (M,) int64 bits of the last pieces

    @classmethod
    def of(cls, phrases: Sequence[Sequence[int]]) -> "Constraints":
        """The constraints of one sentence, without dimension M, with P = MAX_PIECES, on the CPU."""
        piece = torch.full((MAX_PIECES,), -1)
        depth, end = torch.zeros(2, MAX_PIECES, dtype=torch.long)
        starts = ends = first = 0
        for phrase in phrases:
            behind = first + len(phrase)
            piece[first:behind] = torch.tensor(phrase)
            depth[first:behind] = torch.arange(1, len(phrase) + 1)
            end[first:behind] = behind - 1
            starts |= 1 << first
            ends |= 1 << (behind - 1)
            first = behind
        return cls(piece, depth, end, torch.tensor(starts), torch.tensor(ends))


class ConstraintProgress(NamedTuple):
    """The progress of hypotheses, in any shape whose dimension 0 is the sentence."""

    partial: Tensor  # int64 bits of the pieces that occurrences have reached
    met: Tensor  # int64 bits of the last pieces of the constraints that are met


def _bits(numbers: Tensor) -> Tensor:
    """(..., P) bool: the bits of the integers (...)."""
    places = torch.arange(MAX_PIECES, device=numbers.device)
    return ((numbers.unsqueeze(-1) >> places) & 1).bool()


def _packed(bits: Tensor) -> Tensor:
    """The integers (...) with the bits (..., P)."""
    return (bits.long() << torch.arange(MAX_PIECES, device=bits.device)).sum(dim=-1)


def advance(
    constraints: Constraints, before: ConstraintProgress, piece: Tensor, continues: Tensor
) -> ConstraintProgress:
    """The progress after each hypothesis (M, J) is extended by `piece` (M, J).

    `continues` (V,) tells which pieces continue the word before them.
    """
    starts, ends = constraints.starts.unsqueeze(1), constraints.ends.unsqueeze(1)
    whole = ~continues[piece]
    met = before.met | torch.where(whole, before.partial & ends, 0)
    fits = _packed(piece.unsqueeze(2) == constraints.piece.unsqueeze(1))
    return ConstraintProgress(((before.partial << 1) | starts) & fits, met)


def missing(constraints: Constraints, progress: ConstraintProgress) -> Tensor:
    """The number of pieces (M, J) that suffices to meet the rest, in any order.

    Only the longest unfinished occurrence counts, because completing it may break off the others.
    """
    met = _bits(progress.met)  # (M, J, P)
    depth, end = constraints.depth.unsqueeze(1), constraints.end.unsqueeze(1)
    owner_met = met.gather(2, end.expand_as(met))
    last = _bits(constraints.ends).unsqueeze(1)
    lengths = (depth * (last & ~met)).sum(dim=2)
    return lengths - (depth * (_bits(progress.partial) & ~owner_met)).amax(dim=2)


def expected(constraints: Constraints, progress: ConstraintProgress) -> tuple[Tensor, Tensor]:
    """The next pieces (M, K, P) of all unmet constraints, and which of them are valid (bool)."""
    reached = (progress.partial << 1) | constraints.starts.unsqueeze(1)
    met = _bits(progress.met | (progress.partial & constraints.ends.unsqueeze(1)))
    end = constraints.end.unsqueeze(1).expand_as(met)
    piece = constraints.piece.unsqueeze(1).expand_as(met)
    # A shift out of a last piece reaches a first one, which is in `starts` anyway.
    wanted = _bits(reached) & ~met.gather(2, end) & (piece >= 0)
    return piece.clamp(min=0), wanted


def constrained_candidates(
    log_probs: Tensor,
    alive: Tensor,
    constraints: Constraints,
    progress: ConstraintProgress,
    room: Tensor,
    continues: Tensor,
) -> Candidates:
    """K candidates of each sentence, divided among the banks; -inf where there are fewer.

    They are chosen from the K best of all, the best of each hypothesis, and all that advance a
    constraint. EOS is possible only when all constraints are met, and a piece only if the rest
    would still fit before the length limit.

    Args:
        log_probs: (M, K, V) of the next piece.
        alive: (M, K) log-probabilities so far.
        room: (M,) pieces that may follow the next one.
        continues: (V,) bool, see `advance`.
    """
    beam, vocab = log_probs.shape[1:]
    totals = log_probs + alive.unsqueeze(2)
    best = best_candidates(totals)
    first = torch.arange(beam, device=alive.device) * vocab
    single = first + totals.argmax(dim=2)
    piece, wanted = expected(constraints, progress)
    forward = torch.where(wanted, first.view(1, -1, 1) + piece, single.unsqueeze(2)).flatten(1)
    index = torch.cat([best.parent * vocab + best.piece, single, forward], dim=1).sort(dim=1).values
    parent, chosen = index // vocab, index % vocab
    before = ConstraintProgress(progress.partial.gather(1, parent), progress.met.gather(1, parent))
    after = advance(constraints, before, chosen, continues)
    rest = missing(constraints, after)
    complete = after.met == constraints.ends.unsqueeze(1)
    possible = torch.where(chosen == EOS_ID, complete, rest <= room.unsqueeze(1))
    possible[:, 1:] &= index[:, 1:] != index[:, :-1]
    score = totals.flatten(1).gather(1, index).masked_fill(~possible, -torch.inf)
    order = _shared_out(score, -rest)[:, :beam]
    return Candidates(score.gather(1, order), parent.gather(1, order), chosen.gather(1, order))


def _shared_out(score: Tensor, bank: Tensor) -> Tensor:
    """The order (M, J) by (rank in the bank, higher bank, smaller index); -inf scores last."""
    order = score.argsort(dim=1, descending=True, stable=True)
    bank = bank.masked_fill(score.isneginf(), torch.iinfo(bank.dtype).min)
    order = order.gather(1, bank.gather(1, order).argsort(dim=1, descending=True, stable=True))
    ranked = bank.gather(1, order)
    place = torch.arange(ranked.shape[1], device=ranked.device)
    is_first = torch.ones_like(ranked, dtype=torch.bool)
    is_first[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    rank = place - torch.where(is_first, place, 0).cummax(dim=1).values
    rank = rank.masked_fill(score.gather(1, order).isneginf(), len(place))
    return order.gather(1, rank.argsort(dim=1, stable=True))
