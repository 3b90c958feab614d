"""R-Drop's divergence by hand, and a batch that is two in one."""

import math

import numpy as np
import pytest
import torch

from training.data.batching import Rows, collate
from training.losses.rdrop import doubled, symmetric_divergence


def test_hand_computed_divergence() -> None:
    """P1 = (1/2, 1/2), P2 = (1/4, 3/4): KL(P1 || P2) = 0.1438410, KL(P2 || P1) = 0.1308120."""
    logits = torch.tensor([[[0.5, 0.5], [0.1, 0.9]], [[0.25, 0.75], [0.1, 0.9]]]).log()
    found = symmetric_divergence(logits, torch.tensor([3.0, 5.0]))
    first = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    second = 0.25 * math.log(1 / 2) + 0.75 * math.log(3 / 2)
    assert (first, second) == pytest.approx((0.1438410, 0.1308120))
    assert found.item() == pytest.approx(3 * (first + second) / 2, rel=1e-5)  # the other agrees


def test_a_doubled_batch_has_each_piece_twice_at_half_its_weight() -> None:
    rows = Rows.unweighted([np.array([5, 6])], [np.array([7])])
    batch = collate(rows._replace(weights=np.array([3], np.float32)))
    both = doubled(batch)
    count, size = batch.tgt_in.shape
    assert both.src.shape == (2 * count, batch.src.shape[1])
    assert both.real.tolist() == [0, 1, count * size, count * size + 1]
    assert both.tgt_out.tolist() == batch.tgt_out.tolist() * 2
    assert both.weights.tolist() == [1.5] * 4
    inputs = both.tgt_in.flatten()[both.real].view(2, -1)
    assert torch.equal(inputs[0], inputs[1])
