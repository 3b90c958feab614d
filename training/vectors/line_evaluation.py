"""Evaluation of a network from vectors to lines on the dev set: loss, and scores of outputs."""

import math
from dataclasses import replace

import torch

from model.decoding.options import SearchOptions
from model.network.seq2seq import Seq2Seq
from model.text.vocabulary import Vocabulary
from model.transducer import Transducer
from model.translation.assemble import Translation
from model.translator import windows
from model.vectors.frame_files import Frames
from training.validation.evaluation import ROWS, Evaluation, mean_nll
from training.vectors.line_rows import LineRows
from training.vectors.line_targets import Scoring
from training.vectors.vector_corpus import VectorCorpus

AT_ONCE = 256
"""Sequences whose outputs are held with their attention, which is as wide as they are long."""


def evaluate_lines(
    network: Seq2Seq,
    corpus: VectorCorpus[Frames, str],
    rows: LineRows,
    vocabulary: Vocabulary,
    search: SearchOptions,
    scoring: Scoring,
    *,
    samples: int,
    device: torch.device,
    dtype: torch.dtype,
) -> Evaluation:
    """Score `network` (in eval mode, fp32) on `corpus`; decoding runs in `dtype`.

    Args:
        rows: the same pairs, normalised.
        samples: how many are shown to people, without their attention.
    """
    _, lengths = rows.lengths()
    order = lengths.argsort(kind="stable")
    chunks = (order[start : start + ROWS] for start in range(0, len(order), ROWS))
    loss = mean_nll(network, (rows.only(places).padded() for places in chunks))
    found: list[Translation] = []
    if math.isfinite(loss):  # else the network has diverged; the training may recover
        transducer = Transducer(network, vocabulary, search, device=device, dtype=dtype)
        for window in windows(corpus.sources, AT_ONCE):
            found += map(_without_weights, transducer.transduce(window))
    shown = [f"{len(source):,} vectors" for source in corpus.sources[:samples]]
    return scoring(loss, found, corpus.targets, shown)


def _without_weights(found: Translation) -> Translation:
    return replace(found, hypotheses=tuple(replace(one, weights=None) for one in found.hypotheses))
