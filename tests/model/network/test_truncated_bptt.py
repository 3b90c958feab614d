"""Truncated back-propagation against single steps with a state that is detached in plain sight."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from model.config import ModelConfig
from model.network.cells import RecurrentLayer
from model.network.dropout import share_masks
from model.network.encoder import Encoder

LENGTHS = torch.tensor([13, 1, 7, 10, 3])


def encoder(cell: str = "lstm", layers: int = 2, dropout: float = 0.0, width: int = 8) -> Encoder:
    torch.manual_seed(0)
    config = ModelConfig(
        vocab_size=10,
        embedding_size=6,
        encoder_size=width,
        encoder_layers=layers,
        dropout=dropout,
        cell=cell,  # type: ignore[arg-type]
    )
    return Encoder(config).double().train()


def some_input() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(5, 13, 6, dtype=torch.float64, generator=generator)
    return x.requires_grad_()


def loss_of(outputs: Tensor) -> Tensor:
    """A sum that looks at every output in another way, and at no padding."""
    generator = torch.Generator().manual_seed(2)
    factors = torch.randn(outputs.shape, dtype=torch.float64, generator=generator)
    mask = torch.arange(outputs.shape[1]) < LENGTHS.unsqueeze(1)
    return ((outputs + outputs**2) * factors * mask.unsqueeze(2)).sum()


def gradients(of: Encoder, x: Tensor, outputs: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss_of(outputs), [x, *of.parameters()]))


def by_steps(layer: RecurrentLayer, x: Tensor, chunk: int) -> Tensor:
    """Outputs (T, D) of one sentence x (T, I), without padding."""
    hidden = cell = torch.zeros(1, layer.hidden_size, dtype=torch.float64)
    outputs = []
    for t in range(len(x)):
        if t % chunk == 0:
            hidden, cell = hidden.detach(), cell.detach()
        hidden, cell = layer.step(x[t : t + 1], hidden, cell)
        outputs.append(hidden)
    return torch.cat(outputs)


def one_by_one(of: Encoder, x: Tensor, chunk: int, masks: list[Tensor]) -> Tensor:
    """What the encoder computes, sentence by sentence; `masks` (N, S, H), above the first layer."""
    rows = []
    for n, length in enumerate(LENGTHS.tolist()):
        outputs = x[n, :length]
        for number, (ahead, back) in enumerate(zip(of.forwards, of.backwards, strict=True)):
            given = outputs * masks[number - 1][n, :length] if number and masks else outputs
            there = by_steps(ahead, given, chunk)
            again = by_steps(back, given.flip(0), chunk).flip(0)
            both = torch.cat([there, again], dim=1)
            outputs = outputs + both if number else both
        rows.append(torch.nn.functional.pad(outputs, (0, 0, 0, x.shape[1] - length)))
    return torch.stack(rows)


def check(of: Encoder, chunk: int, masks: list[Tensor]) -> None:
    """Outputs and all gradients are those of single steps; torch's random numbers are at 3."""
    x = some_input()
    of.truncated_bptt = chunk
    torch.manual_seed(3)
    outputs = of(x, LENGTHS)
    expected = one_by_one(of, x, chunk, masks)
    mask = (torch.arange(13) < LENGTHS.unsqueeze(1)).unsqueeze(2)
    torch.testing.assert_close(outputs * mask, expected, rtol=0, atol=1e-12)
    for found, wanted in zip(gradients(of, x, outputs), gradients(of, x, expected), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("chunk", [1, 4, 6])
def test_gradients_end_where_a_chunk_begins(cell: str, layers: int, chunk: int) -> None:
    check(encoder(cell, layers), chunk, [])


@pytest.mark.parametrize("over_time", [False, True])
def test_dropout_masks_are_those_of_the_whole(over_time: bool) -> None:
    model = encoder(layers=3, dropout=0.4)
    if over_time:
        share_masks(model)
    torch.manual_seed(3)
    shape = (5, 1, 8) if over_time else (5, 13, 8)
    masks = [model.dropout.mask(shape, some_input()).expand(5, 13, 8) for _ in range(2)]
    check(model, 4, masks)


def test_outputs_do_not_depend_on_chunks_and_gradients_do() -> None:
    model, x = encoder(dropout=0.3), some_input()
    torch.manual_seed(3)
    whole = model(x, LENGTHS)
    full = gradients(model, x, whole)
    for chunk in (1, 5, 12):
        model.truncated_bptt = chunk
        torch.manual_seed(3)
        outputs = model(x, LENGTHS)
        torch.testing.assert_close(outputs, whole, rtol=0, atol=1e-12)
        truncated = gradients(model, x, outputs)
        assert not torch.allclose(truncated[0], full[0], rtol=1e-6)
        if chunk == 12:  # only the longest sentence is longer
            torch.testing.assert_close(truncated[0][1:], full[0][1:])


@pytest.mark.parametrize("chunk", [13, 14, 100])
def test_a_chunk_as_long_as_the_source_gives_full_gradients(chunk: int) -> None:
    model, x = encoder(dropout=0.3), some_input()
    torch.manual_seed(3)
    full = gradients(model, x, model(x, LENGTHS))
    model.truncated_bptt = chunk
    torch.manual_seed(3)
    for found, wanted in zip(gradients(model, x, model(x, LENGTHS)), full, strict=True):
        assert torch.equal(found, wanted)


def test_without_gradients_nothing_is_in_chunks() -> None:
    model, x = encoder(), some_input()
    with torch.no_grad():
        whole = model(x, LENGTHS)
        model.truncated_bptt = 4
        assert torch.equal(model(x, LENGTHS), whole)


def test_frozen_parameters_and_inputs_get_no_gradient() -> None:
    model, x = encoder(layers=1), some_input()
    model.truncated_bptt = 4
    expected = dict(
        zip(model.state_dict(), gradients(model, x, model(x, LENGTHS))[1:], strict=True)
    )
    frozen = {"forwards.0.kernel.weight_hh_l0", "backwards.0.kernel.bias_ih_l0"}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)
    loss_of(model(x.detach(), LENGTHS)).backward()  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        if name in frozen:
            assert parameter.grad is None
        else:
            assert parameter.grad is not None
            torch.testing.assert_close(parameter.grad, expected[name])


