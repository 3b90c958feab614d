"""Constraints: what is met, against a naive reading; and the outputs of narrow and wide beams."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.decoding.beam_search import Hypothesis
from model.decoding.engine import Engine
from model.decoding.options import SearchOptions
from model.decoding.request import Request
from model.decoding.rules.constraints import (
    ConstraintProgress,
    Constraints,
    advance,
    expected,
    missing,
)
from model.errors import RequestError
from model.network.seq2seq import Seq2Seq

MakeNetwork = Callable[..., Seq2Seq]
Search = Callable[..., list[tuple[Hypothesis, ...]]]
Pieces = tuple[int, ...]

EOS, VOCAB = 3, 8
CONTINUES = torch.tensor([False] * 6 + [True] * 2)  # 6 and 7 go on with the word before them


def is_met(output: Pieces, phrase: Pieces) -> bool:
    """Whether the phrase stands in an output that is over, and its last word ends with it."""
    count = len(phrase)
    return any(
        output[i : i + count] == phrase
        and not any(bool(CONTINUES[piece]) for piece in output[i + count :][:1])
        for i in range(len(output) - count + 1)
    )


phrases = st.lists(
    st.lists(st.integers(4, 7), min_size=1, max_size=3).map(tuple),
    min_size=1,
    max_size=3,
    unique=True,
)


def follow(constraints: Constraints, output: Pieces) -> ConstraintProgress:
    """The progress of one hypothesis of one sentence."""
    zero = torch.zeros(1, 1, dtype=torch.long)
    progress = ConstraintProgress(zero, zero)
    for piece in output:
        progress = advance(constraints, progress, torch.tensor([[piece]]), CONTINUES)
    return progress


def stacked(given: list[Pieces]) -> Constraints:
    return Constraints(*(field.unsqueeze(0) for field in Constraints.of(given)))


@settings(max_examples=200)
@given(phrases, st.lists(st.integers(4, 7), max_size=8).map(tuple))
def test_met_is_what_a_naive_reading_finds(given: list[Pieces], output: Pieces) -> None:
    constraints = stacked(given)
    progress = follow(constraints, (*output, EOS))
    met = [is_met(output, phrase) for phrase in given]
    assert bool(progress.met == constraints.ends) == all(met)
    unmet = sum(len(phrase) for phrase, yes in zip(given, met, strict=True) if not yes)
    assert int(missing(constraints, progress)) == unmet


@given(phrases, st.lists(st.integers(4, 7), max_size=8).map(tuple))
def test_an_expected_piece_brings_the_rest_nearer(given: list[Pieces], output: Pieces) -> None:
    """So what is missing is always enough, whatever is forbidden otherwise."""
    words = [tuple(4 + piece % 2 for piece in phrase) for phrase in given]
    constraints = stacked(list(dict.fromkeys(words)))
    progress = follow(constraints, output)
    rest = int(missing(constraints, progress))
    piece, wanted = expected(constraints, progress)
    if not bool(wanted.any()):  # all of them stand there, and the next piece ends their words
        assert follow(constraints, (*output, EOS)).met == constraints.ends
    else:
        steps = [follow(constraints, (*output, y)) for y in piece[wanted].tolist()]
        assert min(int(missing(constraints, after)) for after in steps) < rest


@pytest.mark.parametrize("beam_size", [1, 2, 5])
def test_every_output_contains_its_constraints(
    make_network: MakeNetwork, search_all: Search, beam_size: int
) -> None:
    network, chance = make_network(), random.Random(beam_size)
    requests = []
    for number in range(12):
        pieces = [chance.randrange(4, 24) for _ in range(5)]
        given = (tuple(pieces[:2]), tuple(pieces[2:])) if number % 2 else (tuple(pieces),)
        limit = 5 if number % 3 == 0 else 12  # just enough room for them, or more
        options = SearchOptions(
            beam_size=beam_size, n_best=beam_size, max_length_a=0, max_length_b=limit
        )
        src = tuple(chance.randrange(4, 24) for _ in range(chance.randrange(1, 20)))
        requests.append(Request(src=src, options=options, constraints=given))
    for request, found in zip(requests, search_all(network, requests), strict=True):
        assert found
        for hypothesis in found:
            text = hypothesis.pieces
            for phrase in request.constraints:
                assert any(text[i : i + len(phrase)] == phrase for i in range(len(text)))


def test_words_that_go_on_are_not_what_was_demanded(
    make_network: MakeNetwork,
    forced: Callable[..., Any],
    search_all: Search,
    all_outputs: Callable[[int, int], Iterator[Pieces]],
) -> None:
    """With a wide beam, the best of all outputs in which the word is whole."""
    network, src = make_network(VOCAB), (4, 5, 6)
    options = SearchOptions(beam_size=64, max_length_a=0, max_length_b=3, length_penalty="none")
    for phrase in ((4,), (5, 6), (4, 7)):
        found = search_all(
            network,
            [Request(src=src, options=options, constraints=(phrase,))],
            continues=CONTINUES,
        )
        allowed = (y for y in all_outputs(VOCAB, 3) if is_met(y, phrase))
        best = max(allowed, key=lambda y: forced(network, src, y).log_prob)
        assert found[0][0].pieces == best


def test_a_constraint_costs_little_where_the_beam_would_have_had_it(
    make_network: MakeNetwork, search_all: Search
) -> None:
    """Demanding what the best translation says anyway gives that translation."""
    network, src = make_network(), (5, 9, 20)
    options = SearchOptions(beam_size=8, min_length=4, max_length_a=0, max_length_b=8)
    ((free,),) = search_all(network, [Request(src=src, options=options)])
    request = Request(src=src, options=options, constraints=(free.pieces[1:3],))
    assert search_all(network, [request])[0][0].pieces == free.pieces


@pytest.mark.parametrize(
    ("demanded", "message"),
    [
        (
            {"constraints": ((4, 5, 6), (7, 8, 9))},
            r"constraints: 6 pieces, but the translation of a source of 2 may have 5\. Shorten",
        ),
        ({"prefix": (4,) * 6}, r"prefix: 6 pieces, but the translation of a source of 2 may have"),
        (
            {"prefix": (4,) * 3, "constraints": ((5, 6, 7),)},
            r"prefix, constraints: 6 pieces together, but .* may have 5\. Raise max_length_b",
        ),
        ({"constraints": (tuple(range(4, 24)),) * 4}, r"80 pieces, but at most 62 can be demanded"),
    ],
)
def test_demands_beyond_the_limit_are_refused(
    make_network: MakeNetwork, demanded: dict[str, Any], message: str
) -> None:
    engine = Engine(make_network())
    options = SearchOptions(max_length_a=0, max_length_b=5)
    with pytest.raises(RequestError, match=message):
        engine.add(Request(src=(5, 6), options=options, **demanded))
    assert not engine.busy
