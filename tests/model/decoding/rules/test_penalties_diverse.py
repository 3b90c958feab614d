"""Diverse beam search by hand, and in the engine against one written out plainly."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from model.decoding.beam_search import Hypothesis, length_penalty
from model.decoding.options import SearchOptions
from model.decoding.request import Request
from model.decoding.rules.penalties import diverse_candidates
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import EOS_ID

MakeNetwork = Callable[..., Seq2Seq]
Pieces = tuple[int, ...]


def test_groups_by_hand() -> None:
    """Two groups of two, strength 1. Pieces 4 to 6; 4 is best everywhere, by less than 1."""
    none = -math.inf
    row = [none, none, none, none, -0.5, -1.0, -2.0]
    log_probs = torch.tensor([[row] * 4])
    alive = torch.tensor([[0.0, -0.3, 0.0, -0.3]])
    chosen = diverse_candidates(log_probs, alive, torch.zeros(1, 4), torch.ones(1), 2)
    # The first group: -0.5 (0, 4), -0.8 (1, 4). Then 4 has lost 2: the second takes 5 and 5.
    assert chosen.parent.tolist() == [[0, 1, 2, 3]]
    assert chosen.piece.tolist() == [[4, 4, 5, 5]]
    assert chosen.log_prob.tolist() == [pytest.approx([-0.5, -0.8, -1.0, -1.3])]


def test_a_group_with_a_finished_hypothesis_has_a_place_less() -> None:
    log_probs = torch.tensor([[[-9.0] * 4 + [-0.5, -1.0]] * 4])
    alive = torch.tensor([[0.0, -math.inf, 0.0, -0.3]])
    closed = torch.tensor([[1, 0, 0, 0]])
    chosen = diverse_candidates(log_probs, alive, closed, torch.tensor([0.4]), 2)
    assert chosen.log_prob[0, 1] == -math.inf
    # The place that was not free has taken nothing: 4 has lost 0.4 once, and still leads.
    assert chosen.piece[0, [0, 2, 3]].tolist() == [4, 4, 5]


def test_eos_loses_nothing() -> None:
    log_probs = torch.tensor([[[-9.0, -9.0, -9.0, -0.1, -0.5]] * 2])
    chosen = diverse_candidates(log_probs, torch.zeros(1, 2), torch.zeros(1, 2), torch.ones(1), 2)
    assert chosen.piece.tolist() == [[EOS_ID, EOS_ID]]


def plain_diverse_search(
    network: Seq2Seq, src: Pieces, options: SearchOptions, forced: Callable[..., Any], limit: int
) -> list[Pieces]:
    """As it reads, hypothesis by hypothesis, without an early stop."""
    groups, width = options.diverse_groups, options.beam_size // options.diverse_groups
    alive: list[list[tuple[Pieces, float]]] = [[((), 0.0)] for _ in range(groups)]
    finished: list[list[tuple[Pieces, float]]] = [[] for _ in range(groups)]
    for length in range(limit + 1):
        taken: dict[int, int] = {}
        for group in range(groups):
            candidates = []
            for parent, (pieces, log_prob) in enumerate(alive[group]):
                row = forced(network, src, pieces).log_probs[-1].tolist()
                for piece in [EOS_ID] if length == limit else range(EOS_ID, len(row)):
                    loss = options.diverse_strength * taken.get(piece, 0)
                    total = log_prob + row[piece]
                    candidates.append((-(total - loss), parent, piece, total))
            kept = sorted(candidates)[: width - len(finished[group])]
            grown = [((*alive[group][p][0], piece), total) for _, p, piece, total in kept]
            finished[group] += [(y[:-1], total) for y, total in grown if y[-1] == EOS_ID]
            alive[group] = [(y, total) for y, total in grown if y[-1] != EOS_ID]
            for pieces, _ in alive[group]:
                taken[pieces[-1]] = taken.get(pieces[-1], 0) + 1

    def rank(entry: tuple[Pieces, float]) -> tuple[float, Pieces]:
        penalty = float(length_penalty(options, torch.tensor(len(entry[0]) + 1)))
        return -entry[1] / penalty, entry[0]

    ranked = sorted((entry for group in finished for entry in group), key=rank)
    return [pieces for pieces, _ in ranked]


@pytest.mark.parametrize(("groups", "strength"), [(2, 0.5), (3, 1.5), (6, 1.0)])
def test_the_engine_equals_a_plain_search(
    make_network: MakeNetwork,
    forced: Callable[..., Any],
    search_all: Callable[..., list[tuple[Hypothesis, ...]]],
    groups: int,
    strength: float,
) -> None:
    network, src = make_network(12), (5, 9, 7)
    options = SearchOptions(
        beam_size=6,
        n_best=6,
        diverse_groups=groups,
        diverse_strength=strength,
        max_length_a=0,
        max_length_b=6,
    )
    (found,) = search_all(network, [Request(src=src, options=options)])
    expected = plain_diverse_search(network, src, options, forced, 6)
    assert [h.pieces for h in found] == expected
    one_beam = SearchOptions(beam_size=6, n_best=6, max_length_a=0, max_length_b=6)
    assert found != search_all(network, [Request(src=src, options=one_beam)])[0]
