"""Coverage penalty and word reward against numbers worked out by hand."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from model.decoding.beam_search import Hypothesis, length_penalty
from model.decoding.options import SearchOptions
from model.decoding.request import Request
from model.decoding.rules.penalties import coverage, reward_bound
from model.network.seq2seq import Seq2Seq


def test_coverage_of_a_batch_of_two_with_padding() -> None:
    """Sources of three pieces and of one, both with EOS; the second row is padded with zeros."""
    attended = torch.zeros(2, 2, 16)
    attended[0, 0, :4] = torch.tensor([0.5, 1.5, 0.25, 0.75])
    attended[0, 1, :4] = torch.tensor([1.0, 1.0, 1.0, 0.0])  # nothing on EOS: no matter
    attended[1, 0, :2] = torch.tensor([0.1, 2.9])
    attended[1, 1, :2] = torch.tensor([3.0, 0.0])
    expected = [[math.log(0.5) + math.log(0.25), 0.0], [math.log(0.1), 0.0]]
    found = coverage(attended, torch.tensor([3, 1]))
    assert found.tolist() == [pytest.approx(row) for row in expected]


def test_coverage_is_finite_where_nothing_was_attended_to() -> None:
    assert -1000 < float(coverage(torch.zeros(1, 1, 16), torch.tensor([2]))) < -100


def test_coverage_does_not_see_padding() -> None:
    attended = torch.rand(3, 5, 48, generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([15, 2, 9])
    narrow = coverage(attended[..., :16].clone(), lengths)
    assert coverage(attended, lengths).equal(narrow)
    assert coverage(attended[1:2], lengths[1:2]).equal(narrow[1:2])


@pytest.mark.parametrize(("reward", "bound"), [(0.5, 4.0), (-0.5, -1.5), (0.0, 0.0)])
def test_no_length_has_more_than_the_bound(reward: float, bound: float) -> None:
    assert reward_bound(reward, 3, 8) == bound
    assert max(reward * length for length in range(3, 9)) == bound


def test_scores_are_those_of_the_definition(
    make_network: Callable[..., Seq2Seq],
    forced: Callable[..., Any],
    search_all: Callable[..., list[tuple[Hypothesis, ...]]],
) -> None:
    """Two sentences of different lengths together, so that the shorter one is padded."""
    network = make_network()
    options = SearchOptions(
        n_best=5, coverage_beta=0.4, word_reward=0.3, max_length_a=0, max_length_b=9
    )
    sources = [(5, 9, 20, 7, 8, 11, 9, 9, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13), (5, 9)]
    found = search_all(network, [Request(src=src, options=options) for src in sources])
    for src, hypotheses in zip(sources, found, strict=True):
        for hypothesis in hypotheses:
            said = forced(network, src, hypothesis.pieces)
            length = len(hypothesis.pieces) + 1
            received = [sum(row[i] for row in said.weights.tolist()) for i in range(len(src))]
            expected = said.log_prob / float(length_penalty(options, torch.tensor(length)))
            expected += 0.3 * length + 0.4 * sum(math.log(min(x, 1.0)) for x in received)
            assert hypothesis.score == pytest.approx(expected, abs=1e-4)
            assert hypothesis.log_prob == pytest.approx(said.log_prob, abs=1e-4)


def test_coverage_goes_with_the_hypotheses_that_the_beam_reorders(
    make_network: Callable[..., Seq2Seq], search_all: Callable[..., list[tuple[Hypothesis, ...]]]
) -> None:
    """The score tells of the very attention that the hypothesis reports."""
    network, src = make_network(seed=5), (5, 9, 20, 7, 8)
    options = SearchOptions(
        beam_size=8, n_best=8, length_penalty="none", coverage_beta=2.0, min_length=5
    )
    (found,) = search_all(network, [Request(src=src, options=options)])
    for hypothesis in found:
        received = hypothesis.weights.sum(dim=0)[: len(src)].clamp(max=1.0)
        expected = hypothesis.log_prob + 2.0 * float(received.log().sum())
        assert hypothesis.score == pytest.approx(expected, abs=1e-4)
