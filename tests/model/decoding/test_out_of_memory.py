"""Memory runs out: the engine goes on with fewer sentences in flight, and loses none."""

import logging
import random
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from model.decoding.cuda.launch import StepLaunch
from model.decoding.engine import Engine, Event, Finished, Progress, Request
from model.decoding.options import SearchOptions
from model.decoding.out_of_memory import is_out_of_memory
from model.decoding.torch.inference_network import InferenceNetwork
from model.network.decoder import DecoderState
from model.network.memory import Memory
from model.network.seq2seq import Seq2Seq

ROOT = Path(__file__).parents[3]
MakeNetwork = Callable[..., Seq2Seq]


class Hungry(InferenceNetwork):
    """A network that runs out of memory in some of its calls, and whenever it gets many rows."""

    calls = 0
    fatal_steps: tuple[int, ...] = ()
    fatal_encodings: tuple[int, ...] = ()
    most_rows = 10**9

    def encode(self, src: Tensor, lengths: Tensor) -> Memory:
        self._count(self.fatal_encodings)
        return super().encode(src, lengths)

    def step(
        self, token: Tensor, state: DecoderState, memory: Memory
    ) -> tuple[DecoderState, Tensor, Tensor]:
        self._count(self.fatal_steps)
        if token.numel() > self.most_rows:
            raise torch.OutOfMemoryError("too many rows")
        return super().step(token, state, memory)

    def _count(self, fatal: tuple[int, ...]) -> None:
        self.calls += 1
        if self.calls in fatal:
            raise torch.OutOfMemoryError("a call that was to fail")


def requests(stream: bool = False) -> list[Request]:
    chance = random.Random(4)
    options = SearchOptions(beam_size=4, n_best=2, min_length=3)
    return [
        Request(
            src=tuple(chance.randrange(4, 24) for _ in range(chance.randint(1, 40))),
            options=options,
            stream=stream,
        )
        for _ in range(30)
    ]


def run(engine: Engine, wanted: list[Request]) -> list[Event]:
    assert [engine.add(request) for request in wanted] == list(range(len(wanted)))
    events: list[Event] = []
    while engine.busy:
        events += engine.step()
    return events


def in_flight(engine: Engine) -> int:
    (lane,) = engine._lanes.values()
    return lane.slots


def test_what_counts() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert not is_out_of_memory(RuntimeError("shapes cannot be multiplied"))
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert is_out_of_memory(caught.value)
    with pytest.raises(RuntimeError) as covered:
        try:
            raise torch.OutOfMemoryError("while a graph is captured")
        finally:
            raise RuntimeError("capture failed")
    assert is_out_of_memory(covered.value)


@pytest.mark.parametrize("launch", [StepLaunch(), StepLaunch(flags_every=4, bucketed=True)])
@pytest.mark.parametrize("kind", ["first step", "steps", "encoding", "rows"])
def test_no_sentence_is_lost(
    make_network: MakeNetwork, caplog: pytest.LogCaptureFixture, kind: str, launch: StepLaunch
) -> None:
    network = Hungry(make_network(), torch.float32)
    wanted = requests(stream=True)
    expected = run(Engine(network, max_rows=64, max_source=40), wanted)
    network.calls = 0
    if kind == "first step":
        network.fatal_steps = (5,)
    elif kind == "steps":
        network.fatal_steps = (12, 45)
    elif kind == "encoding":
        network.fatal_encodings = (3, 4)  # while sentences join, and while the next lane is made
    else:
        network.most_rows = 16
    engine = Engine(network, max_rows=64, max_source=40, launch=launch)
    with caplog.at_level(logging.WARNING, logger="model.decoding.engine"):
        found = run(engine, wanted)
    told = [event for event in found if isinstance(event, Finished)]
    assert len(told) == len(wanted)  # each once
    assert set(told) == {event for event in expected if isinstance(event, Finished)}
    assert in_flight(engine) == 16 // 2 ** len(caplog.records)
    assert caplog.messages[0] == (
        "out of memory with 16 sentences in flight at beam size 4: going on with 8"
    )
    said: dict[int, tuple[int, ...]] = {}
    for event in found:
        if isinstance(event, Progress):  # what was said before is not said again
            assert len(event.stable_prefix) > len(said.get(event.id, ()))
            said[event.id] = event.stable_prefix


def test_the_last_slot_is_not_halved(make_network: MakeNetwork) -> None:
    network, wanted = Hungry(make_network(), torch.float32), requests()[:5]
    expected = run(Engine(network, max_source=40), wanted)
    network.most_rows = 3
    engine = Engine(network, max_rows=16, max_source=40)
    ids = [engine.add(request) for request in wanted]
    with pytest.raises(torch.OutOfMemoryError):
        while engine.busy:
            engine.step()
    with pytest.raises(torch.OutOfMemoryError):
        engine.step()
    engine.cancel(ids[2])
    network.most_rows = 4  # somebody else gave memory back
    found = []
    while engine.busy:
        found += engine.step()
    assert set(found) == {event for event in expected if event.id != ids[2]}
    assert in_flight(engine) == 1


def test_other_errors_pass(make_network: MakeNetwork) -> None:
    class Broken(InferenceNetwork):
        def log_scores(self, features: Tensor, weights: Tensor, memory: Memory) -> Tensor:
            raise RuntimeError("broken")

    engine = Engine(Broken(make_network(), torch.float32), max_rows=16)
    engine.add(Request(src=(5,), options=SearchOptions()))
    with pytest.raises(RuntimeError, match="broken"):
        engine.step()


IN_LITTLE_MEMORY = """
import logging, resource, sys
import torch
from model.config import ModelConfig
from model.decoding.engine import Engine, Request
from model.decoding.options import SearchOptions
from model.network.seq2seq import Seq2Seq

logging.basicConfig(level=logging.WARNING, format="%(message)s")
torch.set_num_threads(1)
torch.manual_seed(1)
network = Seq2Seq(ModelConfig(vocab_size=40, embedding_size=32, encoder_size=32, decoder_size=32))
room = dict(max_source=1000, max_length=3000)


def translate(rows):
    engine = Engine(network.eval(), max_rows=rows, **room)
    for n in range(9):
        options = SearchOptions(beam_size=4, max_length_a=0, max_length_b=4)
        engine.add(Request(src=(5 + n, 6, 7), options=options))
    events = []
    while engine.busy:
        events += engine.step()
    return sorted((e.id, e.hypotheses[0].pieces, e.hypotheses[0].score) for e in events)


expected = translate(4)
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 1000 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
assert translate(256) == expected, "other translations"
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is limited as on Linux")
def test_the_host_really_has_no_memory() -> None:
    """History for 64 sentences takes 3 GiB of addresses; there is 1."""
    assert resource.RLIMIT_AS
    done = subprocess.run(
        [sys.executable, "-c", IN_LITTLE_MEMORY], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("out of memory with 64 sentences in flight at beam size 4")