def test_bf16_is_that_of_the_whole_up_to_rounding() -> None:
    """Products in bf16 have 8 bits; the weights and their gradients are fp32."""
    model = encoder(width=64).float()
    x = some_input().detach().float().requires_grad_()
    found = []
    for chunk, bf16 in ((0, True), (4, True), (4, False)):
        model.truncated_bptt = chunk
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            outputs = model(x, LENGTHS)
        found.append((outputs.float(), *gradients(model, x, outputs.double())))
    whole, chunks, exact = found
    torch.testing.assert_close(chunks[0], whole[0], rtol=0, atol=0.02)
    for rounded, wanted in zip(chunks[1:], exact[1:], strict=True):
        assert rounded.dtype == torch.float32
        assert (rounded - wanted).norm() < 0.03 * wanted.norm()


PEAKS = """
import torch
from model.config import ModelConfig
from model.network.encoder import Encoder
from training.system.memory_use import peak_bytes

config = ModelConfig(vocab_size=9, embedding_size=64, encoder_size=64, encoder_layers=2, dropout=0)
encoder = Encoder(config).train()

def update(pieces, chunk):
    encoder.truncated_bptt = chunk
    outputs = encoder(torch.zeros(4, pieces, 64), torch.tensor([pieces, pieces, 9, pieces // 2]))
    outputs.sum().backward()

update(2000, 0)
update(2000, 500)
for chunk in (0, 500):
    small, large = (
        peak_bytes(lambda: update(pieces, chunk), torch.device("cpu")) for pieces in (5000, 25000)
    )
    print((large - small) / (20000 * 4 * 64 * 4))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_grows_with_the_source_are_inputs_and_outputs_of_layers() -> None:
    """In arrays as wide as a layer, of two layers, in a process of its own."""
    output = subprocess.run(
        [sys.executable, "-c", PEAKS], check=True, capture_output=True, text=True
    ).stdout
    whole, truncated = map(float, output.split())
    assert truncated < 7 < 20 < whole
