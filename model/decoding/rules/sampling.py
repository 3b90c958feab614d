"""Sampling: draws pieces at random, so that each hypothesis is a sample.

The random number that a sample needs in a step is a function of (seed, source, step, hypothesis):
it depends neither on other sentences nor on the device, and the samples of two sentences are
independent though they have the same seed.
"""

# Shapes: M sentences, K hypotheses, V vocabulary, T target length.

from collections.abc import Sequence

import numpy
import torch
import torch.nn.functional as F
from torch import Tensor

from model.decoding.beam_search import Candidates
from model.decoding.options import MAX_BEAM_SIZE


def draws(seed: int, source: Sequence[int], steps: int, count: int) -> Tensor:
    """Random numbers (T, K) in [0, 1), fp64, for `steps` steps of `count` hypotheses.

    Args:
        source: its pieces.
    """
    # Rows of a fixed width, so that no number depends on `steps` or `count`.
    numbers = numpy.random.default_rng([seed, *source]).random((steps, MAX_BEAM_SIZE))
    return torch.from_numpy(numbers[:, :count].copy())


def sample(log_probs: Tensor, draw: Tensor, temperature: Tensor) -> Tensor:
    """One piece (M, K) for each hypothesis, by inverting the distribution function at `draw`.

    The probabilities are those of `log_probs` ** (1 / temperature), over what is not forbidden.

    Args:
        log_probs: (M, K, V), -inf for forbidden pieces; at least one is not.
        draw: (M, K) random numbers in [0, 1), fp64.
        temperature: (M,).
    """
    # A running sum in fp64 has a fixed order, so it does not depend on the other rows.
    mass = _tempered(log_probs, temperature).cumsum(dim=2, dtype=torch.float64)
    total = mass[..., -1:]
    # Rounding may make the product equal to the total: then the last possible piece is right.
    below = total.nextafter(torch.zeros_like(total))
    target = torch.minimum(draw.unsqueeze(2) * total, below)
    return torch.searchsorted(mass, target, right=True).squeeze(2)


def keep_probable(
    log_probs: Tensor, temperature: Tensor, top_k: int, top_p: Tensor | None
) -> Tensor:
    """`log_probs` with -inf for all but the most probable pieces.

    `top_k` keeps that many (0 keeps all), and among equal ones those with smaller ids. Then `top_p`
    (M,) fp64 keeps the fewest of these that have at least that share of their probability together
    (Holtzman et al. 2020, 3.1). Their number is counted in the ranked values, and the value of the
    last one identifies them, without ranking pieces.
    """
    if 0 < top_k < log_probs.shape[2]:
        ranked = log_probs.topk(top_k, dim=2).values
    else:
        ranked = log_probs.sort(dim=2, descending=True).values
    count = torch.full_like(ranked[..., :1], ranked.shape[2], dtype=torch.long)
    if top_p is not None:
        mass = _tempered(ranked, temperature).cumsum(dim=2, dtype=torch.float64)
        before = F.pad(mass[..., :-1], (1, 0))
        count = (before < top_p.view(-1, 1, 1) * mass[..., -1:]).sum(dim=2, keepdim=True)
    last = ranked.gather(2, count - 1)
    above, equal = log_probs > last, log_probs == last
    room = count - above.sum(dim=2, keepdim=True)
    keep = above | (equal & (equal.cumsum(dim=2) <= room))
    return log_probs.masked_fill(~keep, -torch.inf)


def _tempered(log_probs: Tensor, temperature: Tensor) -> Tensor:
    return (log_probs / temperature.view(-1, 1, 1)).softmax(dim=2)


def sampled_candidates(log_probs: Tensor, alive: Tensor, piece: Tensor) -> Candidates:
    """Extend every hypothesis by its `piece` (M, K), and put finished ones after the others.

    `alive` (M, K) has the log-probabilities so far, -inf where a sample is over.
    """
    total = alive + log_probs.gather(2, piece.unsqueeze(2)).squeeze(2)
    parent = total.isneginf().long().argsort(dim=1, stable=True)
    return Candidates(total.gather(1, parent), parent, piece.gather(1, parent))
