"""Aligner: the source position of each target piece, by IBM model 1 (Brown et al. 1993)."""

# Shapes: N sentences, T target length, S source length, M target pieces, P pairs of the table.

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.text.tokenizer import EOS_ID, PAD_ID
from training.data.batching import Batch, Ids
from training.lexical.ibm_model1 import NULL_ID, TranslationTable, learn_table, num_links
from training.lexical.learn_shortlist import ITERATIONS, even_rows


@dataclass(frozen=True, slots=True, eq=False)
class Aligner:
    """Hard alignments by a translation table: t(f | e) of IBM model 1, sorted by e, then f."""

    keys: Tensor  # (P,) e * V + f
    probability: Tensor  # (P,) fp32
    vocab_size: int

    @classmethod
    def of(cls, table: TranslationTable, vocab_size: int, device: torch.device) -> "Aligner":
        """Make an aligner with the probabilities of `table`, on `device`."""
        return cls(
            torch.from_numpy(table.source * vocab_size + table.target).to(device),
            torch.from_numpy(table.probability).float().to(device),
            vocab_size,
        )

    def positions(self, batch: Batch) -> Tensor:
        """Find the most probable source position of each of the M target pieces.

        By model 1 (Brown et al. 1993) that is argmax_i t(f_j | e_i), the first of equal ones. -1
        where that is NULL, where the table knows no pair, and for the end of the sentence.
        """
        src = batch.src.index_select(0, batch.real // batch.tgt_in.shape[1])  # (M, S)
        null = torch.full_like(src[:, :1], NULL_ID)
        pairs = torch.cat([null, src], dim=1) * self.vocab_size + batch.tgt_out.unsqueeze(1)
        place = torch.searchsorted(self.keys, pairs).clamp_max(len(self.keys) - 1)
        probability = torch.where(self.keys[place] == pairs, self.probability[place], 0.0)
        probability[:, 1:].masked_fill_(src == PAD_ID, 0.0)  # PAD is NULL's id
        best, where = probability.max(dim=1)
        known = (best > 0) & (batch.tgt_out != EOS_ID)
        return torch.where(known, where - 1, -1)


def learn_aligner(
    sources: Sequence[Ids],
    targets: Sequence[Ids],
    *,
    vocab_size: int,
    max_links: int,
    device: torch.device,
) -> Aligner:
    """Learn an aligner; a corpus of more than `max_links` links is sampled evenly."""
    rows = even_rows(num_links(sources, targets), max_links)
    table = learn_table(
        [sources[row] for row in rows],
        [targets[row] for row in rows],
        vocab_size=vocab_size,
        iterations=ITERATIONS,
    )
    return Aligner.of(table, vocab_size, device)
