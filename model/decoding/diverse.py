"""Diverse beam search: groups that choose one after the other (Vijayakumar et al. 2018).

A piece that earlier groups chose in the same step loses `strength` for each time (their Hamming
diversity) when the next group chooses. It stays a matter of that choice: the log-probability that
goes on, and the score in the end, are those of the network. EOS is no choice of a word and loses
nothing.
"""

# Shapes: M sentences, K hypotheses, G groups, V vocabulary.

import torch
from torch import Tensor

from model.decoding.search import Candidates, best_candidates
from model.text.tokenizer import EOS_ID


def diverse_candidates(
    log_probs: Tensor, alive: Tensor, closed: Tensor, strength: Tensor, groups: int
) -> Candidates:
    """The candidates of each group, group by group; -inf where a group has no place left.

    Args:
        log_probs: (M, K, V) of the next piece.
        alive: (M, K) log-probabilities so far, the hypotheses of a group side by side.
        closed: (M, G) how many hypotheses of each group are finished: so many places less.
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
