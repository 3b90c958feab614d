"""InferenceNetwork computes what the network computes, with each wiring, in fp32 and bf16."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from model.config import ModelConfig
from model.decoding.torch.inference_network import InferenceNetwork
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
    "copy": replace(BASE, copy=True, coverage=True, attention_heads=4),
    "copy feeding": replace(BASE, copy=True, coverage=True, input_feeding=True, decoder_size=48),
    "shallow": replace(BASE, encoder_layers=1, decoder_layers=1, input_feeding=True),
}
LENGTHS = torch.tensor([7, 3, 16, 1] * 4)
DTYPES = [torch.float32, torch.bfloat16]
ERROR = {torch.float32: 1e-5, torch.bfloat16: 0.05}
"""Of logits whose standard deviation is about 1."""


def network_of(config: ModelConfig) -> Seq2Seq:
    torch.manual_seed(0)
    network = Seq2Seq(config).eval()
    if network.decoder.attention.coverage is not None:
        network.decoder.attention.coverage.data.fill_(-0.7)
    return network


def search(
    network: Seq2Seq | InferenceNetwork, beam: int = 3, rows: int = 4, encoded: int = 16
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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("wiring", WIRINGS)
def test_it_equals_the_network(wiring: str, dtype: torch.dtype) -> None:
    network = network_of(WIRINGS[wiring])
    for fast, plain in zip(search(InferenceNetwork(network, dtype)), search(network), strict=True):
        assert (fast - plain).abs().max() < ERROR[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [32, 64])
def test_a_sentence_has_the_same_bits_in_any_company(dtype: torch.dtype, size: int) -> None:
    config = replace(BASE, input_feeding=True, encoder_size=size, decoder_size=size)
    network = InferenceNetwork(network_of(config), dtype)
    for one, many in zip(search(network, rows=1, encoded=16), search(network), strict=True):
        assert one[0].equal(many[0])


@pytest.mark.parametrize("wiring", ["plain", "dot", "gru", "rnn", "deep", "shallow"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_one_source_in_chunks_equals_the_same_at_once(wiring: str, dtype: torch.dtype) -> None:
    network = InferenceNetwork(network_of(WIRINGS[wiring]), dtype)
    src = torch.randint(4, 40, (300,), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        whole = network.encode(src.unsqueeze(0), torch.tensor([300]))
        for found, expected in zip(network.encode_long(src, 64), whole, strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=ERROR[dtype])


def test_the_network_is_left_as_it_is() -> None:
    network = network_of(BASE)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for dtype in DTYPES:
        InferenceNetwork(network, dtype)
    after = network.state_dict()
    assert all(value.equal(after[name]) for name, value in before.items())
    assert after["output.weight"].dtype == torch.float32
