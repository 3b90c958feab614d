"""The search for a source of any length against that of an engine with room for it."""

import gc
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from model.decoding.available_memory import available_bytes
from model.decoding.beam_search import Hypothesis
from model.decoding.engine import MAX_LENGTH, Engine
from model.decoding.lexical_shortlist import Shortlist
from model.decoding.long_engine import LongEngine, long_network
from model.decoding.options import SearchOptions
from model.decoding.precision.precision import runnable
from model.decoding.request import Event, Finished, Progress, Refused, Request
from model.decoding.rules.word_limits import PieceWords
from model.decoding.shared_engine import SharedEngine
from model.decoding.torch.inference_network import InferenceNetwork
from model.errors import RequestError
from model.network.memory import WHOLE
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import EOS_ID
from model.translation.ensemble import Ensemble

MakeNetwork = Callable[..., Seq2Seq]
SearchAll = Callable[..., list[tuple[Hypothesis, ...]]]
VOCAB = 24
SRC = tuple(int(i) for i in np.random.default_rng(0).integers(EOS_ID + 1, VOCAB, 77))
NETWORKS: dict[str, dict[str, Any]] = {
    "general": {},
    "heads": {"attention_heads": 4, "input_feeding": True},
    "dot": {"attention": "dot", "cell": "gru"},
    "additive": {"attention": "additive", "cell": "rnn"},
    "copy": {"copy": True, "coverage": True},
}
SEARCHES = {
    "greedy": SearchOptions(beam_size=1, max_length_a=0, max_length_b=30),
    "beam": SearchOptions(beam_size=5, n_best=3, max_length_a=0.3),
    "shortest": SearchOptions(beam_size=3, n_best=3, min_length=12, max_length_a=0.2),
    "samples": SearchOptions(beam_size=4, n_best=4, temperature=0.7, top_k=9, max_length_a=0.2),
    "groups": SearchOptions(
        beam_size=4, n_best=2, diverse_groups=2, no_repeat_ngram=2, max_length_a=0.2
    ),
    "coverage": SearchOptions(
        beam_size=4, n_best=4, coverage_beta=0.3, word_reward=0.1, max_length_a=0.2
    ),
}


def in_fp32(network: Seq2Seq) -> InferenceNetwork:
    laid_out = runnable(network, torch.float32)
    assert isinstance(laid_out, InferenceNetwork)
    return laid_out


def run(engine: LongEngine) -> list[Event]:
    events: list[Event] = []
    while engine.busy:
        events += engine.step()
    return events


def only(engine: LongEngine, request: Request) -> tuple[Hypothesis, ...]:
    engine.add(request)
    (event,) = [event for event in run(engine) if not isinstance(event, Progress)]
    assert isinstance(event, Finished)
    return event.hypotheses


