"""The engine against searches written out plainly, and against itself in other company."""

import dataclasses
import itertools
import random
from collections.abc import Callable, Iterable
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.decoding.beam_search import Hypothesis, length_penalty
from model.decoding.engine import (
    MAX_LENGTH,
    Engine,
    Event,
    Finished,
    Progress,
    Request,
    check_room,
    room_for,
)
from model.decoding.options import SearchOptions, length_limit
from model.decoding.precision.precision import runnable
from model.errors import RequestError
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import BOS_ID, EOS_ID
from model.translation.ensemble import Ensemble

MakeNetwork = Callable[..., Seq2Seq]
Results = dict[int, tuple[Hypothesis, ...]]


def finish(engine: Engine) -> Results:
    """Run until nothing is left to do."""
    return {event.id: event.hypotheses for event in run(engine) if isinstance(event, Finished)}


def run(engine: Engine) -> list[Event]:
    events: list[Event] = []
    while engine.busy:
        events += engine.step()
    return events


def only(engine: Engine, request: Request) -> tuple[Hypothesis, ...]:
    """What an idle engine finds for one sentence."""
    id = engine.add(request)
    return finish(engine)[id]


def search(
    network: Seq2Seq, src: tuple[int, ...], options: SearchOptions, max_source: int = 48
) -> tuple[Hypothesis, ...]:
    """One sentence alone."""
    return only(Engine(network, max_source=max_source), Request(src=src, options=options))


