"""Scheduled sampling: its schedules by hand, and what the decoder reads."""

import math

import numpy as np
import pytest
import torch

from model.config import ModelConfig
from model.network.seq2seq import Seq2Seq
from training.data.batching import Rows, collate
from training.losses.scheduled_sampling import own_share, with_own_pieces


def test_hand_computed_shares() -> None:
    assert own_share(50, kind="linear", highest=0.6, max_steps=100) == pytest.approx(0.3)
    # k = 50: half-way at 50 ln 50 = 195.6; at step 100 epsilon = 50 / (50 + e^2) = 0.871248
    share = own_share(100, kind="inverse_sigmoid", highest=1.0, max_steps=391)
    assert share == pytest.approx(1 - 0.871248, abs=5e-4)


@pytest.mark.parametrize("max_steps", [2, 100, 1_000_000])
def test_inverse_sigmoid_is_half_way_half_way(max_steps: int) -> None:
    def share(step: int) -> float:
        return own_share(step, kind="inverse_sigmoid", highest=0.8, max_steps=max_steps)

    assert share(max_steps // 2) == pytest.approx(0.4)
    shares = [share(max_steps * tenth // 10) for tenth in range(11)]
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.4 < shares[-1] < 0.8
    assert all(map(math.isfinite, shares))


def test_own_pieces_are_the_predictions_of_the_first_pass() -> None:
    torch.manual_seed(0)
    config = ModelConfig(vocab_size=30, embedding_size=6, encoder_size=8, decoder_size=8)
    network = Seq2Seq(config).double().eval()
    with torch.no_grad():
        network.output.weight *= 4
    batch = collate(
        Rows.unweighted([np.array([9, 8]), np.array([7])], [np.array([5, 6, 4]), np.array([6])])
    )
    memory = network.encode(batch.src, batch.src_lengths)
    features, weights = network.unroll(batch.tgt_in, network.start(memory), memory)
    best = network.log_scores(features, weights, memory).argmax(-1)
    expected = batch.tgt_in.clone()
    expected[0, 1:4] = best[0, :3]
    expected[1, 1:2] = best[1, :1]
    assert torch.equal(with_own_pieces(network, batch, 1.0), expected)
    assert torch.equal(with_own_pieces(network, batch, 0.0), batch.tgt_in)
    some = with_own_pieces(network, batch, 0.5)
    assert ((some == expected) | (some == batch.tgt_in)).all()
