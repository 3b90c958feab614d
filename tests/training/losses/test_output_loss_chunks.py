"""Losses of logits in chunks: equal to autograd over all logits at once."""

import pytest
import torch
from torch import Tensor, nn

from training.losses import output_loss
from training.losses.output_loss import chunked_loss


@pytest.mark.parametrize("passes", [1, 2])
def test_value_and_gradients_equal_those_of_whole_logits(
    passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_loss, "CHUNK", 8)
    torch.manual_seed(0)
    features = torch.randn(passes, 11, 6, dtype=torch.float64, requires_grad=True)
    output = nn.Linear(6, 13).double()
    weights = torch.rand(11, dtype=torch.float64)
    seen: list[slice] = []

    def loss(logits: Tensor, rows: slice) -> Tensor:
        seen.append(rows)
        each = logits.log_softmax(-1).square().mean(-1).prod(0)  # joins the passes, is not linear
        return (each * weights[rows]).sum()

    ours = chunked_loss(features, output, loss)
    assert [(rows.start, rows.stop) for rows in seen][-1][1] == 11
    assert len(seen) == (2 if passes == 1 else 3)
    parameters = [features, output.weight, output.bias]
    mine = torch.autograd.grad(2 * ours, parameters)
    whole = loss(output(features), slice(0, 11))
    torch.testing.assert_close(ours, whole)
    for one, other in zip(mine, torch.autograd.grad(2 * whole, parameters), strict=True):
        torch.testing.assert_close(one, other)


def test_bf16_products_stay_near_fp32_and_no_rows_are_nothing() -> None:
    torch.manual_seed(0)
    features, output = torch.randn(1, 9, 6, requires_grad=True), nn.Linear(6, 13)

    def loss(logits: Tensor, rows: slice) -> Tensor:
        assert logits.dtype == torch.float32
        return logits.logsumexp(-1).sum()

    exact = chunked_loss(features, output, loss)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = chunked_loss(features, output, loss)
    assert rough.item() == pytest.approx(exact.item(), rel=0.02)
    assert rough.item() != exact.item()
    nothing = chunked_loss(features[:, :0], output, loss)
    nothing.backward()  # type: ignore[no-untyped-call]
    assert nothing.item() == 0
