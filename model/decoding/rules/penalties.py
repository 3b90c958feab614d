"""Penalties: further terms of the score, forbidden repetition, and diverse groups.

Score terms, besides log-probability and length penalty, and their bound:

    score = log_prob / length_penalty(|Y|) + word_reward * |Y| + coverage_beta * coverage(X, Y)

|Y| counts EOS, as in the length penalty. Only finished hypotheses have a score: the beam
keeps hypotheses by log-probability.

No n-gram of pieces occurs twice in a hypothesis: `forbid_repetition`.

Diverse beam search: groups that choose one after the other (Vijayakumar et al. 2018). A piece that
earlier groups chose in the same step loses `strength` for each time (their Hamming diversity) when
the next group chooses. This affects only the choice: log-probabilities and scores are those of the
network. EOS is not a choice of a word and loses nothing.
"""

# Shapes: M sentences, K hypotheses, G groups, V vocabulary, S source length with EOS, T target
# length, W windows of n pieces.

import torch
from torch import Tensor

from model.decoding.beam_search import Candidates, best_candidates
from model.text.tokenizer import EOS_ID


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
    # The minimum of the old value and +inf is the old value, so nothing else is changed.
    value = torch.full_like(repeats, torch.inf, dtype=log_probs.dtype)
    value.masked_fill_(repeats, -torch.inf)
    log_probs.scatter_reduce_(2, windows[..., -1], value, "amin")


def diverse_candidates(
    log_probs: Tensor, alive: Tensor, closed: Tensor, strength: Tensor, groups: int
) -> Candidates:
    """The candidates of each group, group by group; -inf where a group has no place left.

    Args:
        log_probs: (M, K, V) of the next piece.
        alive: (M, K) log-probabilities so far, the hypotheses of a group side by side.
        closed: (M, G) finished hypotheses of each group, which take up that many of its places.
        strength: (M,).
    """
    vocab, width = log_probs.shape[2], log_probs.shape[1] // groups
    place = torch.arange(width, device=alive.device)
    taken = log_probs.new_zeros(len(log_probs), vocab)
    found = []
    for group in range(groups):
        first = group * width
        totals = log_probs[:, first : first + width] + alive[:, first : first + width].unsqueeze(2)
        chosen = best_candidates(totals - (strength.unsqueeze(1) * taken).unsqueeze(1))
        log_prob = totals.flatten(1).gather(1, chosen.parent * vocab + chosen.piece)
        free = (width - closed[:, group]).unsqueeze(1)
        log_prob = log_prob.masked_fill(place >= free, -torch.inf)
        taken.scatter_add_(1, chosen.piece, (log_prob > -torch.inf).float())
        taken[:, EOS_ID] = 0.0
        found.append(Candidates(log_prob, chosen.parent + first, chosen.piece))
    return Candidates(*(torch.cat(parts, dim=1) for parts in zip(*found, strict=True)))


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
    # A running sum has the same order whatever padding follows, unlike `sum`.
    return logs.cumsum(dim=2)[..., -1].float()


def reward_bound(word_reward: float, next_length: int, longest: int) -> float:
    """The most reward of a hypothesis that will have between `next_length` and `longest` pieces.

    Both count EOS. Added to the bound of `is_over`, it keeps the stop rule exact: coverage is never
    above 0.
    """
    return max(word_reward * next_length, word_reward * longest)
