"""Vectors in the engine: equal to a loop of their own, and to the bit whatever is beside them."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from model.config import ModelConfig
from model.decoding.engine import Engine
from model.decoding.options import SearchOptions
from model.decoding.precision.precision import precisions_of, resolve_precision
from model.decoding.request import Finished, Request
from model.errors import ConfigError
from model.network.seq2seq import Seq2Seq

ALIGNED = ModelConfig(
    vocab_size=4,
    embedding_size=20,
    encoder_size=24,
    decoder_size=24,
    attention="aligned",
    input_feeding=False,
    tie_embeddings=False,
    source_width=3,
    target_width=2,
    bidirectional=False,
    first_state="zeros",
    max_length=80,
)
ATTENDING = replace(ALIGNED, attention="general", bidirectional=True, first_state="bridge")
FEEDING = replace(ATTENDING, input_feeding=True, cell="gru", first_state="learned")
CONFIGS = {"aligned": ALIGNED, "attending": ATTENDING, "feeding": FEEDING}
PER_STEP = SearchOptions(beam_size=1, max_length_a=1, max_length_b=0)
LENGTHS = (1, 2, 15, 16, 17, 40, 80, 3, 33)


def network(config: ModelConfig) -> Seq2Seq:
    torch.manual_seed(0)
    return Seq2Seq(config).eval()


def sources(width: int = 3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [torch.randn(length, width, generator=generator) for length in LENGTHS]


def request(frames: Tensor, options: SearchOptions = PER_STEP) -> Request:
    return Request(src=(0,) * len(frames), frames=frames, options=options)


def searched(engine: Engine, requests: list[Request], *, joining: int = 0) -> list[Tensor]:
    """The outputs for `requests`, of which all but the first `joining` come a step later each."""
    waiting, numbers = list(enumerate(requests)), {}
    outputs: dict[int, Tensor] = {}
    while waiting or engine.busy:
        for number, one in waiting[: joining or None]:
            numbers[engine.add(one)] = number
        waiting = waiting[joining:] if joining else []
        for event in engine.step():
            assert isinstance(event, Finished)
            (hypothesis,) = event.hypotheses
            assert hypothesis.vectors is not None
            outputs[numbers[event.id]] = hypothesis.vectors
    return [outputs[number] for number in range(len(requests))]


@torch.inference_mode()
def by_definition(model: Seq2Seq, frames: Tensor, steps: int) -> Tensor:
    """Feed each prediction back, with the source alone and without padding."""
    memory = model.encode(frames.unsqueeze(0), torch.tensor([len(frames)]))
    state, previous = model.start(memory), torch.zeros(1, 1, model.config.target_width)
    outputs = []
    for _ in range(steps):
        state, features, weights = model.step(previous, state, memory)
        previous = model.log_scores(features, weights, memory)
        outputs.append(previous[0])
    return torch.cat(outputs)


@pytest.mark.parametrize("name", CONFIGS)
def test_outputs_are_those_of_a_plain_loop(name: str) -> None:
    model = network(CONFIGS[name])
    found = searched(Engine(model), [request(x) for x in sources()])
    for frames, outputs in zip(sources(), found, strict=True):
        expected = by_definition(model, frames, len(frames))
        torch.testing.assert_close(outputs, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", CONFIGS)
def test_alone_and_in_company_to_the_bit(name: str, dtype: torch.dtype) -> None:
    model = network(CONFIGS[name])
    engine = Engine(model, dtype=dtype, max_rows=4)
    together = searched(engine, [request(x) for x in sources()])
    joining = searched(engine, [request(x) for x in sources()], joining=2)
    for number, frames in enumerate(sources()):
        (alone,) = searched(Engine(model, dtype=dtype, max_rows=1), [request(frames)])
        assert alone.dtype == torch.float32
        assert torch.equal(alone, together[number])
        assert torch.equal(alone, joining[number])


def test_a_given_number_of_steps() -> None:
    model = network(ATTENDING)
    options = replace(PER_STEP, max_length_a=0, max_length_b=7)
    found = searched(Engine(model), [request(x, options) for x in sources()])
    assert [tuple(x.shape) for x in found] == [(7, 2)] * len(LENGTHS)
    expected = by_definition(model, sources()[3], 7)
    torch.testing.assert_close(found[3], expected, rtol=1e-4, atol=1e-5)


def test_a_cancelled_sentence_is_forgotten() -> None:
    engine = Engine(network(ALIGNED), max_rows=2)
    requests = [request(x) for x in sources()[4:7]]
    first, second, third = (engine.add(one) for one in requests)
    engine.step()
    engine.cancel(first)
    ids = []
    while engine.busy:
        ids += [event.id for event in engine.step()]
    assert ids == [second, third]


@torch.inference_mode()
def test_vectors_to_pieces_by_greedy_search() -> None:
    model = network(replace(ATTENDING, target_width=0, vocab_size=9))
    options = SearchOptions(beam_size=1, max_length_a=0, max_length_b=6)
    engine = Engine(model)
    ids = [engine.add(request(x, options)) for x in sources()]
    found: dict[int, tuple[int, ...]] = {}
    while engine.busy:
        found |= {e.id: e.hypotheses[0].pieces for e in engine.step() if isinstance(e, Finished)}
    for id, frames in zip(ids, sources(), strict=True):
        memory = model.encode(frames.unsqueeze(0), torch.tensor([len(frames)]))
        state, token = model.start(memory), 2
        pieces: list[int] = []
        while len(pieces) < 6:
            state, features, weights = model.step(torch.tensor([[token]]), state, memory)
            token = int(model.log_scores(features, weights, memory)[0, 0, 3:].argmax()) + 3
            if token == 3:
                break
            pieces.append(token)
        assert found[id] == tuple(pieces)


def test_int8_is_refused_and_numbers_keep_their_digits() -> None:
    model = network(ALIGNED)
    with pytest.raises(ConfigError, match="precision: int8 is for text, not for vectors"):
        resolve_precision("int8", torch.device("cpu"), model)
    with pytest.raises(ConfigError, match="int8 is not there for vectors"):
        Engine(model, dtype=torch.int8)
    assert resolve_precision("auto", torch.device("cpu"), model) == torch.float32
    assert precisions_of(ALIGNED) == ["fp32", "bf16"]
