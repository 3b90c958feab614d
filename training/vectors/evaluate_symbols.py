"""Evaluation of a network from vectors to symbols on the dev set: loss, and error rates."""

import math
from dataclasses import replace

import torch

from model.decoding.options import SearchOptions
from model.network.seq2seq import Seq2Seq
from model.text.symbols import Symbols
from model.transducer import Transducer
from model.translation.assemble import Translation
from model.translator import windows
from training.validation.evaluation import ROWS, Evaluation, mean_nll
from training.validation.symbol_evaluation import symbol_evaluation
from training.vectors.symbol_rows import SymbolRows
from training.vectors.vector_corpus import VectorCorpus

AT_ONCE = 256
"""Sequences whose outputs are held with their attention, which is as wide as they are long."""


def evaluate_frames(
    network: Seq2Seq,
    corpus: VectorCorpus[str],
    rows: SymbolRows,
    symbols: Symbols,
    search: SearchOptions,
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
        transducer = Transducer(network, symbols, search, device=device, dtype=dtype)
        for window in windows(corpus.sources, AT_ONCE):
            found += map(_without_weights, transducer.transduce(window))
    shown = [f"{len(source):,} vectors" for source in corpus.sources[:samples]]
    return symbol_evaluation(loss, found, corpus.targets, symbols.target.cut, shown)


def _without_weights(found: Translation) -> Translation:
    return replace(found, hypotheses=tuple(replace(one, weights=None) for one in found.hypotheses))
