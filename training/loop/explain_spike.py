"""Explaining a spike: which pairs its batch had, and which of them was the hardest."""

import math
from collections.abc import Sequence

import numpy as np

from model.network.seq2seq import Seq2Seq
from model.text.vocabulary import Vocabulary
from training.data.batch_loader import BatchLoader, Origins, join_pairs
from training.data.batching import Rows
from training.loop.loss_spikes import Spike
from training.loop.trainer import Update
from training.losses.pair_losses import pair_losses
from training.tracking.run_record import PairRow, SpikeRow

SNIPPET = 200
"""Letters of a side that are recorded."""


def explain_spike(
    spike: Spike,
    update: Update,
    rows: Rows,
    *,
    step: int,
    network: Seq2Seq,
    loader: BatchLoader,
    tokenizer: Vocabulary,
    names: Sequence[str],
) -> SpikeRow:
    """Name the pairs of `rows`, the batch that `loader` drew last, and compute the loss of each.

    The weights are those after the update, so these losses are a little lower than in it.

    Args:
        names: of the corpora.
    """
    origins = loader.origins()
    losses = pair_losses(network, rows)
    lengths = np.array([len(s) + len(t) for s, t in zip(rows.sources, rows.targets, strict=True)])

    def pair(place: int) -> PairRow:
        return _pair(place, rows, origins, float(losses[place]), loader, tokenizer, names)

    return SpikeRow(
        step=step,
        kind=spike.kind,
        nll=_finite(update.nll),
        gradient_norm=_finite(update.gradient_norm),
        usual=_finite(spike.usual),
        excess=_finite(spike.excess),
        target_pieces=rows.target_tokens,
        pairs={
            names[corpus]: (np.sort(origins.rows[origins.corpora == corpus]) + 1).tolist()
            for corpus in np.unique(origins.corpora).tolist()
        },
        hardest=pair(int(losses.argmax())),  # the first NaN, if there is one
        longest=pair(int(lengths.argmax())),
    )


def _pair(
    place: int,
    rows: Rows,
    origins: Origins,
    loss: float,
    loader: BatchLoader,
    tokenizer: Vocabulary,
    names: Sequence[str],
) -> PairRow:
    """Describe the line at `place` in the batch, with its text as the corpus has it."""
    parts = origins.places == place
    corpus, numbers = int(origins.corpora[parts][0]), origins.rows[parts].tolist()
    stored = join_pairs([loader.corpora[corpus].cached.read(row, row + 1) for row in numbers])
    return PairRow(
        corpus=names[corpus],
        number=numbers[0] + 1,
        source=_snippet(tokenizer.source.decode(stored.source.ids.tolist())),
        target=_snippet(tokenizer.target.decode(stored.target.ids.tolist())),
        source_pieces=len(rows.sources[place]),
        target_pieces=len(rows.targets[place]),
        nll=_finite(loss),
    )


def _snippet(text: str) -> str:
    return text if len(text) <= SNIPPET else text[: SNIPPET - 1] + "…"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