@torch.inference_mode()
def teacher_forced(
    network: Seq2Seq, src: tuple[int, ...], pieces: Iterable[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities (T, V) and attention weights (T, S), unpadded, by `unroll`."""
    memory = network.encode(torch.tensor([[*src, EOS_ID]]), torch.tensor([len(src) + 1]))
    features, weights = network.unroll(
        torch.tensor([[BOS_ID, *pieces]]), network.start(memory), memory
    )
    return network.log_scores(features, weights, memory)[0].log_softmax(dim=-1), weights[0]


def log_prob_of(network: Seq2Seq, src: tuple[int, ...], pieces: tuple[int, ...]) -> float:
    log_probs, _ = teacher_forced(network, src, pieces)
    return sum(float(log_probs[t, piece]) for t, piece in enumerate((*pieces, EOS_ID)))


def ranked(
    options: SearchOptions, hypotheses: Iterable[tuple[tuple[int, ...], float]]
) -> list[tuple[float, tuple[int, ...]]]:
    """(score, pieces) of (pieces, log-probability), the best first."""
    scored = []
    for pieces, log_prob in hypotheses:
        penalty = float(length_penalty(options, torch.tensor(len(pieces) + 1)))
        scored.append((log_prob / penalty, pieces))
    return sorted(scored, key=lambda entry: (-entry[0], entry[1]))


def plain_beam_search(
    network: Seq2Seq, src: tuple[int, ...], options: SearchOptions
) -> list[tuple[float, tuple[int, ...], bool]]:
    """(score, pieces, truncated): the rules of the search as they read, without an early stop."""
    limit = length_limit(options, len(src))
    alive: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    finished: list[tuple[tuple[int, ...], float]] = []
    truncated = {}
    for length in range(limit + 1):
        candidates = []
        for parent, (pieces, log_prob) in enumerate(alive):
            row = teacher_forced(network, src, pieces)[0][-1].tolist()
            if length == limit:
                truncated[pieces] = row[EOS_ID] < max(row[EOS_ID:])
            for piece in [EOS_ID] if length == limit else range(EOS_ID, len(row)):
                if piece != EOS_ID or length >= min(options.min_length, limit):
                    candidates.append((-(log_prob + row[piece]), parent, piece))
        kept = sorted(candidates)[: options.beam_size - len(finished)]
        grown = [(alive[parent][0], piece, -negative) for negative, parent, piece in kept]
        finished += [(pieces, log_prob) for pieces, piece, log_prob in grown if piece == EOS_ID]
        alive = [
            ((*pieces, piece), log_prob) for pieces, piece, log_prob in grown if piece != EOS_ID
        ]
    best = ranked(options, finished)[: options.n_best]
    return [(score, pieces, truncated.get(pieces, False)) for score, pieces in best]


SEARCHES = [
    SearchOptions(beam_size=1),
    SearchOptions(beam_size=1, min_length=4),
    SearchOptions(beam_size=2, n_best=2, max_length_a=0, max_length_b=0),
    SearchOptions(beam_size=3, alpha=0.6, n_best=3),
    SearchOptions(beam_size=5, length_penalty="none", n_best=2, max_length_a=1, max_length_b=2),
    SearchOptions(beam_size=5, length_penalty="power", alpha=2.0, max_length_a=1, max_length_b=4),
    SearchOptions(beam_size=5, n_best=5, alpha=0, min_length=3, max_length_a=0.5, max_length_b=3),
    SearchOptions(beam_size=4, n_best=4, min_length=30, max_length_a=0, max_length_b=5),
    SearchOptions(beam_size=12, n_best=1, alpha=5.0, max_length_a=0, max_length_b=7),
]


@pytest.mark.parametrize(("input_feeding", "copy"), [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("options", SEARCHES, ids=range(len(SEARCHES)))
def test_equals_a_plain_beam_search_that_never_stops_early(
    make_network: MakeNetwork, options: SearchOptions, input_feeding: bool, copy: bool
) -> None:
    for seed, src in ((1, (5, 9, 20)), (2, (7,) * 5)):
        network = make_network(input_feeding=input_feeding, copy=copy, coverage=copy, seed=seed)
        found = search(network, src, options)
        expected = plain_beam_search(network, src, options)
        assert [h.pieces for h in found] == [pieces for _, pieces, _ in expected]
        assert [h.truncated for h in found] == [truncated for _, _, truncated in expected]
        assert [h.score for h in found] == pytest.approx([e[0] for e in expected], abs=1e-5)


@pytest.mark.parametrize("kind", ["gnmt", "power", "none"])
def test_a_wide_beam_is_exhaustive(
    make_network: MakeNetwork, kind: Literal["gnmt", "power", "none"]
) -> None:
    """Two words, at most four of them: 31 possible outputs, all in a beam of 32, in their order."""
    network, src = make_network(6), (4, 5, 5)
    options = SearchOptions(
        beam_size=32,
        n_best=31,
        length_penalty=kind,
        max_length_a=0,
        max_length_b=4,
    )
    outputs = [y for n in range(5) for y in itertools.product((4, 5), repeat=n)]
    expected = ranked(options, ((y, log_prob_of(network, src, y)) for y in outputs))
    found = search(network, src, options)
    assert [h.pieces for h in found] == [pieces for _, pieces in expected]
    assert [h.score for h in found] == pytest.approx([score for score, _ in expected], abs=1e-5)
    first = SearchOptions(
        beam_size=32,
        length_penalty=kind,
        max_length_a=0,
        max_length_b=4,
    )
    assert search(network, src, first) == found[:1]  # the early stop loses nothing


@pytest.mark.parametrize("beam_size", [1, 2, 5, 32])
def test_ties_are_broken_by_pieces(make_network: MakeNetwork, beam_size: int) -> None:
    """A zero output layer makes all pieces equally probable: shorter is better, then smaller."""
    network = make_network(6)
    with torch.no_grad():
        network.output.weight.zero_()
        network.output.bias.zero_()
    options = SearchOptions(
        beam_size=beam_size, n_best=beam_size, length_penalty="none", max_length_a=0, max_length_b=4
    )
    found = [h.pieces for h in search(network, (4,), options)]
    if beam_size == 32:
        assert found == [y for n in range(5) for y in itertools.product((4, 5), repeat=n)]
    else:
        # Step 1 has the candidates EOS, 4, 5. With a beam of 5, step 2 keeps 4 EOS, 4 4, 4 5 and
        # 5 EOS; step 3 keeps 4 4 EOS and 4 4 4; the last place goes to 4 4 4 EOS.
        by_hand = [(), (4,), (5,), (4, 4), (4, 4, 4)]
        assert found == by_hand[:beam_size]


@pytest.mark.parametrize("input_feeding", [False, True])
def test_greedy_is_argmax_by_step(make_network: MakeNetwork, input_feeding: bool) -> None:
    network, src = make_network(input_feeding=input_feeding), (5, 6, 7, 8)
    pieces: list[int] = []
    token = BOS_ID
    with torch.inference_mode():
        memory = network.encode(torch.tensor([[*src, EOS_ID]]), torch.tensor([len(src) + 1]))
        state = network.start(memory)
        while len(pieces) < 18:
            state, features, weights = network.step(torch.tensor([[token]]), state, memory)
            scores = network.log_scores(features, weights, memory)[0, 0]
            token = EOS_ID + int(scores[EOS_ID:].argmax())
            if token == EOS_ID:
                break
            pieces.append(token)
    assert list(search(network, src, SearchOptions(beam_size=1))[0].pieces) == pieces
    assert pieces


@pytest.mark.parametrize("pointer", [False, True])
@pytest.mark.parametrize("input_feeding", [False, True])
def test_log_prob_and_weights_are_those_of_forced_decoding(
    make_network: MakeNetwork, input_feeding: bool, pointer: bool
) -> None:
    network = make_network(input_feeding=input_feeding, copy=pointer, coverage=pointer)
    src = (5, 6, 7, 8, 6, 10, 11)
    found = search(network, src, SearchOptions(beam_size=6, n_best=6))
    assert len(found) == 6
    for hypothesis in found:
        _, weights = teacher_forced(network, src, hypothesis.pieces)
        assert hypothesis.log_prob == pytest.approx(
            log_prob_of(network, src, hypothesis.pieces), abs=1e-5
        )
        assert hypothesis.weights.shape == (len(hypothesis.pieces) + 1, len(src) + 1)
        torch.testing.assert_close(hypothesis.weights, weights, atol=1e-5, rtol=0)


def test_int8_copies_what_the_network_copies(make_network: MakeNetwork) -> None:
    """The probabilities of its outputs are those of the network, but for int8."""
    network = make_network(copy=True, coverage=True)
    src = (5, 6, 7, 8, 6, 10, 11)
    options = SearchOptions(beam_size=6, n_best=6)
    request = Request(src=src, options=options)
    for hypothesis in only(Engine(network, dtype=torch.int8), request):
        _, weights = teacher_forced(network, src, hypothesis.pieces)
        torch.testing.assert_close(hypothesis.weights, weights, atol=0.1, rtol=0)
        assert hypothesis.log_prob == pytest.approx(
            log_prob_of(network, src, hypothesis.pieces), abs=0.1 * (len(hypothesis.pieces) + 1)
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8])
@pytest.mark.parametrize("members", [1, 2])
def test_what_only_tells_the_model_something_is_not_copied(
    make_network: MakeNetwork, dtype: torch.dtype, members: int
) -> None:
    """No output has it, and the probability of all others is what the network gives them.

    An ensemble normalises the mean of its members anew, which changes a little.
    """
    if members > 1 and dtype == torch.int8:
        pytest.skip("there is no ensemble in int8")
    networks = [make_network(copy=True, seed=seed) for seed in range(1, members + 1)]
    with torch.no_grad():
        for one in networks:
            assert one.copy_gate is not None
            one.copy_gate.bias.fill_(3.0)
            one.output.bias[6] = -1e4  # what there is of it is copied
    network = networks[0] if members == 1 else Ensemble(networks)
    options = SearchOptions(beam_size=6, n_best=6)
    request = Request(src=(6, 7, 8, 9), options=options)
    engine = Engine(network, dtype=dtype, max_rows=6)
    assert any(6 in h.pieces for h in only(engine, request))
    found = only(engine, dataclasses.replace(request, uncopied=frozenset((6, 23))))
    assert len(found) == 6
    exact = 1e-5 if dtype == torch.float32 and members == 1 else 0.1
    for hypothesis in found:
        assert 6 not in hypothesis.pieces
        expected = log_prob_of(network, request.src, hypothesis.pieces)
        close = exact * (len(hypothesis.pieces) + 1)
        assert hypothesis.log_prob == pytest.approx(expected, abs=close)
    assert any(6 in h.pieces for h in only(engine, request))  # the slot forgets it


# Sentence independence: alone = in company = shuffled = joining late, to the bit.

SETTINGS = [
    SearchOptions(beam_size=5, n_best=3, max_length_a=1),
    SearchOptions(beam_size=1, max_length_a=1, max_length_b=5),
    SearchOptions(beam_size=5, length_penalty="power", max_length_a=0.5, max_length_b=3),
    SearchOptions(beam_size=3, min_length=6, length_penalty="none", max_length_a=0.5),
]
KINDS = [
    (dtype, feeding, attention, heads, pointer)
    for dtype in ("float32", "bfloat16", "int8")
    for feeding, attention, heads, pointer in (
        (False, "general", 1, ""),
        (True, "general", 1, ""),
        (False, "general", 4, ""),
        (False, "additive", 1, ""),
        (False, "dot", 1, ""),
        (False, "general", 1, "copy"),
        (False, "general", 4, "copy coverage"),
        (True, "additive", 1, "copy coverage"),
    )
]


def pool() -> list[Request]:
    """Sentences of every length bucket with all kinds of options."""
    chance = random.Random(7)
    lengths = [1, 2, 3, 7, 14, 15, 16, 17, 24, 31, 32, 40]
    return [
        Request(
            src=tuple(chance.randrange(4, 24) for _ in range(length)),
            options=SETTINGS[number % len(SETTINGS)],
        )
        for number, length in enumerate(lengths)
    ]


class Alone:
    """A network, and what each sentence of the pool gives by itself."""

    def __init__(self, network: Seq2Seq, dtype: torch.dtype) -> None:
        self.network, self.dtype, self.requests = network, dtype, pool()
        self.results: list[tuple[Hypothesis, ...]] = []
        for request in self.requests:
            self.results.append(only(self.engine(max_rows=160), request))

    def engine(self, max_rows: int) -> Engine:
        return Engine(self.network, dtype=self.dtype, max_rows=max_rows, max_source=40)

    def check(self, number: int, found: tuple[Hypothesis, ...]) -> None:
        assert found == self.results[number]  # pieces, log_prob, score, truncated
        for one, other in zip(found, self.results[number], strict=True):
            assert torch.equal(one.weights, other.weights)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: "-".join(map(str, kind)))
def alone(request: pytest.FixtureRequest, make_network: MakeNetwork) -> Alone:
    dtype, feeding, attention, heads, pointer = request.param
    network = make_network(
        input_feeding=feeding,
        attention=attention,
        attention_heads=heads,
        copy="copy" in pointer,
        coverage="coverage" in pointer,
        seed=6 if attention == "dot" else 1,  # another one says much the same about all sentences
    )
    return Alone(network, getattr(torch, dtype))


@settings(deadline=None, max_examples=6)
@given(
    order=st.lists(st.integers(0, 11), min_size=2, max_size=16),
    gaps=st.lists(st.integers(0, 4), min_size=16, max_size=16),
    max_rows=st.sampled_from([1, 7, 10, 15, 160]),
)
def test_a_sentence_does_not_see_its_company(
    alone: Alone, order: list[int], gaps: list[int], max_rows: int
) -> None:
    """Any sentences in any order, each joining some steps after the one before."""
    engine = alone.engine(max_rows)
    numbers: dict[int, int] = {}
    found: Results = {}

    def step() -> None:
        found.update(
            (event.id, event.hypotheses) for event in engine.step() if isinstance(event, Finished)
        )

    for number, gap in zip(order, gaps, strict=False):
        numbers[engine.add(alone.requests[number])] = number
        for _ in range(gap):
            step()
    while engine.busy:
        step()
    assert found.keys() == numbers.keys()
    for id, number in numbers.items():
        alone.check(number, found[id])


def test_the_pool_is_worth_comparing(alone: Alone) -> None:
    """Outputs of different lengths, some cut off and most not."""
    best = [found[0] for found in alone.results]
    assert len({len(hypothesis.pieces) for hypothesis in best}) >= 4
    assert len({hypothesis.pieces for hypothesis in best}) >= 8


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8])
def test_a_sentence_does_not_see_its_company_at_full_width(
    make_network: MakeNetwork, dtype: torch.dtype
) -> None:
    """Matrix libraries choose other kernels for other widths: so once as wide as real models."""
    network, chance = runnable(make_network(600, size=512), dtype), random.Random(7)
    options = SearchOptions(n_best=2, max_length_a=0.5, max_length_b=2)
    requests = [
        Request(src=tuple(chance.randrange(4, 600) for _ in range(length)), options=options)
        for length in [1, 15, 16, 3, 9] * 4
    ]
    together = Engine(network, max_rows=60, max_source=16)  # twelve slots
    ids = [together.add(request) for request in requests]
    found = finish(together)
    for number in (0, 4, 11, 12, 18):
        alone = only(Engine(network, max_source=16), requests[number])
        assert found[ids[number]] == alone
        for one, other in zip(found[ids[number]], alone, strict=True):
            assert torch.equal(one.weights, other.weights)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int8])
def test_nor_with_two_threads(make_network: MakeNetwork, dtype: torch.dtype) -> None:
    """Threads share out a product of one sentence in another way than that of several."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        network, chance = runnable(make_network(600, size=512), dtype), random.Random(7)
        options = SearchOptions(n_best=2, max_length_a=0.1, max_length_b=2)
        requests = [
            Request(src=tuple(chance.randrange(4, 600) for _ in range(38)), options=options)
            for _ in range(9)
        ]
        together = Engine(network, max_source=40)
        ids = [together.add(request) for request in requests]
        found = finish(together)
        for id, request in zip(ids, requests, strict=True):
            alone = only(Engine(network, max_source=40), request)
            assert found[id] == alone
            for one, other in zip(found[id], alone, strict=True):
                assert torch.equal(one.weights, other.weights)
    finally:
        torch.set_num_threads(before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_sentence_does_not_see_its_company_on_cuda(
    make_network: MakeNetwork, dtype: torch.dtype
) -> None:
    requests, network = pool(), make_network()

    def engine() -> Engine:
        return Engine(network, device=torch.device("cuda"), dtype=dtype, max_source=40)

    together = engine()
    ids = [together.add(request) for request in requests]
    found = finish(together)
    for id, request in zip(ids, requests, strict=True):
        expected = only(engine(), request)
        assert [h.pieces for h in found[id]] == [h.pieces for h in expected]
        assert [h.score for h in found[id]] == pytest.approx([h.score for h in expected], abs=1e-3)


# Limits, cancelling, streaming, refusals


def test_limits_are_those_of_each_sentence(make_network: MakeNetwork) -> None:
    """EOS is so improbable that every sentence runs into its own limit, and says so."""
    network = make_network()
    with torch.no_grad():
        network.output.bias[EOS_ID] = -30.0
    engine = Engine(network, max_source=30)
    options = SearchOptions(max_length_a=1.5, max_length_b=2)
    ids = {engine.add(Request(src=(5,) * n, options=options)): n for n in (1, 4, 20, 30)}
    found = finish(engine)
    for id, length in ids.items():
        (best,) = found[id]
        assert len(best.pieces) == int(1.5 * length + 2)
        assert best.truncated


def test_a_cancelled_sentence_makes_room_and_disturbs_nobody(make_network: MakeNetwork) -> None:
    network, requests = make_network(), pool()
    options = SearchOptions(beam_size=4, min_length=5)
    requests = [Request(src=request.src, options=options) for request in requests]
    expected = [search(network, request.src, options) for request in requests]
    engine = Engine(network, max_rows=12, max_source=48)  # three slots
    ids = [engine.add(request) for request in requests]
    found: Results = {}

    def collect(events: list[Event]) -> None:
        found.update((e.id, e.hypotheses) for e in events if isinstance(e, Finished))

    for _ in range(2):
        collect(engine.step())
    cancelled = {ids[0], ids[2], ids[5], ids[11]}  # two in flight, two waiting
    for id in cancelled:
        engine.cancel(id)
    collect(run(engine))
    assert found.keys() == set(ids) - cancelled
    for id, hypotheses in zip(ids, expected, strict=True):
        assert id in cancelled or found[id] == hypotheses
    engine.cancel(ids[1])  # finished: no effect
    assert not engine.busy


def test_cancelling_everything_leaves_nothing_to_do(make_network: MakeNetwork) -> None:
    engine = Engine(make_network(), max_rows=5)
    ids = [engine.add(Request(src=(5, 6), options=SearchOptions())) for _ in range(3)]
    engine.step()
    for id in ids:
        engine.cancel(id)
    assert not engine.busy
    assert engine.step() == []


@pytest.mark.parametrize("options", SETTINGS, ids=range(len(SETTINGS)))
def test_streamed_prefixes_grow_and_come_true(
    make_network: MakeNetwork, options: SearchOptions
) -> None:
    network = make_network()
    engine = Engine(network, max_source=48)
    for request in pool():
        id = engine.add(Request(src=request.src, options=options, stream=True))
        *events, last = [event for event in run(engine) if event.id == id]
        assert isinstance(last, Finished)
        assert last.hypotheses == search(network, request.src, options)
        said: tuple[int, ...] = ()
        for event in events:
            assert isinstance(event, Progress)
            assert len(event.stable_prefix) > len(said)
            assert event.stable_prefix[: len(said)] == said
            said = event.stable_prefix
        best = last.hypotheses[0].pieces
        assert best[: len(said)] == said
        if options.beam_size == 1:
            assert len(events) == len(best)


@pytest.mark.parametrize(
    ("src", "options", "message"),
    [
        ((), SearchOptions(), "source: 0 pieces, but this engine takes 1 to 20"),
        ((5,) * 21, SearchOptions(), "source: 21 pieces, but this engine takes 1 to 20"),
        ((5,) * 20, SearchOptions(max_length_a=3), "they allow 70 pieces for a source of 20"),
    ],
)
def test_refused_requests(
    make_network: MakeNetwork, src: tuple[int, ...], options: SearchOptions, message: str
) -> None:
    engine = Engine(make_network(), max_source=20)
    with pytest.raises(RequestError, match=message):
        engine.add(Request(src=src, options=options))
    assert not engine.busy


@pytest.mark.parametrize("dtype", [torch.float32, torch.int8])
@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(src=(5, 60), options=SearchOptions()), "source: 60 is no piece"),
        (Request(src=(-1,), options=SearchOptions()), "source: -1 is no piece"),
        (Request(src=(5,), options=SearchOptions(), prefix=(99,)), "prefix: 99 is no piece"),
        (
            Request(src=(5,), options=SearchOptions(), constraints=((5, 99),)),
            "constraints: 99 is no piece",
        ),
    ],
)
def test_ids_that_are_no_pieces_are_refused(
    make_network: MakeNetwork, dtype: torch.dtype, request_: Request, message: str
) -> None:
    engine = Engine(make_network(60), dtype=dtype)
    with pytest.raises(RequestError, match=message):
        engine.add(request_)
    assert not engine.busy


