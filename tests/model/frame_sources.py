"""Sources of vectors for models with random weights, and what the network alone makes of them."""

import numpy as np
import torch
from numpy.typing import NDArray

from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID

Vectors = NDArray[np.float64]


def films() -> list[Vectors]:
    """Sequences (S, 3), near to the statistics of the checkpoints of the fixtures."""
    generator = np.random.default_rng(0)
    return [generator.normal(1000, 4, (length, 3)) for length in (5, 1, 40, 17, 16, 15)]


@torch.inference_mode()
def greedy(network: Seq2Seq, film: Vectors) -> tuple[list[int], list[int]]:
    """Ids by teacher forcing alone, without the engine, and the frame each attended to most."""
    source = network.source_statistics
    assert source
    read = (torch.from_numpy(film.astype(np.float32)).double() - source.mean) / source.std
    memory = network.encode(read.float().unsqueeze(0), torch.tensor([len(film)]))
    found, frames = [BOS_ID], list[int]()
    while len(found) <= len(film):
        features, weights = network.unroll(torch.tensor([found]), network.start(memory), memory)
        logits = network.output(features[0, -1])
        logits[[PAD_ID, UNK_ID, BOS_ID]] = -torch.inf
        found.append(int(logits.argmax()))
        if found[-1] == EOS_ID:
            return found[1:-1], frames
        frames.append(int(weights[0, -1].argmax()))
    return found[1:], frames
