"""The native network is the network: every wiring, cell and attention, in int8."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model.config import ModelConfig
from model.decoding.native.cells import Gates, Target
from model.decoding.native.layer import Layer
from model.decoding.native.network import Buffers, NativeNetwork
from model.decoding.native.step_rows import StepRows
from model.network.cells import RecurrentLayer
from model.network.memory import Memory as TorchMemory
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import EOS_ID

BASE = ModelConfig(
    vocab_size=40,
    embedding_size=16,
    encoder_layers=2,
    encoder_size=32,
    decoder_layers=2,
    decoder_size=32,
    input_feeding=False,
    max_length=20,
)
WIRINGS = {
    "plain": BASE,
    "feeding": replace(BASE, input_feeding=True),
    "untied": replace(BASE, input_feeding=True, tie_embeddings=False),
    "heads": replace(BASE, attention_heads=4),
    "additive": replace(BASE, attention="additive"),
    "additive feeding": replace(BASE, attention="additive", input_feeding=True),
    "dot": replace(BASE, attention="dot"),
    "gru": replace(BASE, cell="gru"),
    "gru feeding": replace(BASE, cell="gru", input_feeding=True),
    "rnn": replace(BASE, cell="rnn"),
    "deep": replace(BASE, encoder_layers=3, decoder_layers=4),
    "coverage": replace(BASE, coverage=True, attention_heads=4),
    "coverage feeding": replace(BASE, coverage=True, attention="additive", input_feeding=True),
    "shallow": replace(BASE, encoder_layers=1, decoder_layers=1, input_feeding=True),
}
LENGTHS = [7, 3, 16, 1, 9]  # with EOS
STEPS, BEAM = 4, 3

Found = list[NDArray[np.float32]]


def network_of(config: ModelConfig) -> Seq2Seq:
    torch.manual_seed(0)
    network = Seq2Seq(config).eval()
    if network.decoder.attention.coverage is not None:
        network.decoder.attention.coverage.data.fill_(-0.7)
    return network


def inputs() -> tuple[list[tuple[int, ...]], NDArray[np.int64]]:
    generator = np.random.default_rng(1)
    sources = [tuple(generator.integers(4, 40, length - 1).tolist()) for length in LENGTHS]
    return sources, generator.integers(4, 40, (STEPS, len(LENGTHS), BEAM))


def search_plain(network: Seq2Seq) -> Found:
    """Logits (N, K, V) and attention weights (N, K, S) of a few steps along fixed pieces."""
    sources, pieces = inputs()
    found: Found = []
    src = torch.zeros(len(sources), max(LENGTHS), dtype=torch.long)
    for row, source in enumerate(sources):
        src[row, : len(source) + 1] = torch.tensor([*source, EOS_ID])
    with torch.inference_mode():
        memory: TorchMemory = network.encode(src, torch.tensor(LENGTHS))
        state = network.start(memory).select(torch.arange(len(src)).repeat_interleave(BEAM))
        for token in torch.from_numpy(pieces):
            state, features, weights = network.step(token, state, memory)
            found += [network.log_scores(features, weights, memory).numpy(), weights.numpy()]
    return found


def search_native(network: NativeNetwork, chosen: list[int]) -> Found:
    """The same for the sentences `chosen`, each hypothesis a row."""
    sources, pieces = inputs()
    encoded = network.encode([sources[number] for number in chosen])
    count, source = len(chosen), max(LENGTHS)
    rows = count * BEAM
    memory = network.memory(count, source)
    memory.length[:] = [LENGTHS[number] for number in chosen]
    states = network.state(rows, source), network.state(rows, source)
    for n, one in enumerate(encoded):
        memory.values[n, : len(one.values)] = one.values
        memory.keys[n, : len(one.keys)] = one.keys
        for number, layer in enumerate(states[0].layers):
            layer.hidden[n * BEAM : (n + 1) * BEAM] = one.hidden[number]
            layer.carry[n * BEAM : (n + 1) * BEAM] = one.carry[number]
    buffers = Buffers(network, rows, source)
    own = np.arange(rows, dtype=np.int32)
    sentence = np.repeat(np.arange(count, dtype=np.int32), BEAM)
    found: Found = []
    for number, token in enumerate(pieces):
        old, new = states if number % 2 == 0 else states[::-1]
        weights = np.zeros((rows, source), np.float32)
        piece = np.ascontiguousarray(token[chosen].reshape(-1), dtype=np.int32)
        step = StepRows(piece, own, sentence, own)
        network.step(rows, step, old, new, memory, weights, buffers)
        logits = np.empty((rows, network.output.width), np.float32)
        network.output(new.attentional, rows, logits)
        found.append(logits[:, :40].reshape(count, BEAM, -1))
        found.append(weights.reshape(count, BEAM, -1))
    return found


@pytest.mark.parametrize("wiring", WIRINGS)
def test_native_equals_the_network(wiring: str) -> None:
    network = network_of(WIRINGS[wiring])
    everyone = list(range(len(LENGTHS)))
    for native, plain in zip(
        search_native(NativeNetwork(network), everyone), search_plain(network), strict=True
    ):
        assert native.shape == plain.shape
        assert np.abs(native - plain).max() < 0.12  # logits have a standard deviation of about 1


@pytest.mark.parametrize("wiring", WIRINGS)
def test_a_sentence_has_the_same_bits_in_any_company(wiring: str) -> None:
    native = NativeNetwork(network_of(WIRINGS[wiring]))
    together = search_native(native, list(range(len(LENGTHS))))
    for chosen in ([2], [4, 0, 3], [1, 1, 1]):
        for one, all_ in zip(search_native(native, chosen), together, strict=True):
            assert np.array_equal(one, all_[chosen])


def test_saturated_states_stay_inside_what_int8_has_without_clipping() -> None:
    """Biases so large that gates are 0 or 1 and hidden states come near -1 and 1."""
    torch.manual_seed(0)
    layer = RecurrentLayer("lstm", 4, 32)
    with torch.no_grad():
        dict(layer.kernel.named_parameters())["bias_ih_l0"].uniform_(-20, 20)
    ours = Layer(layer, [(4, 1.0)])
    state, own = ours.state(1), np.zeros(1, np.int32)
    sums, output = np.empty((1, ours.gate_width), np.float32), np.empty((1, 32), np.float32)
    gates, target = Gates(sums, sums), Target(output, own, 0, add=False)
    exact, cell = torch.zeros(1, 32), torch.zeros(1, 32)
    assert ours.product is not None
    with torch.inference_mode():
        for _ in range(6):
            exact, cell = layer.step(torch.zeros(1, 4), exact, cell)
            x = np.concatenate([np.full((1, 4), 128, np.uint8), state.hidden], axis=1)
            ours.product(x, 1, sums)
            ours.step(1, gates, state.hidden, state, own, state, target)
            error = (state.hidden.astype(np.float32) - 128) / 127 - output
            assert np.abs(error).max() <= 0.5 / 127 + 1e-6
    assert exact.abs().max() > 0.99
    assert np.abs(output - exact.numpy()).max() < 0.05


def test_the_network_is_left_as_it_is() -> None:
    network = network_of(BASE)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    NativeNetwork(network)
    after = network.state_dict()
    assert all(value.equal(after[name]) for name, value in before.items())
