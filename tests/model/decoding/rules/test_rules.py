"""Rules in the engine: with a wide beam, an exhaustive search among what they allow."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from model.decoding.beam_search import Hypothesis, length_penalty
from model.decoding.options import SearchOptions
from model.decoding.request import Request
from model.network.seq2seq import Seq2Seq
from tests.model.decoding.conftest import never

MakeNetwork = Callable[..., Seq2Seq]
Pieces = tuple[int, ...]
Search = Callable[..., list[tuple[Hypothesis, ...]]]

VOCAB, LIMIT, SRC = 7, 3, (4, 5, 6, 5)  # 40 outputs of the words 4, 5 and 6: all fit the beam
BEAM = 64


def contains(output: Pieces, phrase: Pieces) -> bool:
    return any(output[i : i + len(phrase)] == phrase for i in range(len(output)))


def repeats(output: Pieces, n: int) -> bool:
    grams = [output[i : i + n] for i in range(len(output) - n + 1)]
    return len(set(grams)) < len(grams)


def score(options: SearchOptions, output: Pieces, log_prob: float, weights: torch.Tensor) -> float:
    """As it is defined, without any tensor of ours."""
    length = len(output) + 1
    found = log_prob / float(length_penalty(options, torch.tensor(length)))
    received = weights[:, : len(SRC)].double().sum(dim=0)
    coverage = float(received.clamp(max=1).log().sum())
    return found + options.word_reward * length + options.coverage_beta * coverage


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], Callable[[Pieces], bool]]] = {
    "prefix": ({}, {"prefix": (5, 4)}, lambda y: y[:2] == (5, 4)),
    "no n-gram twice": ({"no_repeat_ngram": 2}, {}, lambda y: not repeats(y, 2)),
    "no piece twice": ({"no_repeat_ngram": 1}, {}, lambda y: not repeats(y, 1)),
    "avoid": (
        {},
        {"avoid": lambda: never(VOCAB, (4,), (5, 6))},
        lambda y: not contains(y, (4,)) and not contains(y, (5, 6)),
    ),
    "avoid longer phrases": (
        {},
        {"avoid": lambda: never(VOCAB, (6, 5), (5, 5), (4, 6, 4))},
        lambda y: not any(contains(y, phrase) for phrase in ((6, 5), (5, 5), (4, 6, 4))),
    ),
    "one constraint": ({}, {"constraints": ((5, 5),)}, lambda y: contains(y, (5, 5))),
    "two constraints": (
        {},
        {"constraints": ((5,), (6, 4))},
        lambda y: contains(y, (5,)) and contains(y, (6, 4)),
    ),
    "reward": ({"word_reward": 0.7}, {}, lambda y: True),
    "a negative reward": ({"word_reward": -0.7, "length_penalty": "power"}, {}, lambda y: True),
    "coverage": ({"coverage_beta": 1.5}, {}, lambda y: True),
    "all together": (
        {"no_repeat_ngram": 1, "coverage_beta": 0.3, "word_reward": 0.2, "min_length": 2},
        {"prefix": (6,), "constraints": ((5,),), "avoid": lambda: never(VOCAB, (5, 4))},
        lambda y: (
            y[:1] == (6,)
            and 5 in y
            and not contains(y, (5, 4))
            and not repeats(y, 1)
            and len(y) >= 2
        ),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_wide_beam_is_exhaustive(
    make_network: MakeNetwork,
    forced: Callable[..., Any],
    search_all: Search,
    all_outputs: Callable[[int, int], Iterator[Pieces]],
    name: str,
) -> None:
    network = make_network(VOCAB)
    given, phrases, allowed = CASES[name]
    options = SearchOptions(
        beam_size=BEAM, n_best=BEAM, max_length_a=0, max_length_b=LIMIT, alpha=0.7, **given
    )
    expected = []
    for output in all_outputs(VOCAB, LIMIT):
        if allowed(output):
            said = forced(network, SRC, output)
            expected.append((-score(options, output, said.log_prob, said.weights), output))
    expected.sort()
    (found,) = search_all(network, [Request(src=SRC, options=options, **phrases)])
    assert [h.pieces for h in found] == [output for _, output in expected]
    assert [h.score for h in found] == pytest.approx([-s for s, _ in expected], abs=1e-4)
    first = SearchOptions(
        beam_size=BEAM, max_length_a=0, max_length_b=LIMIT, alpha=0.7, **given
    )  # the early stop loses nothing
    assert search_all(network, [Request(src=SRC, options=first, **phrases)])[0] == found[:1]


def test_a_hypothesis_that_cannot_go_on_ends(make_network: MakeNetwork, search_all: Search) -> None:
    """Three words, none of them twice, but ten pieces wanted: three it is."""
    options = SearchOptions(no_repeat_ngram=1, min_length=10, max_length_a=0, max_length_b=12)
    (found,) = search_all(make_network(VOCAB), [Request(src=SRC, options=options)])
    assert sorted(found[0].pieces) == [4, 5, 6]


def test_what_constraints_demand_may_be_repeated(
    make_network: MakeNetwork, search_all: Search
) -> None:
    options = SearchOptions(no_repeat_ngram=1, max_length_a=0, max_length_b=6)
    request = Request(src=SRC, options=options, constraints=((5, 6), (5, 4)))
    ((best,),) = search_all(make_network(VOCAB), [request])
    assert contains(best.pieces, (5, 6))
    assert contains(best.pieces, (5, 4))
    assert best.pieces.count(5) == 2


def test_what_cannot_be_met_gives_nothing(make_network: MakeNetwork, search_all: Search) -> None:
    options = SearchOptions(max_length_a=0, max_length_b=6)
    request = Request(
        src=SRC, options=options, constraints=((5, 4),), avoid=lambda: never(VOCAB, (4,))
    )
    assert search_all(make_network(VOCAB), [request]) == [()]


def test_a_prefix_is_forced_over_what_is_forbidden(
    make_network: MakeNetwork, forced: Callable[..., Any], search_all: Search
) -> None:
    network = make_network(VOCAB)
    options = SearchOptions(no_repeat_ngram=1, max_length_a=0, max_length_b=6)
    prefix = (4, 4, 5)
    request = Request(src=SRC, options=options, prefix=prefix, avoid=lambda: never(VOCAB, (5,)))
    ((best,),) = search_all(network, [request])
    assert best.pieces[:3] == prefix
    assert not {4, 5} & set(best.pieces[3:])
    assert best.log_prob == pytest.approx(forced(network, SRC, best.pieces).log_prob, abs=1e-5)


def test_the_whole_output_may_be_prescribed(make_network: MakeNetwork, search_all: Search) -> None:
    options = SearchOptions(max_length_a=0, max_length_b=3)
    prefix = (6, 6, 6)
    ((best,),) = search_all(make_network(VOCAB), [Request(src=SRC, options=options, prefix=prefix)])
    assert best.pieces == prefix
