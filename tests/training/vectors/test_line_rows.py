"""LineRows: what is padded changes neither what is read nor the loss."""

import numpy as np
import pytest
import torch

from model.config import ModelConfig
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import BOS_ID, EOS_ID, PAD_ID
from training.losses.batch_loss import Objective, batch_loss
from training.vectors.line_rows import LineRows


def rows() -> LineRows:
    generator = np.random.default_rng(1)
    films = [generator.normal(size=(length, 2)).astype(np.float32) for length in (1, 3, 7)]
    return LineRows(films, [np.array(ids, np.int32) for ids in ([4, 5, 6, 4], [5], [])])


def test_the_batch_by_hand() -> None:
    given = rows()
    batch = given.padded()
    assert batch.src.shape == (4, 8, 2) and batch.src.dtype == torch.float32
    assert batch.src_lengths.tolist() == [1, 3, 7, 1]  # the last row only fills the shape
    np.testing.assert_array_equal(batch.src[1, :3].numpy(), given.sources[1])
    assert not batch.src[1, 3:].any() and not batch.src[3].any()
    wanted = [[BOS_ID, 4, 5, 6, 4, PAD_ID], [BOS_ID, 5, *[PAD_ID] * 4], [BOS_ID, *[PAD_ID] * 5]]
    assert batch.tgt_in[:3].tolist() == wanted
    assert batch.tgt_out.tolist() == [4, 5, 6, 4, EOS_ID, 5, EOS_ID, EOS_ID]
    assert (given.source_tokens, given.target_tokens, given.target_weight) == (11, 8, 8.0)


def test_the_loss_of_a_batch_is_the_sum_of_its_pairs() -> None:
    torch.manual_seed(0)
    config = ModelConfig(
        vocab_size=7,
        embedding_size=4,
        encoder_size=4,
        decoder_size=4,
        tie_embeddings=False,
        source_width=2,
    )
    network = Seq2Seq(config).eval()

    @torch.inference_mode()
    def loss(given: LineRows) -> float:
        objective = Objective(smoothing=0.1)
        value = batch_loss(network, given.padded(), objective, step=1, dtype=torch.float32)
        return value.smoothed.item()

    alone = [loss(rows().only(np.array([place]))) for place in range(3)]
    assert loss(rows()) == pytest.approx(sum(alone), rel=1e-5)
    parts = [loss(rows().part(number, 2)) for number in range(2)]
    assert sum(parts) == pytest.approx(sum(alone), rel=1e-5)
