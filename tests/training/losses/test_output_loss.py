"""The chunked output loss against torch's cross entropy, in value and gradient."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from model.text.tokenizer import PAD_ID
from training.losses import output_loss as objective
from training.losses.output_loss import output_loss


def reference(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    target: Tensor,
    weights: Tensor,
    smoothing: float,
) -> tuple[Tensor, Tensor]:
    """Definition (a), written out: PAD is left out of the smoothing mass."""
    log_p = (features @ weight.t() + bias).log_softmax(-1)
    nll = -log_p.gather(1, target.unsqueeze(1)).squeeze(1)
    others = torch.arange(weight.shape[0]) != PAD_ID
    smoothed = (1 - smoothing) * nll + smoothing * -log_p[:, others].mean(1)
    return (smoothed * weights).sum(), (nll * weights).sum()


def inputs(rows: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    features = torch.randn(rows, 6, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(11, 6, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(11, dtype=torch.float64, requires_grad=True)
    return features, weight, bias, torch.randint(1, 11, (rows,)), torch.rand(rows) * 3


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_value_and_gradients_equal_the_definition_across_chunks(
    smoothing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objective, "CHUNK", 4)  # 10 rows: two full chunks and a rest
    features, weight, bias, target, weights = inputs(10)
    loss = output_loss(features, weight, bias, target, weights, smoothing=smoothing)
    (3 * loss.smoothed).backward()  # type: ignore[no-untyped-call]
    ours = [x.grad.clone() for x in (features, weight, bias) if x.grad is not None]
    for x in (features, weight, bias):
        x.grad = None
    smoothed, nll = reference(features, weight, bias, target, weights, smoothing)
    (3 * smoothed).backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(loss.smoothed, smoothed)
    torch.testing.assert_close(loss.nll, nll)
    for mine, x in zip(ours, (features, weight, bias), strict=True):
        torch.testing.assert_close(mine, x.grad)


def test_without_smoothing_it_is_torch_cross_entropy_and_needs_no_gradient() -> None:
    features, weight, bias, target, _ = inputs(7)
    with torch.inference_mode():
        loss = output_loss(features, weight, bias, target, torch.ones(7), smoothing=0.0)
        expected = F.cross_entropy(F.linear(features, weight, bias), target, reduction="sum")
    torch.testing.assert_close(loss.nll, expected)
    torch.testing.assert_close(loss.smoothed, expected)


def test_hand_computed_value() -> None:
    """Two pieces beside PAD at p = 3/4 and 1/4 of what PAD leaves: logits 0, ln 3, 0."""
    features = torch.ones(1, 1, dtype=torch.float64)
    weight = torch.tensor([[0.0], [3.0], [1.0]], dtype=torch.float64).log().nan_to_num(neginf=0.0)
    bias, target = torch.zeros(3, dtype=torch.float64), torch.tensor([1])
    loss = output_loss(features, weight, bias, target, torch.tensor([2.5]), smoothing=0.2)
    # p = 1/5, 3/5, 1/5; nll = -ln 0.6; smoothed = 0.8 * nll + 0.2 * (-ln 0.6 - ln 0.2) / 2
    smoothed = 0.8 * 0.5108256 + 0.1 * (0.5108256 + 1.6094379)
    assert loss.nll.item() == pytest.approx(2.5 * 0.5108256)
    assert loss.smoothed.item() == pytest.approx(2.5 * smoothed)


def test_bf16_products_stay_near_fp32() -> None:
    given = [x.float() if x.is_floating_point() else x for x in inputs(9)]
    features, weight, bias, target, weights = given
    exact = output_loss(features, weight, bias, target, weights, smoothing=0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = output_loss(features, weight, bias, target, weights, smoothing=0.1)
    assert rough.smoothed.dtype == torch.float32
    torch.testing.assert_close(rough.smoothed, exact.smoothed, rtol=0.02, atol=0)
