"""R-Drop: two passes with different dropout are made to agree (Liang et al. 2021, section 2.1)."""

# Shapes: N sentences, T target length, M target pieces, m of them in a chunk, V vocabulary.

import torch
from torch import Tensor

from training.data.batching import Batch


def doubled(batch: Batch) -> Batch:
    """Repeat the batch, so that each half draws its own dropout masks.

    Each target piece counts one half in either: sums are those of one batch.
    """
    rows, length = batch.tgt_in.shape
    return batch._replace(
        src=batch.src.repeat(2, 1),
        src_lengths=batch.src_lengths.repeat(2),
        tgt_in=batch.tgt_in.repeat(2, 1),
        real=torch.cat([batch.real, batch.real + rows * length]),
        tgt_out=batch.tgt_out.repeat(2),
        weights=batch.weights.repeat(2) / 2,
    )


def symmetric_divergence(logits: Tensor, weights: Tensor) -> Tensor:
    """Sum () over pieces of the symmetric divergence of two passes, logits (2, m, V); eq. 3:

        L_KL = 1/2 (KL(P1 || P2) + KL(P2 || P1)) = 1/2 sum_v (P1 - P2) (log P1 - log P2)

    Each piece counts `weights` (m,) times. The whole loss, L = -log P1 - log P2 + alpha L_KL
    (eq. 4), is halved in `training.losses.batch_loss`, to be on the scale of one pass.
    """
    first, second = logits.log_softmax(dim=-1).unbind(0)
    each = ((first.exp() - second.exp()) * (first - second)).sum(dim=-1) / 2
    return (each * weights).sum()
