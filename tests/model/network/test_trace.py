"""The trace against the network itself in float64, and its gates against NumPy."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.config import ModelConfig
from model.network.seq2seq import Seq2Seq
from model.network.trace import LayerTrace, Trace, trace
from model.text.tokenizer import BOS_ID, EOS_ID

SRC = (5, 9, 7, 5, 11)
CELLS = ("lstm", "gru", "rnn")


def network_of(**settings: Any) -> Seq2Seq:
    """A network of two layers each, in float64, whose gates are neither open nor closed."""
    sizes = {"vocab_size": 14, "embedding_size": 6, "encoder_size": 8, "decoder_size": 8}
    torch.manual_seed(3)
    network = Seq2Seq(ModelConfig(**{**sizes, **settings})).eval().double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.5)
    return network


@torch.no_grad()
def greedy(network: Seq2Seq, steps: int) -> tuple[list[int], list[Tensor], list[Tensor], Tensor]:
    """The pieces that the network itself writes, its states (L, D) and weights (T, S)."""
    src = torch.tensor([[*SRC, EOS_ID]])
    memory = network.encode(src, torch.tensor([src.shape[1]]))
    state, token = network.start(memory), torch.tensor([[BOS_ID]])
    pieces, hidden, cells, weights = [], [], [], []
    for _ in range(steps):
        state, features, weight = network.step(token, state, memory)
        token = network.log_scores(features, weight, memory).argmax(dim=-1)
        pieces.append(int(token))
        hidden.append(state.hidden[0])
        cells.append(state.cell[0])
        weights.append(weight[0])
    return pieces, hidden, cells, torch.cat(weights)


def layer_of(found: Trace, part: str, layer: int, direction: str = "forward") -> LayerTrace:
    (one,) = (
        each
        for each in found.layers
        if (each.part, each.layer, each.direction) == (part, layer, direction)
    )
    return one


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@torch.inference_mode()
@pytest.mark.parametrize(("cell", "input_feeding"), [*itertools.product(CELLS, [False, True])])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"encoder_layers": 3, "decoder_layers": 1, "tie_embeddings": False},
        {"attention_heads": 2, "coverage": True, "copy": True, "decoder_layers": 3},
    ],
)
def test_the_decoder_is_traced_as_it_writes(
    cell: str, input_feeding: bool, settings: dict[str, Any]
) -> None:
    network = network_of(cell=cell, input_feeding=input_feeding, **settings)
    pieces, hidden, cells, weights = greedy(network, 7)

    found = trace(network, SRC, pieces[:-1])

    for number in range(network.config.decoder_layers):
        layer = layer_of(found, "decoder", number + 1)
        close(layer.hidden, torch.stack([each[number] for each in hidden]))
        if layer.cell is not None:
            close(layer.cell, torch.stack([each[number] for each in cells]))
        assert (layer.cell is None) == (cell != "lstm")
    close(found.attention, weights)
    narrow = network.decoder.narrow
    features = found.attentional if narrow is None else narrow(found.attentional)
    src = torch.tensor([[*SRC, EOS_ID]])
    memory = network.encode(src, torch.tensor([src.shape[1]]))
    scores = network.log_scores(features[None], found.attention[None], memory)
    assert scores.argmax(dim=-1).tolist() == [pieces]


@torch.inference_mode()
@pytest.mark.parametrize("cell", CELLS)
def test_the_encoder_is_traced_as_the_fused_kernels_read(cell: str) -> None:
    """Also in company of a longer source, whose padding the backward kernel must skip."""
    network = network_of(cell=cell, encoder_layers=3)
    src = torch.tensor([[*SRC, EOS_ID, 0, 0], [4, 5, 6, 7, 8, 9, 10, EOS_ID]])
    memory = network.encode(src, torch.tensor([6, 8]))

    found = trace(network, SRC, [4])

    close(found.encoder_outputs, memory.values[0, :6])
    x = network.source_embedding(src[:1, :6]) * network.input_scale
    for number in range(3):
        kernels = network.encoder.forwards[number], network.encoder.backwards[number]
        ahead, back = (layer.kernel for layer in kernels)
        forward, backward = ahead(x)[0], back(x.flip(1))[0].flip(1)
        close(layer_of(found, "encoder", number + 1).hidden, forward[0])
        close(layer_of(found, "encoder", number + 1, "backward").hidden, backward[0])
        both = torch.cat([forward, backward], dim=-1)
        x = x + both if number else both


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


def first_layer(network: Seq2Seq) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
    """What the first forward layer of the encoder reads, and its weights."""
    kernel = network.encoder.forwards[0].kernel
    x = network.source_embedding(torch.tensor([*SRC, EOS_ID])) * network.input_scale
    return x.detach().numpy(), [each.detach().numpy() for each in kernel.parameters()]


def test_the_gates_of_an_lstm_are_those_of_its_equations() -> None:
    network = network_of()
    found = layer_of(trace(network, SRC, [4]), "encoder", 1)
    inputs, (w, u, b_w, b_u) = first_layer(network)
    hidden, cell = np.zeros(4), np.zeros(4)
    assert found.cell is not None
    for t, x in enumerate(inputs):
        i, f, g, o = (w @ x + b_w + u @ hidden + b_u).reshape(4, 4)
        expected = {"input": sigmoid(i), "forget": sigmoid(f), "output": sigmoid(o)}
        expected["candidate"] = np.tanh(g)
        cell = expected["forget"] * cell + expected["input"] * expected["candidate"]
        hidden = expected["output"] * np.tanh(cell)
        for name, values in expected.items():
            np.testing.assert_allclose(found.gates[name][t].numpy(), values, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.cell[t].numpy(), cell, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.hidden[t].numpy(), hidden, rtol=0, atol=1e-12)
    assert list(found.values) == ["input", "forget", "candidate", "output", "cell", "hidden"]


def test_the_gates_of_a_gru_are_those_of_its_equations() -> None:
    network = network_of(cell="gru")
    found = layer_of(trace(network, SRC, [4]), "encoder", 1)
    inputs, (w, u, b_w, b_u) = first_layer(network)
    hidden = np.zeros(4)
    for t, x in enumerate(inputs):
        (r_x, z_x, n_x), (r_h, z_h, n_h) = (
            (w @ x + b_w).reshape(3, 4),
            (u @ hidden + b_u).reshape(3, 4),
        )
        reset, update = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
        candidate = np.tanh(n_x + reset * n_h)
        hidden = (1 - update) * candidate + update * hidden
        for name, values in (("reset", reset), ("update", update), ("candidate", candidate)):
            np.testing.assert_allclose(found.gates[name][t].numpy(), values, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.hidden[t].numpy(), hidden, rtol=0, atol=1e-12)
    assert list(found.values) == ["reset", "update", "candidate", "hidden"]


@torch.inference_mode()
def test_states_before_the_first_step() -> None:
    network = network_of()
    src = torch.tensor([[*SRC, EOS_ID]])
    start = network.start(network.encode(src, torch.tensor([6])))

    found = trace(network, SRC, [4])

    for layer in found.layers:
        assert layer.first_cell is not None
        if layer.part == "encoder":
            assert not layer.first_hidden.any() and not layer.first_cell.any()
        else:
            close(layer.first_hidden, start.hidden[0, layer.layer - 1])
            close(layer.first_cell, start.cell[0, layer.layer - 1])


def test_widths_and_lengths() -> None:
    """Each piece has a row in each layer; the second layer reads both directions of the first."""
    found = trace(network_of(input_feeding=True), SRC, [4, 5])

    shapes = [(each.part, each.layer, each.inputs, *each.hidden.shape) for each in found.layers]
    assert shapes == [
        ("encoder", 1, 6, 6, 4),
        ("encoder", 1, 6, 6, 4),
        ("encoder", 2, 8, 6, 4),
        ("encoder", 2, 8, 6, 4),
        ("decoder", 1, 6 + 8, 3, 8),
        ("decoder", 2, 8, 3, 8),
    ]
    assert found.attention.shape == (3, 6)


def test_an_empty_source_and_target_are_their_ends() -> None:
    found = trace(network_of(), (), ())
    assert [len(each.hidden) for each in found.layers] == [1] * 6
