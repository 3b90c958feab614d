"""Dropout: its rate, its expectation, and that it is off outside training."""

import torch

from model.network.dropout import Dropout, share_masks


def test_share_of_zeros_and_expectation() -> None:
    torch.manual_seed(0)
    x = torch.ones(1000, 333)
    y = Dropout(0.3)(x)
    assert abs((y == 0).float().mean().item() - 77 / 256) < 0.005
    assert abs(y.mean().item() - 1) < 0.01


def test_gradient_passes_only_where_the_value_did() -> None:
    torch.manual_seed(0)
    x = torch.randn(50, 7, requires_grad=True)
    y = Dropout(0.5)(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad == 0, y == 0)


def test_identity_in_evaluation_and_at_rate_zero() -> None:
    x = torch.randn(3, 5)
    assert Dropout(0.3).eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_shared_masks_are_constant_over_time_and_differ_between_sequences() -> None:
    torch.manual_seed(0)
    dropout = Dropout(0.5)
    share_masks(dropout)
    masks = dropout(torch.ones(20, 7, 64))
    assert torch.equal(masks, masks[:, :1].expand_as(masks))
    assert not torch.equal(masks[0], masks[1])
    assert abs((masks[:, 0] == 0).float().mean().item() - 0.5) < 0.05
    assert not torch.equal(dropout(torch.ones(20, 7, 64)), masks)  # new ones in the next pass
