"""Forward pass of a batch under teacher forcing: from ids to losses."""

# Shapes: N sentences, T target length, M real target pieces, F feature size.

import torch

from model.network.seq2seq import Seq2Seq
from training.batching import Batch
from training.objective import Loss, output_loss


def batch_loss(network: Seq2Seq, batch: Batch, *, smoothing: float, dtype: torch.dtype) -> Loss:
    """Summed losses of a batch, weighted, under autocast where `dtype` is not fp32."""
    low = dtype != torch.float32
    with torch.autocast(network.device.type, dtype=dtype, enabled=low):
        memory = network.encode(batch.src, batch.src_lengths)
        features, _ = network.unroll(batch.tgt_in, network.start(memory), memory)
        real = features.flatten(0, 1).index_select(0, batch.real)  # (M, F)
        output = network.output
        return output_loss(
            real, output.weight, output.bias, batch.tgt_out, batch.weights, smoothing=smoothing
        )
