"""The equations of each cell against torch's fused kernels."""

import pytest
import torch

from model.network.cells import RecurrentLayer, linear


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_equations_equal_the_fused_kernel(kind: str) -> None:
    torch.manual_seed(0)
    layer = RecurrentLayer(kind, 5, 7).double()  # type: ignore[arg-type]
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x = torch.randn(3, 6, 5, dtype=torch.float64)
    hidden = torch.randn(3, 7, dtype=torch.float64)
    cell = torch.randn(3, 7 if kind == "lstm" else 0, dtype=torch.float64)
    expected = layer.sequence(x, hidden, cell)
    outputs = []
    for step in x.unbind(1):
        hidden, cell = layer.step(step, hidden, cell)
        outputs.append(hidden)
    torch.testing.assert_close(torch.stack(outputs, 1), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("states", [True, False])
def test_a_sequence_in_another_dtype_has_the_same_gradients(kind: str, states: bool) -> None:
    """What CUDA computes under autocast; here from fp32 parameters in float64."""
    torch.manual_seed(0)
    layer = RecurrentLayer(kind, 5, 7)  # type: ignore[arg-type]
    x = torch.randn(3, 6, 5, requires_grad=True)
    hidden = torch.randn(3, 7, requires_grad=True) if states else None
    cell = torch.randn(3, 2, 7, requires_grad=True) if states and kind == "lstm" else None
    inputs = [t for t in (x, hidden, cell, *layer.parameters()) if t is not None]
    across = None if cell is None else cell[:, 1]  # not contiguous
    found, *_ = layer.sequence_in(torch.float64, x, hidden, across)
    assert found.dtype == torch.float64
    expected = layer.sequence(x, hidden, across)
    torch.testing.assert_close(found.float(), expected)
    weights = torch.randn_like(expected)
    gradients = [
        torch.autograd.grad((output * weights).sum(), inputs) for output in (found, expected)
    ]
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_forget_gate_starts_open_and_other_biases_at_zero() -> None:
    layer = RecurrentLayer("lstm", 3, 4)
    _, _, input_bias, recurrent_bias = layer.kernel.parameters()
    i, f, g, o = (input_bias + recurrent_bias).chunk(4)
    assert f.tolist() == [1.0] * 4
    assert torch.stack([i, g, o]).abs().max() == 0


def test_recurrent_weights_start_orthogonal_gate_by_gate() -> None:
    _, recurrent, _, _ = RecurrentLayer("gru", 3, 4).kernel.parameters()
    for gate in recurrent.detach().chunk(3):
        torch.testing.assert_close(gate @ gate.t(), torch.eye(4), rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_of_a_linear_layer_has_the_same_bits_in_any_company(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.randn(40, 96).to(dtype)
    weight, bias = torch.randn(64, 96).to(dtype), torch.randn(64).to(dtype)
    with torch.no_grad():
        expected = linear(x, weight, bias)
        for rows in range(1, 40):
            assert torch.equal(linear(x[:rows], weight, bias), expected[:rows]), rows


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("inputs", "outputs"), [(512, 256), (1024, 512), (1536, 2048)])
def test_nor_with_two_threads_at_full_width(dtype: torch.dtype, inputs: int, outputs: int) -> None:
    """Threads share out small products along other dimensions than large ones."""
    torch.manual_seed(0)
    x, before = torch.randn(320, inputs).to(dtype), torch.get_num_threads()
    weight, bias = torch.randn(outputs, inputs).to(dtype), torch.randn(outputs).to(dtype)
    torch.set_num_threads(2)
    try:
        with torch.no_grad():
            expected = linear(x, weight, bias)
            for rows in (1, 16, 60, 64, 100, 144, 208, 319):
                assert torch.equal(linear(x[:rows], weight, bias), expected[:rows]), rows
    finally:
        torch.set_num_threads(before)
    exact = x.double() @ weight.double().t() + bias.double()
    torch.testing.assert_close(
        expected.double(), exact, rtol=0, atol=1.0 if dtype == torch.bfloat16 else 1e-3
    )
