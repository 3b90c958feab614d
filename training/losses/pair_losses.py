"""Pair losses: the loss of each pair of a batch by itself."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from model.network.memory import Memory
from model.network.seq2seq import Seq2Seq
from training.data.batching import Rows, collate

PAIRS = 16  # computed together; with the logits of one pair at a time they need little memory


@torch.no_grad()
def pair_losses(network: Seq2Seq, rows: Rows) -> NDArray[np.float64]:
    """Compute each pair's nll in nats per target piece (N,), in fp32 and without dropout."""
    training = network.training
    network.eval()
    device = network.device
    losses: list[float] = []
    count = -(-len(rows.sources) // PAIRS)
    for number in range(count):
        part = rows.part(number, count)
        batch = collate(part).to(device)
        memory = network.encode(batch.src, batch.src_lengths)
        features, weights = network.unroll(batch.tgt_in, network.start(memory), memory)
        sizes = [len(target) + 1 for target in part.targets]
        for n, gold in enumerate(torch.split(batch.tgt_out, sizes)):
            own = Memory(*(field[n : n + 1] for field in memory))
            scores = network.log_scores(
                features[n : n + 1, : len(gold)], weights[n : n + 1, : len(gold)], own
            )
            losses.append(F.cross_entropy(scores[0], gold).item())
    network.train(training)
    return np.array(losses)
