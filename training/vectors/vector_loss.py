"""Loss of vectors under teacher forcing: mean squared or mean absolute error, normalised."""

# Shapes: N pairs, T target length, V numbers in a target vector.

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from model.network.seq2seq import Seq2Seq
from training.losses.output_loss import Loss
from training.vectors.vector_batch import VectorBatch

VectorLossKind = Literal["mse", "mae"]


@dataclass(frozen=True, kw_only=True, slots=True)
class VectorObjective:
    """What the loss of a batch depends on, besides the network and the batch."""

    kind: VectorLossKind

    def module(self, network: Seq2Seq, dtype: torch.dtype) -> "VectorLoss":
        """The loss of `network`, computed in `dtype`."""
        return VectorLoss(network, self.kind, dtype)


def vector_loss(network: Seq2Seq, batch: VectorBatch, kind: VectorLossKind) -> Tensor:
    """The sum over the target vectors of the mean error of their numbers, which are normalised.

    mse: (y - y*)^2; mae: |y - y*|. Each vector is predicted from the true ones before it.
    """
    memory = network.encode(batch.src, batch.src_lengths)
    features, weights = network.unroll(batch.tgt_in, network.start(memory), memory)
    apart = network.log_scores(features, weights, memory).float() - batch.tgt_out
    error = apart.square() if kind == "mse" else apart.abs()
    return error.mean(dim=2)[batch.real].sum()


class VectorLoss(nn.Module):
    """The loss as a module, under autocast unless `dtype` is fp32."""

    def __init__(self, network: Seq2Seq, kind: VectorLossKind, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self.kind, self.dtype = network, kind, dtype

    def forward(self, batch: VectorBatch, step: int) -> Loss:
        """Compute the summed loss of the batch; it is the same in every update."""
        enabled = self.dtype != torch.float32
        with torch.autocast(self.network.device.type, dtype=self.dtype, enabled=enabled):
            loss = vector_loss(self.network, batch, self.kind)
        return Loss(loss, loss.detach())
