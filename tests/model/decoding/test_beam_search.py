"""The functions of beam search against plain Python."""

import math
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.decoding.beam_search import (
    BLOCK,
    Extensions,
    best_candidates,
    common_prefix,
    is_over,
    length_penalty,
    trace,
)
from model.decoding.options import SearchOptions


def test_length_penalties_by_hand() -> None:
    length = torch.tensor([1, 7])
    gnmt = length_penalty(SearchOptions(length_penalty="gnmt", alpha=0.5), length)
    power = length_penalty(SearchOptions(length_penalty="power", alpha=2), length)
    none = length_penalty(SearchOptions(length_penalty="none", alpha=2), length)
    assert gnmt.tolist() == pytest.approx([1.0, math.sqrt(2.0)])
    assert power.tolist() == [1.0, 49.0]
    assert none.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("alpha", [0.0, 0.2, 1.0, 5.0])
@pytest.mark.parametrize("kind", ["gnmt", "power", "none"])
def test_length_penalties_never_fall(kind: Literal["gnmt", "power", "none"], alpha: float) -> None:
    options = SearchOptions(length_penalty=kind, alpha=alpha)
    penalty = length_penalty(options, torch.arange(1, 3000))
    assert bool((penalty.diff() >= 0).all())
    assert bool(penalty.isfinite().all())
    assert float(penalty[0]) > 0


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    beam=st.integers(1, 6),
    vocab=st.sampled_from([6, 7, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5]),
    levels=st.sampled_from([1, 2, 5, 1000]),
)
def test_candidates_are_those_of_a_full_sort(seed: int, beam: int, vocab: int, levels: int) -> None:
    """Few levels make nearly everything a tie, -0.0 ties with 0.0, and -inf ranks last."""
    generator = torch.Generator().manual_seed(seed)
    totals = -torch.randint(0, levels, (3, beam, vocab), generator=generator).float()
    totals[:, torch.rand(beam, generator=generator) < 0.3] = -torch.inf
    alive = -torch.randint(0, levels, (3, beam), generator=generator).float()
    chooser = Extensions(beam, vocab, totals.device)
    for summed, chosen in (
        (totals, best_candidates(totals)),
        (totals + alive.unsqueeze(2), chooser.best(totals, alive)),
    ):
        for row, values in enumerate(summed.flatten(1).tolist()):
            order = sorted(range(len(values)), key=lambda i: (-values[i], i))[:beam]
            assert chosen.log_prob[row].tolist() == [values[i] for i in order]
            assert chosen.parent[row].tolist() == [i // vocab for i in order]
            assert chosen.piece[row].tolist() == [i % vocab for i in order]
    assert torch.equal(chooser.best_with_largest(totals, alive)[1], totals.amax(dim=2))
    only = torch.full_like(totals, -torch.inf)
    only[:, :, 4] = totals[:, :, 4]
    expected, found = chooser.best(only, alive), chooser.best_of_one(totals[:, :, 4], alive, 4)
    assert torch.equal(found.log_prob, expected.log_prob)
    possible = expected.log_prob > -torch.inf
    assert torch.equal(found.parent[possible], expected.parent[possible])
    assert torch.equal(found.piece[possible], expected.piece[possible])


def test_stop_rule() -> None:
    """Longest penalty 2: an alive log-probability of -6 can still become a score of -3."""
    none = -math.inf
    alive = torch.tensor([[-6.0, -8.0], [-6.0, none], [none, none], [-6.0, none], [none, none]])
    last = torch.tensor([-2.9, -3.0, -3.0, none, none])
    over = is_over(alive, last, torch.full((5,), 2.0))
    assert over.tolist() == [True, False, True, False, True]


# Four steps of a beam of 2; the best hypothesis reads 11 13 15 16, the other 11 12 14 17.
PIECES = [[10, 11], [12, 13], [14, 15], [16, 17]]
PARENTS = [[0, 0], [1, 1], [0, 1], [1, 0]]


def test_trace_follows_the_back_pointers() -> None:
    assert trace(PIECES, PARENTS, 3, 0) == ((11, 13, 15, 16), [0, 1, 1, 1])
    assert trace(PIECES, PARENTS, 0, 1) == ((11,), [0])


@pytest.mark.parametrize(
    ("ends", "prefix"),
    [
        ([(3, 0)], (11, 13, 15, 16)),
        ([(3, 0), (3, 1)], (11,)),
        ([(2, 0), (2, 1)], (11,)),
        ([(3, 0), (1, 1)], (11, 13)),
        ([(3, 0), (0, 0)], ()),
        ([(3, 0), (-1, 0)], ()),
        ([(0, 0), (0, 1)], ()),
    ],
)
def test_common_prefix(ends: list[tuple[int, int]], prefix: tuple[int, ...]) -> None:
    assert common_prefix(PIECES, PARENTS, ends) == prefix