def check_equal(
    found: tuple[Hypothesis, ...], expected: tuple[Hypothesis, ...], first: int = 0
) -> None:
    """`first`: the first piece of the text."""
    assert [one.pieces for one in found] == [one.pieces for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.truncated == other.truncated
        assert one.score == pytest.approx(other.score, abs=1e-4)
        np.testing.assert_allclose(one.token_log_probs, other.token_log_probs, atol=1e-4)
        weights_of = other.weights[:, first:-1]
        places = weights_of.max(dim=1)
        assert one.weights.shape == (len(one.pieces) + 1, 0)
        assert one.most_attended is not None
        at, weights = zip(*one.most_attended, strict=True)
        np.testing.assert_allclose(weights, places.values, atol=1e-4)
        near = weights_of[range(len(at)), at]  # two may have as much, but for the rounding
        np.testing.assert_allclose(near, places.values, atol=1e-4)


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("kind", NETWORKS)
def test_it_finds_what_an_engine_with_room_finds(
    kind: str, search: str, make_network: MakeNetwork, search_all: SearchAll
) -> None:
    network = make_network(VOCAB, **NETWORKS[kind])
    request = Request(src=SRC, options=SEARCHES[search])
    (expected,) = search_all(network, [request], max_source=len(SRC), max_length=400)
    for chunk in (13, 1000):
        check_equal(only(LongEngine(in_fp32(network), chunk=chunk), request), expected)


def test_so_it_does_with_demands(make_network: MakeNetwork, search_all: SearchAll) -> None:
    """A prefix, phrases, limits of words, pieces that are not copied, words of the source."""
    network = make_network(VOCAB, copy=True, coverage=True)
    options = SearchOptions(beam_size=6, n_best=2, max_length_a=0, max_length_b=20)
    extracting = SearchOptions(
        beam_size=4, n_best=4, max_length_a=0, max_length_b=12, extractive="subsequence"
    )
    words = tuple(SRC[at : at + 2] for at in range(0, 76, 2))
    begins = {word[0] for word in words}
    words = tuple(word for word in words if word[1] not in begins)
    requests = [
        Request(src=SRC, options=options, prefix=SRC[:2], constraints=((9, 5), (12,))),
        Request(src=SRC, options=options, min_words=3, max_words=6),
        Request(src=(7, *SRC), options=options, uncopied=frozenset({7})),
        Request(src=SRC, options=extracting, min_words=2, source_words=words),
    ]
    expected = search_all(network, requests, max_source=len(SRC) + 1, max_length=400)
    engine = LongEngine(in_fp32(network), chunk=16)
    for request, one in zip(requests, expected, strict=True):
        found = only(engine, request)
        assert found
        check_equal(found, one, first=int(bool(request.uncopied)))


def test_and_with_a_shortlist(make_network: MakeNetwork, search_all: SearchAll) -> None:
    network = make_network(VOCAB, copy=True)
    shortlist = Shortlist(
        candidates=np.array([[i, (i + 1) % VOCAB] for i in range(VOCAB)], dtype=np.int32),
        frequent=np.array([EOS_ID], dtype=np.int32),
        byte_pieces=np.zeros(0, dtype=np.int32),
    )
    src = SRC[:12]
    request = Request(src=src, options=SEARCHES["beam"])
    (expected,) = search_all(
        network, [request], max_source=len(src), max_length=400, shortlist=shortlist
    )
    check_equal(only(LongEngine(in_fp32(network), shortlist=shortlist), request), expected)


def test_bf16_attends_in_fp32_and_finds_the_same(
    make_network: MakeNetwork, search_all: SearchAll
) -> None:
    network = make_network(VOCAB, copy=True, coverage=True)
    request = Request(src=SRC, options=SearchOptions(beam_size=1, max_length_a=0, max_length_b=9))
    (expected,) = search_all(
        network, [request], max_source=len(SRC), max_length=400, dtype=torch.bfloat16
    )
    laid_out = runnable(network, torch.bfloat16)
    assert isinstance(laid_out, InferenceNetwork)
    (found,) = only(LongEngine(laid_out, chunk=16), request)
    assert found.pieces == expected[0].pieces
    assert found.log_prob == pytest.approx(expected[0].log_prob, abs=0.3)


def test_int8_searches_long_sources_in_fp32_and_an_ensemble_does_not(
    make_network: MakeNetwork, search_all: SearchAll
) -> None:
    network = make_network(VOCAB)
    beside = long_network(runnable(network, torch.int8), network)
    request = Request(src=SRC, options=SEARCHES["beam"])
    (expected,) = search_all(network, [request], max_source=len(SRC), max_length=400)
    check_equal(only(LongEngine(beside), request), expected)
    laid_out = runnable(network, torch.float32)
    assert long_network(laid_out, network) is laid_out
    ensemble = Ensemble([network, make_network(VOCAB, seed=2)])
    with pytest.raises(RequestError, match="ensemble"):
        long_network(runnable(ensemble, torch.float32), ensemble)


def test_a_source_longer_than_what_is_read_at_once(
    make_network: MakeNetwork, search_all: SearchAll
) -> None:
    """Both attend in blocks then, and the padding of the engine is masked there."""
    network = make_network(VOCAB, copy=True, coverage=True, size=8)
    generator = np.random.default_rng(1)
    src = tuple(int(i) for i in generator.integers(EOS_ID + 1, VOCAB, WHOLE + 1000))
    request = Request(
        src=src, options=SearchOptions(beam_size=2, n_best=2, max_length_a=0, max_length_b=6)
    )
    (expected,) = search_all(network, [request], max_source=len(src), max_length=6, max_rows=2)
    check_equal(only(LongEngine(in_fp32(network)), request), expected)


def test_each_has_its_turn_and_what_is_streamed_is_a_prefix(make_network: MakeNetwork) -> None:
    engine = LongEngine(in_fp32(make_network(VOCAB)), chunk=16)
    options = SearchOptions(beam_size=3)
    alone = [
        only(engine, Request(src=SRC[:count], options=options))[0].pieces for count in (50, 9, 70)
    ]
    ids = [
        engine.add(Request(src=SRC[:count], options=options, stream=True)) for count in (50, 9, 70)
    ]
    events = run(engine)
    told = [event.id for event in events]
    assert told == sorted(told)  # one after the other
    ends = {event.id: event.hypotheses[0].pieces for event in events if isinstance(event, Finished)}
    assert [ends[id] for id in ids] == alone
    prefixes = [event for event in events if isinstance(event, Progress)]
    assert prefixes
    for event in prefixes:
        assert ends[event.id][: len(event.stable_prefix)] == event.stable_prefix


def held() -> int:
    """Bytes of the tensors of this process, views counted once."""
    gc.collect()
    found = [each for each in gc.get_objects() if issubclass(type(each), torch.Tensor)]
    storages = {each.untyped_storage().data_ptr(): each.untyped_storage() for each in found}
    return sum(storage.nbytes() for storage in storages.values())


@pytest.mark.parametrize("steps", [0, 1, 5, 20, 23])
def test_a_cancelled_source_is_gone_at_once(steps: int, make_network: MakeNetwork) -> None:
    """While it waits, in the middle of its encoding, and in the middle of its search."""
    engine = LongEngine(in_fp32(make_network(VOCAB)), chunk=16)
    before = held()
    options = SearchOptions(beam_size=2, min_length=50)
    id = engine.add(Request(src=SRC, options=options))
    for _ in range(steps):
        assert engine.step() == []
    if steps >= 20:
        assert held() > before
    engine.cancel(id)
    assert not engine.busy
    assert held() == before
    engine.cancel(id)  # nothing happens
    other = engine.add(Request(src=SRC[:5], options=options))
    assert [event.id for event in run(engine)] == [other]


def test_one_step_encodes_one_chunk(make_network: MakeNetwork) -> None:
    """Two layers, two directions and the keys of five chunks."""
    engine = LongEngine(in_fp32(make_network(VOCAB)), chunk=16)
    engine.add(Request(src=SRC, options=SearchOptions(beam_size=1, max_length_a=0, max_length_b=0)))
    steps = 0
    while engine.busy:
        engine.step()
        steps += 1
    assert steps == 5 * 5 + 1


def test_what_does_not_fit_into_memory_is_refused_before_it_is_taken(
    make_network: MakeNetwork,
) -> None:
    engine = LongEngine(in_fp32(make_network(VOCAB, copy=True)))
    options = SearchOptions(beam_size=64, coverage_beta=0.1, max_length_a=0, max_length_b=5)
    pieces = available_bytes(torch.device("cpu")) // 4_000
    src = (EOS_ID + 1,) * pieces
    engine.add(Request(src=src, options=options))
    following = engine.add(Request(src=SRC, options=options))
    before = held()
    (refused,) = engine.step()
    assert isinstance(refused, Refused)
    assert isinstance(refused.error, RequestError)
    assert f"source: {pieces + 1:,} pieces need" in str(refused.error)
    assert "\n" not in str(refused.error)
    assert held() == before
    (event,) = run(engine)  # the next one has its turn
    assert isinstance(event, Finished)
    assert event.id == following


def test_a_refusal_reaches_the_call_that_made_the_request(make_network: MakeNetwork) -> None:
    options = SearchOptions(beam_size=64, coverage_beta=0.1, max_length_a=0, max_length_b=5)
    src = (EOS_ID + 1,) * (available_bytes(torch.device("cpu")) // 4_000)
    shared = SharedEngine(LongEngine(in_fp32(make_network(VOCAB, copy=True))))
    requests = [Request(src=src, options=options), Request(src=SRC, options=options)]
    events = dict(shared.search(requests))
    assert isinstance(events[0], Refused)
    assert isinstance(events[1], Finished)


def test_requests_that_cannot_be_served_are_refused_at_once(make_network: MakeNetwork) -> None:
    engine = LongEngine(in_fp32(make_network(VOCAB)))
    short = SearchOptions(max_length_a=0, max_length_b=3)
    for request, message in (
        (Request(src=(), options=short), "no pieces"),
        (Request(src=(VOCAB,), options=short), f"{VOCAB} is no piece"),
        (Request(src=SRC, options=short, prefix=(5, 6, 7, 8)), "4 pieces"),
        (Request(src=SRC, options=SearchOptions(max_length_b=MAX_LENGTH)), "there is room for"),
    ):
        with pytest.raises(RequestError, match=message):
            engine.add(request)
    assert not engine.busy
    assert engine.step() == []


def test_words_of_constraints_end_where_the_engine_says(
    make_network: MakeNetwork, search_all: SearchAll
) -> None:
    """`continues` and `words` reach the rules."""
    network = make_network(VOCAB)
    continues = torch.arange(VOCAB) % 2 == 1
    words = PieceWords.one_each(VOCAB)
    request = Request(
        src=SRC,
        options=SearchOptions(beam_size=4, max_length_a=0, max_length_b=9),
        constraints=((6,),),
    )
    settings: dict[str, Any] = {"continues": continues, "words": words}
    (expected,) = search_all(network, [request], max_source=len(SRC), max_length=400, **settings)
    check_equal(only(LongEngine(in_fp32(network), **settings), request), expected)


def test_an_engine_has_no_room_for_it(make_network: MakeNetwork) -> None:
    """So the long engine is needed."""
    engine = Engine(make_network(VOCAB), max_source=32)
    with pytest.raises(RequestError, match="takes 1 to 32"):
        engine.add(Request(src=SRC, options=SearchOptions()))


def test_a_span_changes_what_is_found_and_the_whole_is_a_span(make_network: MakeNetwork) -> None:
    """Only attended pieces are copied."""
    network = make_network(VOCAB, copy=True, coverage=True, size=8)
    generator = np.random.default_rng(3)
    src = tuple(int(i) for i in generator.integers(EOS_ID + 1, VOCAB, 3000))
    engine = LongEngine(in_fp32(network))
    found = {
        span: only(
            engine,
            Request(
                src=src,
                options=SearchOptions(
                    beam_size=3,
                    n_best=3,
                    min_length=8,
                    max_length_a=0,
                    max_length_b=8,
                    on_long="whole",
                    attention_span=span,
                ),
            ),
        )
        for span in (0, 512, 3000, 4000)
    }
    assert found[3000] == found[4000] == found[0]
    assert found[512] != found[0]
    assert [one.most_attended for one in found[512]] != [one.most_attended for one in found[0]]


PEAKS = """
import numpy as np
import torch
from model.config import ModelConfig
from model.decoding.long_engine import LongEngine
from model.decoding.long_memory import bytes_needed
from model.decoding.options import SearchOptions
from model.decoding.request import Request
from model.decoding.torch.inference_network import InferenceNetwork
from model.network.seq2seq import Seq2Seq
from training.system.memory_use import peak_bytes

PIECES = 200_000
src = tuple(map(int, np.random.default_rng(0).integers(4, 400, PIECES)))
short = {"min_length": 4, "max_length_a": 0, "max_length_b": 4, "on_long": "whole"}
for sizes, given in (
    ({}, {"beam_size": 1}),
    ({}, {"beam_size": 8}),
    ({"copy": True, "coverage": True}, {"beam_size": 4}),
    ({}, {"beam_size": 4, "coverage_beta": 0.2}),
    ({}, {"beam_size": 4, "extractive": "subsequence"}),
    ({}, {"beam_size": 8, "attention_span": 2048}),
):
    config = ModelConfig(
        vocab_size=400, embedding_size=64, encoder_size=64, decoder_size=64, **sizes
    )
    options = SearchOptions(**short, **given)
    engine = LongEngine(InferenceNetwork(Seq2Seq(config).eval(), torch.float32))

    def run(source):
        words = None if options.extractive == "none" else tuple((id,) for id in source)
        engine.add(Request(src=source, options=options, source_words=words))
        while engine.busy:
            engine.step()

    run(src[:20_000])
    need = bytes_needed(config, PIECES, torch.float32, options=options)
    print(peak_bytes(lambda: run(src), torch.device("cpu")), need.total, need.bank)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_a_search_takes_is_told_beforehand() -> None:
    """With each option that adds to it, in a process of its own."""
    output = subprocess.run(
        [sys.executable, "-c", PEAKS], check=True, capture_output=True, text=True
    ).stdout
    for peak, told, bank in (map(int, line.split()) for line in output.splitlines()):
        assert bank / 2 < peak < told, output
