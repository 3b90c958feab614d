"""Encoding in chunks against encoding at once, and what it takes."""

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model.config import ModelConfig
from model.network.attention import Attention
from model.network.decoder import mean_values
from model.network.long_encoder import encode_long
from model.network.memory import WHOLE, Memory
from model.network.seq2seq import Seq2Seq


def network(cell: str = "lstm", layers: int = 2, attention: str = "general") -> Seq2Seq:
    torch.manual_seed(0)
    config = ModelConfig(
        vocab_size=40,
        embedding_size=6,
        encoder_size=8,
        encoder_layers=layers,
        decoder_size=8,
        cell=cell,  # type: ignore[arg-type]
        attention=attention,  # type: ignore[arg-type]
    )
    return Seq2Seq(config).double().eval()


def source(pieces: int) -> Tensor:
    return torch.randint(40, (pieces,), generator=torch.Generator().manual_seed(pieces))


def check(model: Seq2Seq, src: Tensor, chunk: int) -> None:
    """The memory is that of the whole source."""
    whole = model.encode(src.unsqueeze(0), torch.tensor([len(src)]))
    memory = encode_long(model, src, chunk)
    for name in Memory._fields:
        found, expected = getattr(memory, name), getattr(whole, name)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
        assert not found.requires_grad


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_ten_thousand_pieces_in_chunks_equal_the_whole(cell: str) -> None:
    with torch.no_grad():
        check(network(cell), source(10_000), 64)


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_so_they_do_with_any_depth_and_size_of_a_chunk(cell: str, layers: int) -> None:
    model, src = network(cell, layers), source(10_000)
    with torch.no_grad():
        for chunk in (1, 7, 64, 4096, 20_000):
            check(model, src, chunk)


@settings(deadline=None, max_examples=60)
@given(
    pieces=st.sampled_from([1, 2, 3, 63, 64, 65, 512]),
    chunk=st.one_of(st.integers(1, 70), st.sampled_from([511, 512, 513])),
    cell=st.sampled_from(["lstm", "gru", "rnn"]),
    layers=st.integers(1, 3),
    attention=st.sampled_from(["general", "dot", "additive"]),
)
def test_the_size_of_a_chunk_does_not_matter(
    pieces: int, chunk: int, cell: str, layers: int, attention: str
) -> None:
    with torch.no_grad():
        check(network(cell, layers, attention), source(pieces), chunk)


def test_a_piece_at_either_end_reaches_the_other() -> None:
    """In both directions, across all chunks: gates that only remember make it visible."""
    model = network(layers=1)
    half = model.config.encoder_size // 2
    with torch.no_grad():
        for layer in (model.encoder.forwards[0], model.encoder.backwards[0]):
            for name, parameter in layer.kernel.named_parameters():
                if name.startswith("bias_ih"):
                    parameter[half : 2 * half] = math.inf  # the forget gate is 1
    src = source(1000)
    before = encode_long(model, src, 10).values[0]
    for place, other, columns in ((0, -1, slice(half)), (-1, 0, slice(half, None))):
        changed = src.clone()
        changed[place] = (src[place] + 1) % 40
        after = encode_long(model, changed, 10).values[0]
        assert (after[other, columns] - before[other, columns]).abs().max() > 1e-6


LONG = WHOLE + 3000
"""Longer than what is read at once, and no multiple of a block."""


@pytest.mark.parametrize(
    ("kind", "heads", "coverage"),
    [
        ("general", 1, False),
        ("general", 4, True),
        ("dot", 1, False),
        ("dot", 1, True),
        ("additive", 1, True),
    ],
)
def test_attention_to_a_long_memory_equals_that_to_all_of_it(
    kind: str, heads: int, coverage: bool
) -> None:
    """With gradients it is read at once."""
    torch.manual_seed(0)
    config = ModelConfig(
        vocab_size=40,
        encoder_size=8,
        decoder_size=8,
        attention=kind,  # type: ignore[arg-type]
        attention_heads=heads,
        coverage=coverage,
    )
    attention = Attention(config).double()
    if attention.coverage is not None:
        attention.coverage.data.fill_(-0.7)
    values = torch.randn(2, LONG, 8, dtype=torch.float64)
    mask = torch.arange(LONG) < torch.tensor([[LONG], [WHOLE - 100]])
    memory = Memory(mask.long(), values, attention.keys(values).detach(), mask)
    assert memory.is_long
    query = torch.randn(2, 3, 8, dtype=torch.float64)
    attended = torch.rand(2, 3, LONG, dtype=torch.float64) * 5
    expected = attention(query, memory, attended)
    with torch.no_grad():
        found = attention(query, memory, attended)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other.detach(), rtol=0, atol=1e-12)
    assert not found[1][1, :, WHOLE - 100 :].any()


def test_the_mean_of_a_long_memory_leaves_out_its_padding() -> None:
    values = torch.randn(2, LONG, 8, dtype=torch.float64)
    mask = torch.arange(LONG) < torch.tensor([[LONG], [WHOLE - 100]])
    memory = Memory(mask.long(), values, values, mask)
    expected = torch.stack([values[0].mean(dim=0), values[1, : WHOLE - 100].mean(dim=0)])
    torch.testing.assert_close(mean_values(memory), expected, rtol=0, atol=1e-12)


PEAKS = """
import torch
from model.config import ModelConfig
from model.decoding.long_memory import bytes_needed
from model.network.long_encoder import encode_long
from model.network.seq2seq import Seq2Seq
from training.system.memory_use import peak_bytes

config = ModelConfig(vocab_size=40, embedding_size=64, encoder_size=64, decoder_size=64)
network = Seq2Seq(config).eval()

@torch.inference_mode()
def run(pieces):
    memory = encode_long(network, torch.zeros(pieces, dtype=torch.long))
    network.step(torch.tensor([[2]]), network.start(memory), memory)

run(20_000)
for pieces in (50_000, 300_000):
    need = bytes_needed(config, pieces, torch.float32)
    print(peak_bytes(lambda: run(pieces), torch.device("cpu")), need.bank + need.beside, need.rest)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_does_not_belong_to_the_memory_is_bounded() -> None:
    """Of two layers, with a step of the decoder, in a process of its own.

    A single copy of the values of the longer source would be 77 MB, more than is allowed.
    """
    output = subprocess.run(
        [sys.executable, "-c", PEAKS], check=True, capture_output=True, text=True
    ).stdout
    (small, told, rest), (large, more, _) = (map(int, line.split()) for line in output.splitlines())
    assert more - told == pytest.approx(250_000 * (2 * 64 * 4 + 8 + 1 + 4))
    assert large - small < 1.1 * (more - told)
    assert small < told + rest
    assert large < more + rest
