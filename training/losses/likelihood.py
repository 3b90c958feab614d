"""The likelihood of a batch's target pieces, whether the network copies or not."""

# Shapes: N sentences, T target length, S source length, M real target pieces, F feature size.

from torch import Tensor

from model.network.copying import gate_logits
from model.network.seq2seq import Seq2Seq
from training.data.batching import Batch
from training.losses.copy_loss import attention_to, copy_loss
from training.losses.output_loss import Loss, output_loss


def likelihood(
    network: Seq2Seq, batch: Batch, real: Tensor, attention: Tensor, smoothing: float
) -> Loss:
    """The smoothed loss, and the likelihood, of the target pieces of `batch`.

    Args:
        real: (M, F) features of the target pieces.
        attention: (N, T, S).
        smoothing: see `training.losses.output_loss` and, for a network that copies,
            `training.losses.copy_loss`.
    """
    output = network.output
    if network.copy_gate is None:
        return output_loss(
            real, output.weight, output.bias, batch.tgt_out, batch.weights, smoothing=smoothing
        )
    sentence = batch.real // batch.tgt_in.shape[1]
    copied = attention_to(
        batch.tgt_out,
        attention.flatten(0, 1).index_select(0, batch.real),
        batch.src.index_select(0, sentence),
    )
    gate = gate_logits(real.unsqueeze(1), network.copy_gate).squeeze(1)
    return copy_loss(real, output, gate, copied, batch.tgt_out, batch.weights, smoothing=smoothing)
