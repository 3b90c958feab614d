"""Vectors in and out: one step is the unrolled one, no step knows a later frame, statistics."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from model.config import ModelConfig
from model.errors import ConfigError
from model.network.first_state import LearnedState
from model.network.seq2seq import Seq2Seq
from model.network.vectors import Statistics

CAUSAL = ModelConfig(
    vocab_size=4,
    embedding_size=6,
    encoder_size=8,
    decoder_size=8,
    attention="aligned",
    input_feeding=False,
    tie_embeddings=False,
    source_width=3,
    target_width=2,
    bidirectional=False,
    first_state="zeros",
)
ATTENDING = replace(CAUSAL, attention="general", bidirectional=True, first_state="bridge")


def network(config: ModelConfig) -> Seq2Seq:
    torch.manual_seed(0)
    built = Seq2Seq(config).double().eval()
    if isinstance(built.decoder.bridge, LearnedState):
        torch.nn.init.normal_(built.decoder.bridge.values)
    return built


def frames(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("input_feeding", [False, True])
@pytest.mark.parametrize("first_state", ["bridge", "zeros", "learned"])
@pytest.mark.parametrize("config", [CAUSAL, ATTENDING], ids=["aligned", "general"])
def test_unroll_equals_repeated_step(
    config: ModelConfig, first_state: str, input_feeding: bool, cell: str
) -> None:
    model = network(
        replace(config, cell=cell, input_feeding=input_feeding, first_state=first_state)  # type: ignore[arg-type]
    )
    source, target = frames(2, 5, 3), frames(2, 5, 2)
    memory = model.encode(source, torch.tensor([5, 4]))
    features, _ = model.unroll(target, model.start(memory), memory)
    state = model.start(memory)
    for t in range(5):
        state, feature, _ = model.step(target[:, t : t + 1], state, memory)
        torch.testing.assert_close(feature, features[:, t : t + 1], rtol=0, atol=1e-12)


def test_a_causal_network_knows_no_later_frame() -> None:
    model, source, target = network(CAUSAL), frames(1, 6, 3), frames(1, 6, 2)
    changed = source.clone()
    changed[:, 4:] += 1

    def outputs(of: Tensor) -> Tensor:
        memory = model.encode(of, torch.tensor([6]))
        features, weights = model.unroll(target, model.start(memory), memory)
        return model.log_scores(features, weights, memory)

    first, second = outputs(source), outputs(changed)
    assert torch.equal(first[:, :4], second[:, :4])
    assert not torch.isclose(first[:, 4:], second[:, 4:]).any()


def test_an_encoder_of_both_directions_knows_later_frames() -> None:
    model, source = network(replace(CAUSAL, bidirectional=True)), frames(1, 6, 3)
    changed = source.clone()
    changed[:, 5] += 1
    first, second = (model.encode(x, torch.tensor([6])).values for x in (source, changed))
    assert not torch.isclose(first[:, 0, 4:], second[:, 0, 4:]).any()


@pytest.mark.parametrize(("first_state", "equal"), [("zeros", True), ("learned", True)])
def test_the_first_state_is_that_of_any_source(first_state: str, equal: bool) -> None:
    model = network(replace(ATTENDING, first_state=first_state))  # type: ignore[arg-type]
    one, other = (model.encode(frames(1, n, 3), torch.tensor([n])) for n in (3, 5))
    assert torch.equal(model.start(one).hidden, model.start(other).hidden)
    assert bool(model.start(one).hidden.any()) is (first_state == "learned")


def test_learned_states_have_gradients() -> None:
    model = network(replace(CAUSAL, first_state="learned"))
    memory = model.encode(frames(2, 4, 3), torch.tensor([4, 4]))
    features, _ = model.unroll(frames(2, 4, 2), model.start(memory), memory)
    features.sum().backward()  # type: ignore[no-untyped-call]
    learned = model.decoder.bridge
    assert isinstance(learned, LearnedState)
    assert learned.values.grad is not None
    assert learned.values.grad.abs().min() > 0


def test_normalised_and_restored_are_those_of_numpy() -> None:
    statistics = Statistics(2)
    statistics.mean.copy_(torch.tensor([1e5, -2.0]))
    statistics.std.copy_(torch.tensor([0.5, 3.0]))
    x = np.array([[1e5 + 0.25, 1.0], [1e5 - 1, -5.0]], np.float32)
    expected = (x.astype(np.float64) - [1e5, -2]) / [0.5, 3]
    np.testing.assert_array_equal(
        statistics.normalised(torch.from_numpy(x)).numpy(), expected.astype(np.float32)
    )
    restored = statistics.restored(torch.from_numpy(expected)).numpy()
    np.testing.assert_allclose(restored, x, rtol=1e-15)


def test_statistics_travel_with_the_weights_and_are_not_trained() -> None:
    model = network(CAUSAL)
    kept = {name: p.requires_grad for name, p in model.named_parameters() if "statistics" in name}
    assert kept == {
        f"{side}_statistics.{kind}": False
        for side in ("source", "target")
        for kind in ("mean", "std")
    }


def test_pieces_and_vectors_mix() -> None:
    speech = network(replace(ATTENDING, target_width=0, vocab_size=9))
    memory = speech.encode(frames(2, 5, 3), torch.tensor([5, 4]))
    _, features, weights = speech.step(torch.tensor([[2], [2]]), speech.start(memory), memory)
    assert speech.log_scores(features, weights, memory).shape == (2, 1, 9)
    written = network(replace(ATTENDING, source_width=0, vocab_size=9))
    memory = written.encode(torch.tensor([[4, 5, 3]]), torch.tensor([3]))
    _, features, weights = written.step(frames(1, 1, 2), written.start(memory), memory)
    assert written.log_scores(features, weights, memory).shape == (1, 1, 2)


def test_text_models_have_the_weights_that_they_had() -> None:
    config = ModelConfig(vocab_size=9, embedding_size=6, encoder_size=8, decoder_size=8)
    names = [name for name, _ in Seq2Seq(config).named_parameters()]
    assert names[:2] == ["output.weight", "output.bias"]
    assert "decoder.bridge.weight" in names
    assert not any("statistics" in name for name in names)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tie_embeddings": True}, "model.tie_embeddings: vectors have no embeddings"),
        ({"copy": True}, "model.copy: only for pieces"),
        ({"coverage": True}, "model.coverage: only for pieces"),
        ({"source_width": -1}, "model.source_width: -1 is too small. Use 0 or more."),
        ({"target_width": 99_999}, "model.target_width: 99999 is too large."),
        ({"target_width": 0}, "model.attention: aligned needs a target of vectors."),
        (
            {"target_width": 0, "source_width": 0, "attention": "general"},
            "model.bidirectional: only true, unless source or target are vectors.",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(CAUSAL, **changes)  # type: ignore[arg-type]


def test_copies_are_equal() -> None:
    model = network(CAUSAL)
    twin = copy.deepcopy(model)
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(one, other)
