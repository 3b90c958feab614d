"""The losses of single pairs against forced decoding."""

import numpy as np
import pytest
import torch

from model.config import ModelConfig
from model.network.seq2seq import Seq2Seq
from model.translation.forced_decoding import score_pairs
from training.data.batching import Rows
from training.losses.pair_losses import PAIRS, pair_losses


@pytest.mark.parametrize("copy", [False, True])
def test_they_are_those_of_the_probabilities_of_the_target_pieces(copy: bool) -> None:
    torch.manual_seed(0)
    network = Seq2Seq(ModelConfig(vocab_size=30, embedding_size=16, copy=copy, coverage=copy))
    chance = np.random.default_rng(1)
    count = 2 * PAIRS + 3  # three batches
    sources, targets = (
        [chance.integers(4, 30, size).tolist() for size in chance.integers(1, 9, count)]
        for _ in range(2)
    )
    rows = Rows.unweighted([np.array(ids) for ids in sources], [np.array(ids) for ids in targets])
    found = pair_losses(network.train(), rows)
    assert network.training
    expected = [-np.mean(scores) for scores in score_pairs(network.eval(), sources, targets)]
    assert found == pytest.approx(expected, rel=1e-4)
