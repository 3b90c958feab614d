"""Scheduled sampling: the decoder learns to read its own pieces (Bengio et al. 2015).

In two passes over whole sequences (Mihaylova & Martins 2019): the first one predicts with the gold
pieces as input, and some of its predictions are what the second one reads.
"""

# Shapes: N sentences, T target length, M target pieces, F feature size.

import math
from typing import Literal

import torch
from torch import Tensor

from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import PAD_ID
from training.data.batching import Batch
from training.losses.output_loss import CHUNK


def own_share(
    step: int, *, kind: Literal["inverse_sigmoid", "linear"], highest: float, max_steps: int
) -> float:
    """Compute the share of own pieces at `step`, 1 - epsilon_i of Bengio et al. 2015, section 2.4.

        linear:           1 - epsilon_i = i / max_steps
        inverse_sigmoid:  epsilon_i = k / (k + exp(i / k)),  with epsilon = 1/2 half-way

    times `highest`. Half-way means i = k ln k = max_steps / 2, which determines k.
    """
    if kind == "linear":
        return highest * step / max_steps
    half = max_steps / 2
    k = math.e
    for _ in range(50):  # Newton's method for k ln k = half; it is convex and converges from e
        k = (k + half) / (1 + math.log(k))
    return highest / (1 + k * math.exp(-step / k))


@torch.no_grad()
def with_own_pieces(network: Seq2Seq, batch: Batch, share: float) -> Tensor:
    """Decoder input (N, T): that of `batch`, but a random `share` of it is the network's argmax.

    The first piece, BOS, stays. Only places that a target piece follows change.
    """
    memory = network.encode(batch.src, batch.src_lengths)
    features, _ = network.unroll(batch.tgt_in, network.start(memory), memory)
    real = features.flatten(0, 1).index_select(0, batch.real)
    output = network.output
    rows = [output(real[start : start + CHUNK]) for start in range(0, max(len(real), 1), CHUNK)]
    predicted = torch.full_like(batch.tgt_in, PAD_ID).flatten()
    predicted[batch.real] = torch.cat([logits.argmax(dim=1) for logits in rows])
    own = predicted.view(batch.tgt_in.shape).roll(
        1, dims=1
    )  # what is predicted at t is read at t+1
    chosen = torch.rand(own.shape, device=own.device) < share
    chosen[:, 0] = False
    real_next = torch.zeros_like(chosen).flatten()
    real_next[batch.real] = True
    return torch.where(chosen & real_next.view(chosen.shape), own, batch.tgt_in)
