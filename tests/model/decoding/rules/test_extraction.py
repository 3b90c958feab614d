"""Extraction in the engine: against every output there is, and in searches of all kinds."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.decoding.automaton import Automaton
from model.decoding.beam_search import Hypothesis, length_penalty
from model.decoding.engine import Engine
from model.decoding.options import SearchOptions
from model.decoding.precision.precision import Runnable, runnable
from model.decoding.request import Finished, Request
from model.decoding.rules.word_limits import PieceWords
from model.network.seq2seq import Seq2Seq
from tests.model.decoding.conftest import never

MakeNetwork = Callable[..., Seq2Seq]
Search = Callable[..., list[tuple[Hypothesis, ...]]]
Pieces = tuple[int, ...]
Kind = Literal["words", "subsequence"]

VOCAB, INNER = 8, 6  # pieces 4 and 5 begin a word, 6 and 7 go on with it
KINDS: list[Kind] = ["words", "subsequence"]


def is_extract(output: Pieces, words: tuple[Pieces, ...], kind: str) -> bool:
    """By its definition: the output is some of the words, one after the other."""
    return not output or any(
        output[: len(word)] == word
        and is_extract(
            output[len(word) :], words[place + 1 :] if kind == "subsequence" else words, kind
        )
        for place, word in enumerate(words)
    )


def words_of(source: Pieces) -> tuple[Pieces, ...]:
    starts = [place for place, piece in enumerate(source) if piece < INNER]
    return tuple(source[a:b] for a, b in pairwise([*starts, len(source)]))


def request(source: Pieces, kind: Kind, **options: Any) -> Request:
    return Request(
        src=source,
        options=SearchOptions(**{"max_length_a": 0.5, "extractive": kind} | options),
        source_words=words_of(source),
    )


SOURCES: list[Pieces] = [
    (4, 5, 6, 4),
    (4, 6, 4, 6, 7),  # a word that begins as another one
    (5, 6, 6, 7),  # longer than the limit
    (4, 4, 4, 5, 4),
    (6, 4, 7),  # what stands before the first word is none
    (7, 6),
    (5, 7, 4, 5, 6, 4, 7, 5),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", SOURCES)
def test_a_wide_beam_finds_every_extract(
    make_network: MakeNetwork,
    forced: Callable[..., Any],
    search_all: Search,
    all_outputs: Callable[[int, int], Iterator[Pieces]],
    source: Pieces,
    kind: Kind,
) -> None:
    network, limit = make_network(VOCAB), 3
    options = {"beam_size": 64, "n_best": 64, "max_length_a": 0, "max_length_b": limit}
    asked = request(source, kind, **options)
    expected = []
    for output in all_outputs(VOCAB, limit):
        if is_extract(output, words_of(source), kind):
            log_prob = forced(network, source, output).log_prob
            penalty = length_penalty(asked.options, torch.tensor(len(output) + 1))
            expected.append((-log_prob / float(penalty), output))
    expected.sort()
    (found,) = search_all(network, [asked])
    assert [h.pieces for h in found] == [output for _, output in expected]
    assert [h.score for h in found] == pytest.approx([-s for s, _ in expected], abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("least", "most"), [(0, 1), (2, 2), (2, 3)])
def test_limits_of_words_hold_for_extracts(
    make_network: MakeNetwork,
    search_all: Search,
    forced: Callable[..., Any],
    all_outputs: Callable[[int, int], Iterator[Pieces]],
    kind: Kind,
    least: int,
    most: int,
) -> None:
    """Again every output there is, now those with so many words."""
    network, source = make_network(VOCAB), (4, 6, 5, 4)
    asked = request(source, kind, beam_size=64, n_best=64, max_length_a=0, max_length_b=4)
    asked = Request(**as_fields(asked), min_words=least, max_words=most)
    expected = []
    for output in all_outputs(VOCAB, 4):
        words = sum(piece < INNER for piece in output)
        if is_extract(output, words_of(source), kind) and least <= words <= most:
            log_prob = forced(network, source, output).log_prob
            penalty = length_penalty(asked.options, torch.tensor(len(output) + 1))
            expected.append((-log_prob / float(penalty), output))
    expected.sort()
    begins = PieceWords.of(["", "", "", "", " a", " b", "c", "d"])
    (found,) = search_all(network, [asked], words=begins)
    assert [h.pieces for h in found] == [output for _, output in expected]


CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"beam_size": 1}, {}),
    ({"n_best": 5}, {}),
    ({"beam_size": 1, "min_length": 9}, {}),
    ({"max_length_a": 0, "max_length_b": 0}, {}),
    ({"max_length_a": 0, "max_length_b": 1, "n_best": 5}, {}),
    ({"max_length_a": 0, "max_length_b": 2, "min_length": 2}, {}),
    ({"no_repeat_ngram": 1, "n_best": 5}, {}),
    ({"no_repeat_ngram": 2, "min_length": 6}, {}),
    ({"temperature": 1.0, "n_best": 5}, {}),
    ({"temperature": 2.0, "top_k": 2, "min_length": 5, "seed": 4}, {}),
    ({"temperature": 1.5, "top_p": 0.5, "n_best": 5, "no_repeat_ngram": 2}, {}),
    ({"diverse_groups": 5, "n_best": 5}, {}),
    ({"beam_size": 4, "diverse_groups": 2, "max_length_a": 0, "max_length_b": 5}, {}),
    ({"coverage_beta": 0.5, "word_reward": 0.5, "n_best": 5}, {}),
    ({"n_best": 5}, {"avoid": lambda: never(VOCAB, (6, 7))}),
    ({"beam_size": 1, "min_length": 9}, {"avoid": lambda: never(VOCAB, (4, 6), (5, 5), (5, 4, 7))}),
    ({"temperature": 1.0, "min_length": 4}, {"avoid": lambda: never(VOCAB, (7,), (5, 6, 4))}),
]

sources = st.lists(st.integers(4, 7), min_size=1, max_size=12).map(tuple)


def network_of(kind: str, make_network: MakeNetwork) -> Runnable:
    network = make_network(VOCAB, copy="copy" in kind, coverage="copy" in kind)
    if "int8" in kind:
        return runnable(network, torch.int8)
    return network.to(torch.bfloat16) if "bf16" in kind else network


@pytest.mark.parametrize("kind", ["fp32", "bf16", "int8", "fp32 copy", "bf16 copy", "int8 copy"])
@settings(max_examples=5)
@given(drawn=st.lists(sources, min_size=len(CASES), max_size=len(CASES)), extractive=st.data())
def test_every_search_gives_nothing_but_extracts(
    make_network: MakeNetwork, search_all: Search, kind: str, drawn: list[Pieces], extractive: Any
) -> None:
    network = network_of(kind, make_network)
    requests = []
    for (options, phrases), source in zip(CASES, drawn, strict=True):
        asked = request(source, extractive.draw(st.sampled_from(KINDS)), **options)
        requests.append(Request(**{**as_fields(asked), **phrases}))
    for asked, found in zip(requests, search_all(network, requests, max_source=12), strict=True):
        assert found, "no output at all"
        for hypothesis in found:
            assert is_extract(hypothesis.pieces, words_of(asked.src), asked.options.extractive)
            if asked.avoid is not None:
                assert not avoided(hypothesis.pieces, asked.avoid())


def as_fields(asked: Request) -> dict[str, Any]:
    return {"src": asked.src, "options": asked.options, "source_words": asked.source_words}


def avoided(output: Pieces, automaton: Automaton) -> bool:
    state = 0
    for piece in output:
        state = int(automaton.following[state, piece])
        if state < 0:
            return True
    return False


@pytest.mark.parametrize("kind", ["fp32", "int8 copy"])
def test_an_extract_does_not_see_its_company(
    make_network: MakeNetwork, search_all: Search, kind: str
) -> None:
    network = network_of(kind, make_network)
    requests = [
        Request(**{**as_fields(request(source, extractive, **options)), **phrases})
        for (options, phrases), source, extractive in zip(
            CASES, SOURCES * 3, KINDS * 9, strict=False
        )
    ]
    requests += [Request(src=source, options=SearchOptions()) for source in SOURCES]
    alone = [search_all(network, [asked], max_source=12)[0] for asked in requests]
    assert search_all(network, requests, max_source=12, max_rows=20) == alone


def test_the_order_of_the_source_matters_only_to_a_subsequence(
    make_network: MakeNetwork, search_all: Search
) -> None:
    """Long outputs: words may come again without end, a subsequence ends with the source."""
    source = (4, 6, 5, 7)
    options = {"min_length": 12, "max_length_a": 0, "max_length_b": 14}
    requests = [request(source, kind, **options) for kind in KINDS]
    (words, *_), (subsequence, *_) = search_all(make_network(VOCAB), requests)
    assert 12 <= len(words.pieces) <= 14
    assert subsequence.pieces in ((5, 7), source)


def test_no_n_gram_twice_begins_no_word_but_breaks_none_off(
    make_network: MakeNetwork, search_all: Search
) -> None:
    """Piece 6 may occur once, but it belongs to both words, which may each occur once."""
    asked = request((4, 6, 5, 6), "words", no_repeat_ngram=1, min_length=9, max_length_b=9)
    ((best,),) = search_all(make_network(VOCAB), [asked])
    assert sorted(words_of(best.pieces)) == [(4, 6), (5, 6)]


def test_constraints_are_met_in_an_extract(make_network: MakeNetwork, search_all: Search) -> None:
    continues = torch.arange(VOCAB) >= INNER
    for kind in KINDS:
        for constraint in ((4, 6), (5,)):
            asked = request((4, 7, 4, 6, 5, 4, 6), kind)
            asked = Request(**{**as_fields(asked), "constraints": (constraint,)})
            ((best,),) = search_all(make_network(VOCAB), [asked], continues=continues)
            assert is_extract(best.pieces, words_of(asked.src), kind)
            assert constraint in words_of(best.pieces)


def test_a_source_without_words_gives_nothing_to_say(
    make_network: MakeNetwork, search_all: Search
) -> None:
    for found in search_all(make_network(VOCAB), [request((6, 7), kind) for kind in KINDS]):
        assert [hypothesis.pieces for hypothesis in found] == [()]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_every_search_on_cuda_gives_nothing_but_extracts(make_network: MakeNetwork) -> None:
    engine = Engine(make_network(VOCAB, copy=True), device=torch.device("cuda"))
    asked = {}
    for (options, phrases), source in zip(CASES, SOURCES * 3, strict=False):
        for kind in KINDS:
            one = Request(**{**as_fields(request(source, kind, **options)), **phrases})
            asked[engine.add(one)] = one
    while engine.busy:
        for event in engine.step():
            if isinstance(event, Finished):
                one = asked.pop(event.id)
                assert event.hypotheses
                for hypothesis in event.hypotheses:
                    assert is_extract(hypothesis.pieces, words_of(one.src), one.options.extractive)
    assert not asked


SIGN = 7


def signs_of(words: tuple[Pieces, ...]) -> tuple[int, ...]:
    """The pieces 7 at the end of each word, unless it has no other."""
    counts = []
    for word in words:
        written = [place for place, piece in enumerate(word) if piece != SIGN]
        counts.append(len(word) - 1 - written[-1] if written else 0)
    return tuple(counts)


def is_extract_with_signs(output: Pieces, words: tuple[Pieces, ...]) -> bool:
    """By its definition: words in order, each with or without signs at its end; the last piece of
    the source may end the output if it is a sign and goes on with no word there."""
    signs = signs_of(words)

    def rest_is(output: Pieces, first: int, allowed: tuple[Pieces, ...]) -> bool:
        if not output:
            return True
        return any(
            output[: len(word) - cut] == word[: len(word) - cut]
            and rest_is(output[len(word) - cut :], place + 1, allowed)
            for place, word in enumerate(allowed)
            if place >= first
            for cut in range(signs[place] + 1)
        )

    if rest_is(output, 0, words):
        return True
    if not words or not signs[-1] or len(output) < 2 or output[-1] != SIGN:
        return False
    last = max((place for place in range(len(output) - 1) if output[place] < INNER), default=0)
    goes_on = any(word[: len(output) - last] == output[last:] for word in words)
    return not goes_on and rest_is(output[:-1], 0, words[:-1])


@pytest.mark.parametrize(
    "source",
    [(4, 7, 5, 6, 4, 7), (4, 6, 7, 7, 5), (5, 7, 4, 6, 7), (4, 7, 6, 5, 4, 7), (7, 4), (4, 7)],
)
def test_signs_may_be_left_out_and_the_last_one_may_end_any_extract(
    make_network: MakeNetwork,
    search_all: Search,
    all_outputs: Callable[[int, int], Iterator[Pieces]],
    source: Pieces,
) -> None:
    network, words = make_network(VOCAB), words_of(source)
    options = {"beam_size": 64, "n_best": 64, "max_length_a": 0, "max_length_b": 4}
    asked = request(source, "subsequence", **options)
    asked = Request(**as_fields(asked), source_signs=signs_of(words))
    (found,) = search_all(network, [asked])

    expected = {o for o in all_outputs(VOCAB, 4) if is_extract_with_signs(o, words)}
    assert {hypothesis.pieces for hypothesis in found} == expected