def test_the_longest_admissible_request_fits(make_network: MakeNetwork) -> None:
    network = make_network()
    with torch.no_grad():
        network.output.bias[EOS_ID] = -30.0
    (best,) = only(Engine(network, max_source=15), Request(src=(5,) * 15, options=SearchOptions()))
    assert len(best.pieces) == 40


def test_room_is_made_for_the_options_in_use(make_network: MakeNetwork) -> None:
    network = make_network()
    with torch.no_grad():
        network.output.bias[EOS_ID] = -30.0
    options = SearchOptions(beam_size=1, max_length_a=5.5, max_length_b=11)
    room = room_for(options, 15)
    engine = Engine(network, max_source=15, max_length=room)
    (best,) = only(engine, Request(src=(5,) * 15, options=options))
    assert len(best.pieces) == room == 93
    with pytest.raises(RequestError, match=r"allow 94 pieces .* 15, but there is room for 93"):
        engine.add(Request(src=(5,) * 15, options=SearchOptions(max_length_a=5.5, max_length_b=12)))


@pytest.mark.parametrize(
    ("max_length_a", "max_length_b", "max_source", "room"),
    [
        (0, 0, 20, 50),  # never less than the default options take
        (2.0, 11, 20, 51),
        (100, 8_000, 20, MAX_LENGTH),
        (100, 8_001, 20, MAX_LENGTH),
        (2.0, 10, 20_000, 40_010),  # a network made for such lines has the default options
        (2.0, 11, 20_000, 40_010),
    ],
)
def test_room_is_bounded(
    max_length_a: float, max_length_b: int, max_source: int, room: int
) -> None:
    options = SearchOptions(max_length_a=max_length_a, max_length_b=max_length_b)
    assert room_for(options, max_source) == room
    if length_limit(options, max_source) <= room:
        check_room(options, max_source, room)
    else:
        with pytest.raises(RequestError, match=rf"room for {room}\. Lower one of them"):
            check_room(options, max_source, room)
