"""The packed network is the network: every wiring, cell and attention, in every precision."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from model.config import ModelConfig
from model.decoding.packed import PackedNetwork
from model.decoding.packed_layer import PackedLayer
from model.decoding.products import PRECISIONS, Precision, int8_is_exact, narrow
from model.network.cells import RecurrentLayer
from model.network.memory import Memory
from model.network.seq2seq import Seq2Seq

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
    "dot": replace(BASE, attention="dot"),
    "gru": replace(BASE, cell="gru"),
    "gru feeding": replace(BASE, cell="gru", input_feeding=True),
    "rnn": replace(BASE, cell="rnn"),
    "deep": replace(BASE, encoder_layers=3, decoder_layers=4),
    "shallow": replace(BASE, encoder_layers=1, decoder_layers=1, input_feeding=True),
}
LENGTHS = torch.tensor([7, 3, 16, 1] * 4)
ERROR = {"fp32": 1e-5, "bf16": 0.05, "int8": 0.12}
"""Of logits whose standard deviation is about 1."""


def network_of(config: ModelConfig) -> Seq2Seq:
    torch.manual_seed(0)
    return Seq2Seq(config).eval()


def search(
    network: Seq2Seq | PackedNetwork, beam: int = 3, rows: int = 4, encoded: int = 16
) -> list[Tensor]:
    """Logits and attention weights of four steps along fixed pieces."""
    generator = torch.Generator().manual_seed(1)
    src = torch.randint(4, 40, (16, 16), generator=generator)
    src[torch.arange(16) >= LENGTHS.unsqueeze(1)] = 0
    pieces = torch.randint(4, 40, (4, 16, beam), generator=generator)
    found = []
    with torch.inference_mode():
        memory = network.encode(src[:encoded], LENGTHS[:encoded])
        state = network.start(memory).select(torch.arange(rows).repeat_interleave(beam))
        memory = Memory(*(field[:rows] for field in memory))
        for token in pieces:
            state, features, weights = network.step(token[:rows], state, memory)
            found += [network.log_scores(features, weights, memory).float(), weights.float()]
    return found


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("wiring", WIRINGS)
def test_packed_equals_the_network(wiring: str, precision: Precision) -> None:
    if precision == "int8" and not int8_is_exact():
        pytest.skip("this machine has no exact int8 products")
    network = network_of(WIRINGS[wiring])
    for packed, plain in zip(
        search(PackedNetwork(network, precision)), search(network), strict=True
    ):
        assert (packed - plain).abs().max() < ERROR[precision]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("size", [32, 64])
def test_a_sentence_has_the_same_bits_in_any_company(precision: Precision, size: int) -> None:
    if precision == "int8" and not int8_is_exact():
        pytest.skip("this machine has no exact int8 products")
    config = replace(BASE, input_feeding=True, encoder_size=size, decoder_size=size)
    packed = PackedNetwork(network_of(config), precision)
    rows = 1 if packed.any_rows else 16
    for one, many in zip(search(packed, rows=1, encoded=rows), search(packed), strict=True):
        assert one[0].equal(many[0])
    assert packed.any_rows == (precision == "int8" and size == 64)


def test_saturated_states_stay_inside_what_int8_has_without_clipping() -> None:
    """Biases so large that gates are 0 or 1 and hidden states come near -1 and 1."""
    if not int8_is_exact():
        pytest.skip("this machine has no exact int8 products")
    torch.manual_seed(0)
    layer = RecurrentLayer("lstm", 1, 32)
    with torch.no_grad():
        for name, parameter in layer.kernel.named_parameters():
            if name == "bias_ih_l0":
                parameter.uniform_(-20, 20)
    packed = PackedLayer(layer, "int8", [])
    hidden, carry = narrow(torch.zeros(16, 32), "int8"), torch.zeros(16, 32)
    exact, cell = torch.zeros(16, 32), torch.zeros(16, 32)
    nothing = torch.zeros(16, 1)
    with torch.inference_mode():
        for _ in range(6):
            exact, cell = layer.step(nothing, exact, cell)
            output, carry = packed.step([], hidden, carry, packed.input_bias)
            hidden = narrow(output, "int8")
            assert ((hidden.float() - 128) / 127 - output).abs().max() <= 0.5 / 127 + 1e-6
    assert exact.abs().max() > 0.99
    assert (output - exact).abs().max() < 0.05


def test_the_network_is_left_as_it_is() -> None:
    network = network_of(BASE)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for precision in PRECISIONS:
        if precision != "int8" or int8_is_exact():
            PackedNetwork(network, precision)
    after = network.state_dict()
    assert all(value.equal(after[name]) for name, value in before.items())
    assert after["output.weight"].dtype == torch.float32
