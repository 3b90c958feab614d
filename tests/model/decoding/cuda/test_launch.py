"""However steps are launched, the results are the same to the bit."""

import itertools
import random
from collections.abc import Callable

import pytest
import torch

from model.decoding.beam_search import Hypothesis
from model.decoding.cuda.launch import FLAGS_EVERY, StepLaunch, bucket, launch_for
from model.decoding.engine import Engine, Event, Finished, Progress, Request
from model.decoding.options import SearchOptions
from model.network.seq2seq import Seq2Seq

MakeNetwork = Callable[..., Seq2Seq]
ALL = StepLaunch(flags_every=4, bucketed=True, captured=True, encode_ahead=True)
LAUNCHES = {
    "late flags": StepLaunch(flags_every=4),
    "very late flags": StepLaunch(flags_every=50),
    "buckets": StepLaunch(bucketed=True),
    "capture": StepLaunch(bucketed=True, captured=True),
    "encode ahead": StepLaunch(encode_ahead=True),
    "all": ALL,
}
OPTIONS = [
    SearchOptions(beam_size=5, n_best=3, max_length_a=1),
    SearchOptions(beam_size=5, max_length_a=0, max_length_b=3),
    SearchOptions(beam_size=5, min_length=6, length_penalty="none", max_length_a=0.5),
    SearchOptions(beam_size=1, max_length_a=1, max_length_b=5),
]
RULES = [
    SearchOptions(beam_size=5, word_reward=0.3, coverage_beta=0.2),
    SearchOptions(beam_size=5, no_repeat_ngram=2, n_best=2),
    SearchOptions(beam_size=5, temperature=1.0, seed=3),
]


def pool(options: list[SearchOptions], count: int) -> list[Request]:
    chance = random.Random(3)
    return [
        Request(
            src=tuple(chance.randrange(4, 24) for _ in range(chance.randint(1, 45))),
            options=options[number % len(options)],
            stream=number % 5 == 0,
        )
        for number in range(count)
    ]


def translate(
    network: Seq2Seq, requests: list[Request], launch: StepLaunch, dtype: torch.dtype
) -> tuple[list[tuple[Hypothesis, ...]], list[Event]]:
    """The hypotheses of each request, some of which join late, and all events."""
    engine = Engine(network, dtype=dtype, max_rows=35, max_source=45, launch=launch)
    chance, events = random.Random(1), list[Event]()
    for number, request in enumerate(requests):
        assert engine.add(request) == number
        for _ in range(chance.randrange(4)):
            events += engine.step()
    while engine.busy:
        events += engine.step()
    found = {event.id: event.hypotheses for event in events if isinstance(event, Finished)}
    return [found[number] for number in range(len(requests))], events


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("launch", LAUNCHES.values(), ids=LAUNCHES)
@pytest.mark.parametrize("options", [OPTIONS, OPTIONS + RULES], ids=["plain", "rules"])
@pytest.mark.parametrize("copy", [False, True])
def test_results_do_not_depend_on_how_steps_are_launched(
    make_network: MakeNetwork,
    copy: bool,
    options: list[SearchOptions],
    launch: StepLaunch,
    dtype: torch.dtype,
) -> None:
    network = make_network(input_feeding=not copy, copy=copy, coverage=copy)
    requests = pool(options, 24)
    expected, _ = translate(network, requests, StepLaunch(), dtype)
    found, events = translate(network, requests, launch, dtype)
    assert found == expected
    for one, other in zip(itertools.chain(*found), itertools.chain(*expected), strict=True):
        assert torch.equal(one.weights, other.weights)
    assert len({len(hypotheses[0].pieces) for hypotheses in found}) >= 5
    said: dict[int, tuple[int, ...]] = {}
    for event in events:
        if isinstance(event, Progress):
            before = said.get(event.id, ())
            assert event.stable_prefix[: len(before)] == before != event.stable_prefix
            said[event.id] = event.stable_prefix
    assert said
    for id, prefix in said.items():
        assert found[id][0].pieces[: len(prefix)] == prefix


def test_cancelling_with_late_flags(make_network: MakeNetwork) -> None:
    """The flags that are on their way when a slot gets another sentence are not that one's."""
    network, requests = make_network(), pool(OPTIONS[:3], 20)
    expected, _ = translate(network, requests, StepLaunch(), torch.float32)
    engine = Engine(network, max_rows=20, max_source=45, launch=ALL)
    ids = [engine.add(request) for request in requests]
    found: dict[int, tuple[Hypothesis, ...]] = {}
    chance = random.Random(2)
    cancelled = set(chance.sample(ids, 8))
    for id in ids:
        if id in cancelled and id not in found:
            engine.cancel(id)
        for _ in range(3):
            found.update((e.id, e.hypotheses) for e in engine.step() if isinstance(e, Finished))
    while engine.busy:
        found.update((e.id, e.hypotheses) for e in engine.step() if isinstance(e, Finished))
    assert found.keys() >= set(ids) - cancelled
    assert len(found) < len(ids)
    for id, hypotheses in found.items():
        assert hypotheses == expected[id]


def test_buckets_are_few_and_suffice() -> None:
    assert [bucket(n, 4, 30) for n in (1, 4, 5, 8, 9, 16, 17, 30)] == [4, 4, 8, 8, 16, 16, 30, 30]
    assert bucket(1, 4, 2) == 2


def test_only_a_gpu_steps_otherwise_than_plainly() -> None:
    assert launch_for(torch.device("cpu")) == StepLaunch()
    on_gpu = launch_for(torch.device("cuda"))
    assert on_gpu == StepLaunch(
        flags_every=FLAGS_EVERY, bucketed=True, captured=True, encode_ahead=True
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("launch", LAUNCHES.values(), ids=LAUNCHES)
def test_pieces_do_not_depend_on_how_steps_are_launched_on_cuda(
    make_network: MakeNetwork, launch: StepLaunch, dtype: torch.dtype
) -> None:
    """Other shapes may have other kernels, so scores are compared to 1e-3."""
    network, requests = make_network(input_feeding=True).to("cuda"), pool(OPTIONS, 24)
    expected, _ = translate(network, requests, StepLaunch(), dtype)
    found, _ = translate(network, requests, launch, dtype)
    for some, others in zip(found, expected, strict=True):
        assert [h.pieces for h in some] == [h.pieces for h in others]
        assert [h.score for h in some] == pytest.approx([h.score for h in others], abs=1e-3)
