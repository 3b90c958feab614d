"""Sentences with rules: alone = in company = shuffled = joining late, to the bit."""

import dataclasses
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch

from model.decoding.automaton import Automaton
from model.decoding.beam_search import Hypothesis
from model.decoding.engine import Engine
from model.decoding.options import SearchOptions
from model.decoding.precision.precision import Runnable, runnable
from model.decoding.request import Event, Finished, Progress, Request
from model.network.seq2seq import Seq2Seq
from model.translation.ensemble import Ensemble

MakeNetwork = Callable[..., Seq2Seq]
VOCAB = 24


def never(piece: int) -> Callable[[], Automaton]:
    """Avoids one piece behind any piece of a smaller number."""
    following = torch.zeros(2, VOCAB, dtype=torch.int32)
    following[:, 4:piece] = 1
    following[1, piece] = -1
    return lambda: Automaton(following)


SHARED = never(12)
RULES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"word_reward": 0.5, "n_best": 3}, {}),
    ({"coverage_beta": 0.8, "n_best": 5}, {}),
    ({"no_repeat_ngram": 2}, {}),
    ({"no_repeat_ngram": 1, "coverage_beta": 0.1}, {}),
    ({"temperature": 1.0, "seed": 3, "n_best": 5}, {}),
    ({"temperature": 0.7, "top_k": 5, "n_best": 2}, {"prefix": (9, 9)}),
    ({"temperature": 1.5, "top_p": 0.8, "no_repeat_ngram": 3}, {}),
    ({"diverse_groups": 5, "n_best": 5}, {"avoid": SHARED}),
    ({"beam_size": 4, "diverse_groups": 2, "n_best": 4, "diverse_strength": 1.0}, {}),
    ({"n_best": 2}, {"constraints": ((7, 8), (9,))}),
    ({"no_repeat_ngram": 2}, {"constraints": ((20, 21, 22),), "prefix": (5,)}),
    ({}, {"avoid": SHARED, "constraints": ((6,),)}),
    ({"beam_size": 1}, {"avoid": never(7)}),
    ({"beam_size": 1, "coverage_beta": 0.2}, {"constraints": ((10, 11),)}),
    ({"min_length": 6, "max_length_a": 1.0}, {"prefix": (4, 5, 6)}),
    ({"n_best": 3}, {"min_words": 7, "max_words": 9}),
    ({"beam_size": 1, "no_repeat_ngram": 3}, {"max_words": 2}),
    ({"temperature": 1.0, "seed": 5}, {"min_words": 6}),
]


def pool() -> list[Request]:
    chance = random.Random(3)
    lengths = [1, 5, 16, 31, 3, 9, 17, 2, 12, 24, 15, 7, 20, 30, 4, 8, 10, 6, 11]
    return [
        Request(
            src=tuple(chance.randrange(4, VOCAB) for _ in range(length)),
            options=SearchOptions(**({"max_length_a": 0.5, "max_length_b": 6} | given)),
            **phrases,
        )
        for length, (given, phrases) in zip(lengths, RULES, strict=True)
    ]


def equal(some: tuple[Hypothesis, ...], others: tuple[Hypothesis, ...]) -> bool:
    pairs = zip(some, others, strict=True)
    return some == others and all(one.weights.equal(other.weights) for one, other in pairs)


@pytest.fixture(params=["float32", "bfloat16", "int8", "ensemble"])
def network(request: pytest.FixtureRequest, make_network: MakeNetwork) -> Runnable:
    if request.param == "int8":
        return runnable(make_network(VOCAB), torch.int8)
    if request.param == "ensemble":
        return Ensemble([make_network(VOCAB), make_network(VOCAB, size=16, input_feeding=True)])
    return make_network(VOCAB).to(getattr(torch, request.param))


@pytest.mark.parametrize("max_rows", [160, 15])
def test_a_sentence_does_not_see_its_company(
    network: Runnable,
    search_all: Callable[..., list[tuple[Hypothesis, ...]]],
    max_rows: int,
) -> None:
    requests = pool()
    alone = [search_all(network, [request], max_source=40)[0] for request in requests]
    assert len({found[0].pieces for found in alone}) == len(alone)
    numbers = list(range(len(requests))) * 2
    random.Random(max_rows).shuffle(numbers)
    engine, owner = Engine(network, max_rows=max_rows, max_source=40), {}
    found: list[Finished] = []

    def step() -> None:
        found.extend(event for event in engine.step() if isinstance(event, Finished))

    for place, number in enumerate(numbers):
        owner[engine.add(requests[number])] = number
        if place % 3 == 0:
            step()
    while engine.busy:
        step()
    assert len(found) == len(numbers)
    for event in found:
        assert equal(event.hypotheses, alone[owner[event.id]]), RULES[owner[event.id]]


@pytest.mark.parametrize("number", range(len(RULES)))
def test_streamed_prefixes_grow_and_come_true(make_network: MakeNetwork, number: int) -> None:
    engine, request = Engine(make_network(VOCAB), max_source=40), pool()[number]
    engine.add(dataclasses.replace(request, stream=True))
    events: list[Event] = []
    while engine.busy:
        events += engine.step()
    *news, last = events
    assert isinstance(last, Finished)
    said: tuple[int, ...] = ()
    for event in news:
        assert isinstance(event, Progress)
        assert event.stable_prefix[: len(said)] == said
        assert len(event.stable_prefix) > len(said)
        said = event.stable_prefix
    assert last.hypotheses[0].pieces[: len(said)] == said


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_sentence_does_not_see_its_company_on_cuda(
    make_network: MakeNetwork, search_all: Callable[..., list[tuple[Hypothesis, ...]]]
) -> None:
    """Pieces, and scores to 1e-3. Samples are left out: a last bit may turn the draw of a piece."""
    network, device = make_network(VOCAB), torch.device("cuda")
    requests = [request for request in pool() if not request.options.temperature]
    together = search_all(network, requests, max_source=40, device=device)
    for request, found in zip(requests, together, strict=True):
        (alone,) = search_all(network, [request], max_source=40, device=device)
        assert [h.pieces for h in found] == [h.pieces for h in alone]
        assert [h.score for h in found] == pytest.approx([h.score for h in alone], abs=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_samples_are_drawn_on_cuda(
    make_network: MakeNetwork, search_all: Callable[..., list[tuple[Hypothesis, ...]]]
) -> None:
    network, device = make_network(VOCAB), torch.device("cuda")
    requests = [request for request in pool() if request.options.temperature]
    for found, request in zip(search_all(network, requests, device=device), requests, strict=True):
        assert len(found) == request.options.n_best
