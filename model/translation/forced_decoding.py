"""Forced decoding: the probability of a given translation (teacher forcing)."""

# Shapes: N sentence pairs, T target length with EOS.

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import BOS_ID, EOS_ID, PAD_ID

PIECES = 2048
"""Padded pieces, of the longer side, that are scored at once."""


@torch.inference_mode()
def score_pairs(
    network: Seq2Seq, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
) -> list[tuple[float, ...]]:
    """The natural logarithms of the probabilities of the pieces and EOS of each target.

    Each is that of a piece given the source and the pieces before it, so that their sum is that of
    the target.

    Args:
        network: in eval mode.
        sources, targets: piece ids without BOS and EOS, of equal number. A source or target may be
            empty.
    """
    scores: list[tuple[float, ...]] = [()] * len(sources)
    for batch in batches([max(len(s), len(t)) for s, t in zip(sources, targets, strict=True)]):
        found = score_batch(network, [sources[i] for i in batch], [targets[i] for i in batch])
        for i, row in zip(batch, found.tolist(), strict=True):
            scores[i] = tuple(row[: len(targets[i]) + 1])
    return scores


def batches(lengths: Sequence[int], most: int = PIECES) -> Iterator[list[int]]:
    """Group pairs of about equal length by position, as many as fit in `most` padded pieces."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if batch and (len(batch) + 1) * (lengths[i] + 1) > most:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


@torch.inference_mode()
def score_batch(
    network: Seq2Seq, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
) -> Tensor:
    """Log-probabilities (N, T) fp64 of the pieces and EOS of a batch that is run at once.

    After the EOS of a target that is shorter than others there are zeros.
    """
    device = network.output.weight.device
    src = _padded([[*pieces, EOS_ID] for pieces in sources], device)
    lengths = torch.tensor([len(pieces) + 1 for pieces in sources], device=device)
    tgt_in = _padded([[BOS_ID, *pieces] for pieces in targets], device)
    tgt_out = _padded([[*pieces, EOS_ID] for pieces in targets], device)
    memory = network.encode(src, lengths)
    features, weights = network.unroll(tgt_in, network.start(memory), memory)
    found: list[Tensor] = []
    # The logits of one very long line are the largest tensor, so they are made in stretches.
    for start in range(0, tgt_out.shape[1], PIECES):
        stretch = slice(start, start + PIECES)
        wanted = tgt_out[:, stretch]
        logits = network.log_scores(features[:, stretch], weights[:, stretch], memory).float()
        log_probs = logits.gather(2, wanted.unsqueeze(2)).squeeze(2) - logits.logsumexp(2)
        found.append(log_probs.masked_fill(wanted == PAD_ID, 0).double())
    return torch.cat(found, dim=1)


def _padded(rows: list[list[int]], device: torch.device) -> Tensor:
    size = max(map(len, rows))
    return torch.tensor([row + [PAD_ID] * (size - len(row)) for row in rows], device=device)
