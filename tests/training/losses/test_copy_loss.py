"""The copy loss against the mixture written out, in value and gradient; coverage by hand."""

import pytest
import torch
from torch import Tensor, nn

from model.text.tokenizer import PAD_ID
from training.losses import output_loss as chunks
from training.losses.copy_loss import attention_to, copy_loss
from training.losses.coverage_loss import coverage_overlap


def reference(
    features: Tensor,
    output: nn.Linear,
    gate: Tensor,
    copied: Tensor,
    target: Tensor,
    weights: Tensor,
    smoothing: float,
) -> tuple[Tensor, Tensor]:
    """Eq. 9 and 13 of See et al. 2017, as they read."""
    p_gen = 1 - gate.sigmoid()
    vocabulary = output(features).softmax(-1)
    p = p_gen * vocabulary.gather(1, target.unsqueeze(1)).squeeze(1) + (1 - p_gen) * copied
    nll = -p.log()
    others = torch.arange(output.out_features) != PAD_ID
    smoothed = (1 - smoothing) * nll - smoothing * vocabulary.log()[:, others].mean(1)
    return (smoothed * weights).sum(), (nll * weights).sum()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_value_and_gradients_equal_the_definition_across_chunks(
    smoothing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 4)  # 10 rows: two full chunks and a rest
    torch.manual_seed(0)
    output = nn.Linear(6, 11).double()
    features = torch.randn(10, 6, dtype=torch.float64, requires_grad=True)
    gate = torch.randn(10, dtype=torch.float64, requires_grad=True)
    copied = torch.rand(10, dtype=torch.float64, requires_grad=True)
    target, weights = torch.randint(1, 11, (10,)), torch.rand(10).double() * 3
    leaves = [features, output.weight, output.bias, gate, copied]
    loss = copy_loss(features, output, gate, copied, target, weights, smoothing=smoothing)
    ours = torch.autograd.grad(3 * loss.smoothed, leaves)
    smoothed, nll = reference(features, output, gate, copied, target, weights, smoothing)
    theirs = torch.autograd.grad(3 * smoothed, leaves)
    torch.testing.assert_close(loss.smoothed, smoothed)
    torch.testing.assert_close(loss.nll, nll)
    for mine, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, expected)


def test_a_gold_piece_that_the_source_lacks_is_generated_however_open_the_gate_is() -> None:
    """Its loss is that of the output layer, shut off by the gate, which is pushed back."""
    torch.manual_seed(1)
    output = nn.Linear(6, 11)
    features, target = torch.randn(5, 6), torch.tensor([5, 6, 7, 8, 9])
    gate = torch.tensor([1000.0, 100.0, 30.0, 0.0, -30.0], requires_grad=True)
    scores = torch.zeros(5, 3, requires_grad=True)
    src = torch.tensor([[10, 4, 3]]).expand(5, -1)
    copied = attention_to(target, scores.softmax(dim=1), src)
    loss = copy_loss(features, output, gate, copied, target, torch.full((5,), 9.0), smoothing=0.0)
    loss.smoothed.backward()  # type: ignore[no-untyped-call]
    generated = output(features).log_softmax(1).gather(1, target.unsqueeze(1)).squeeze(1)
    expected = -9 * (generated + torch.nn.functional.logsigmoid(-gate)).sum()
    torch.testing.assert_close(loss.smoothed, expected)
    torch.testing.assert_close(gate.grad, 9 * gate.detach().sigmoid())
    torch.testing.assert_close(scores.grad, torch.zeros(5, 3))
    assert output.weight.grad is not None
    assert torch.isfinite(output.weight.grad).all()


def test_attention_to_a_piece_counts_all_its_positions() -> None:
    attention = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]])
    src = torch.tensor([[4, 5, 4], [6, 7, 8]])
    found = attention_to(torch.tensor([4, 9]), attention, src)
    assert found.tolist() == [0.75, 0.0]


def test_coverage_overlap_by_hand() -> None:
    """c_1 = 0, c_2 = a_1, c_3 = a_1 + a_2: the step itself is left out."""
    attention = torch.tensor([[[0.5, 0.5, 0.0], [0.25, 0.0, 0.75], [0.5, 0.25, 0.25]]])
    expected = torch.tensor([[0.0, 0.25, 0.5 + 0.25 + 0.25]])
    torch.testing.assert_close(coverage_overlap(attention), expected)
