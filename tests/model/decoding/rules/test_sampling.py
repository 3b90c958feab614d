"""Samples: their frequencies, their random numbers, and what the engine makes of them."""

import itertools
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch

from model.decoding.beam_search import Hypothesis
from model.decoding.options import SearchOptions
from model.decoding.request import Request
from model.decoding.rules.sampling import draws, keep_probable, sample, sampled_candidates
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import EOS_ID

MakeNetwork = Callable[..., Seq2Seq]
Search = Callable[..., list[tuple[Hypothesis, ...]]]

LOGITS = torch.tensor([0.3, 2.0, -1.0, 1.0, -math.inf, 1.0, 0.0])
COUNT = 20_000
CHI_SQUARE = {1: 15.1, 2: 18.4, 3: 21.1, 4: 23.5, 5: 25.7}  # exceeded once in 10,000 times


def frequencies(**options: float) -> Counter[int]:
    """How often each piece is drawn in `COUNT` draws."""
    log_probs = LOGITS.log_softmax(0).expand(1, COUNT, -1)
    draw = torch.rand(1, COUNT, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    temperature = torch.tensor([options["temperature"]])
    if "top_k" in options:
        top_p = torch.tensor([options["top_p"]], dtype=torch.float64)
        top_k = int(options["top_k"])
        log_probs = keep_probable(log_probs, temperature, top_k, top_p if top_p < 1 else None)
    pieces = sample(log_probs, draw, temperature)
    return Counter(pieces[0].tolist())


def check_frequencies(found: Counter[int], weights: dict[int, float]) -> None:
    total = sum(weights.values())
    assert found.keys() == weights.keys()
    expected = {piece: COUNT * weight / total for piece, weight in weights.items()}
    statistic = sum((found[i] - e) ** 2 / e for i, e in expected.items())
    assert statistic < CHI_SQUARE[len(weights) - 1]


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_frequencies_are_the_probabilities(temperature: float) -> None:
    weights = {i: math.exp(x / temperature) for i, x in enumerate(LOGITS.tolist()) if x > -math.inf}
    check_frequencies(frequencies(temperature=temperature), weights)


def test_top_k_and_top_p_keep_the_most_probable() -> None:
    """In the order of probability: 1, then 3 and 5 with equal ones, 0, 6, 2."""
    e = math.exp
    keep_3 = {1: e(2), 3: e(1), 5: e(1)}
    check_frequencies(frequencies(temperature=1, top_k=3, top_p=1), keep_3)
    check_frequencies(frequencies(temperature=1, top_k=2, top_p=1), {1: e(2), 3: e(1)})
    # exp: 7.39 2.72 2.72 1.35 1.00 0.37, sum 15.54: three of them have 0.82 together.
    check_frequencies(frequencies(temperature=1, top_k=0, top_p=0.8), keep_3)
    check_frequencies(frequencies(temperature=1, top_k=7, top_p=0.83), keep_3 | {0: e(0.3)})
    # Of the three that top_k keeps, two have 0.79 of what these have.
    check_frequencies(frequencies(temperature=1, top_k=3, top_p=0.78), {1: e(2), 3: e(1)})
    # Temperature comes first: at 0.5 the most probable has 0.73 of all.
    found = frequencies(temperature=0.5, top_k=0, top_p=0.7)
    assert found == {1: COUNT}


def test_the_ends_of_the_random_numbers_draw_possible_pieces() -> None:
    log_probs = LOGITS.flip(0).log_softmax(0).expand(1, 2, -1)  # the impossible one is inside
    least_and_most = torch.tensor([[0.0, math.nextafter(1.0, 0.0)]], dtype=torch.float64)
    one = torch.ones(1)
    assert sample(log_probs, least_and_most, one).tolist() == [[0, 6]]
    only = torch.full((1, 2, 7), -math.inf)
    only[:, :, 3] = -0.1
    assert sample(only, least_and_most, one).tolist() == [[3, 3]]


def test_a_random_number_depends_on_seed_source_step_and_hypothesis_alone() -> None:
    source = (5, 9)
    some, more = draws(3, source, 4, 2), draws(3, source, 9, 5)
    assert some.equal(more[:4, :2])
    assert not draws(4, source, 4, 2).equal(some)
    assert len(set(more.flatten().tolist())) == 45


def test_samples_of_several_sentences_are_independent() -> None:
    """Of one seed, the first numbers of all sources are spread evenly, as are pairs of them."""
    first = torch.stack([draws(0, (5, number), 1, 1)[0, 0] for number in range(2000)])
    tenths = torch.histc(first.float(), 10, 0, 1)
    assert ((tenths - 200) ** 2 / 200).sum() < 33.7  # exceeded once in 10,000 times
    below = (first < 0.5).double() - 0.5
    assert abs(float((below[:-1] * below[1:]).sum())) < 4 * 0.25 * 2000**0.5


def test_samples_that_are_over_make_room_behind_the_others() -> None:
    log_probs = torch.tensor([-1.0, -2.0]).expand(1, 3, 2)
    alive = torch.tensor([[-0.5, -math.inf, -0.25]])
    chosen = sampled_candidates(log_probs, alive, torch.tensor([[1, 1, 0]]))
    assert chosen.parent.tolist() == [[0, 2, 1]]
    assert chosen.piece.tolist() == [[1, 0, 1]]
    assert chosen.log_prob.tolist() == [[-2.5, -1.25, -math.inf]]


def test_samples_of_whole_outputs_have_the_probabilities_of_the_network(
    make_network: MakeNetwork, forced: Callable[..., Any], search_all: Search
) -> None:
    """Two words, at most two of them: seven outputs, drawn 64 at a time."""
    network, src = make_network(6), (4, 5, 5)
    counts: Counter[tuple[int, ...]] = Counter()
    for seed in range(30):
        options = SearchOptions(
            beam_size=64, n_best=64, temperature=1, seed=seed, max_length_a=0, max_length_b=2
        )
        (found,) = search_all(network, [Request(src=src, options=options)], max_source=8)
        assert len(found) == 64
        counts.update(h.pieces for h in found)
    statistic = 0.0
    for output in [y for n in range(3) for y in itertools.product((4, 5), repeat=n)]:
        # Of what is drawn from: EOS and the words; behind two words EOS alone.
        rows = forced(network, src, output).log_probs[:2, EOS_ID:].softmax(dim=1)
        drawn = [*output, EOS_ID][:2]
        probability = math.prod(float(rows[t, y - EOS_ID]) for t, y in enumerate(drawn))
        expected = counts.total() * probability
        statistic += (counts[output] - expected) ** 2 / expected
    assert statistic < 27.9  # exceeded once in 10,000 times at 6 degrees of freedom


def test_sampled_hypotheses_have_their_true_log_probability(
    make_network: MakeNetwork, forced: Callable[..., Any], search_all: Search
) -> None:
    network, src = make_network(), (5, 9, 20)
    options = SearchOptions(beam_size=4, n_best=4, temperature=0.8, top_k=10, seed=2)
    (found,) = search_all(network, [Request(src=src, options=options)])
    assert len({h.pieces for h in found}) > 1
    for hypothesis in found:
        said = forced(network, src, hypothesis.pieces)
        assert hypothesis.log_prob == pytest.approx(said.log_prob, abs=1e-4)
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)


def test_a_very_low_temperature_is_greedy(make_network: MakeNetwork, search_all: Search) -> None:
    network, src = make_network(), (5, 9, 20, 7)
    cold = SearchOptions(beam_size=1, temperature=1e-4)
    (sampled,) = search_all(network, [Request(src=src, options=cold)])
    (greedy,) = search_all(network, [Request(src=src, options=SearchOptions(beam_size=1))])
    assert sampled == greedy
