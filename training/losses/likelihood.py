"""The likelihood of a batch's target pieces, whether the network copies or not."""

# Shapes: N sentences, T target length, S source length, M real target pieces, F feature size.

from torch import Tensor, nn

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
    gate, copied = gate_and_copied(network.copy_gate, batch, real, attention)
    return copy_loss(real, output, gate, copied, batch.tgt_out, batch.weights, smoothing=smoothing)


def gate_and_copied(
    copy_gate: nn.Linear, batch: Batch, real: Tensor, attention: Tensor
) -> tuple[Tensor, Tensor]:
    """The logits (M,) of copying, and the attention (M,) to each target piece in its source.

    Arguments are those of `likelihood`, with the gate (1, F) of a network that copies.
    """
    gate = gate_logits(real.unsqueeze(1), copy_gate).squeeze(1)
    at = attention.flatten(0, 1).index_select(0, batch.real)  # (M, S)
    src = batch.src.index_select(0, batch.real // batch.tgt_in.shape[1])
    return gate, attention_to(batch.tgt_out, at, src)
