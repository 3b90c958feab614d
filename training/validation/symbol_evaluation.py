"""Evaluation of a network of symbols on the dev set: loss by teacher forcing, error rates."""

import math

import torch

from model.decoding.options import SearchOptions
from model.errors import DataError
from model.network.seq2seq import Seq2Seq
from model.text.symbols import Symbols
from model.transducer import Transducer
from training.data.text_corpus import Corpus
from training.validation.evaluation import Evaluation, Sample, corpus_loss
from training.validation.symbol_scores import symbol_scores


def evaluate_symbols(
    network: Seq2Seq,
    corpus: Corpus,
    symbols: Symbols,
    search: SearchOptions,
    *,
    samples: int,
    dtype: torch.dtype,
) -> Evaluation:
    """Score `network` (in eval mode, fp32) on `corpus`; decoding runs in `dtype`."""
    loss = corpus_loss(network, corpus)
    sources, references = corpus.pairs.sources, corpus.pairs.targets
    outputs, found = [""] * len(sources), []
    if math.isfinite(loss):  # else the network has diverged; the training may recover
        device = next(network.parameters()).device
        transducer = Transducer(network, symbols, search, device=device, dtype=dtype)
        results = transducer.transduce(sources)
        outputs, found = [result.text for result in results], results[:samples]
    cut = symbols.target.cut.cut
    scores = symbol_scores(
        list(map(cut, outputs)), [[cut(reference)] for reference in references], bootstrap=0
    )
    return Evaluation(
        loss=loss,
        scores=scores,
        translations=outputs,
        samples=[Sample(*row) for row in zip(sources, references, found, strict=False)],
        calibration=None,
    )


def check_lengths(name: str, corpus: Corpus, max_length: int) -> None:
    """Check that all sources of a dev set can be read, before any training.

    Args:
        name: the key that names the set.

    Raises:
        DataError: some are longer than the model reads.
    """
    long = sum(len(source) > max_length for source in corpus.sources)
    if long:
        raise DataError(
            f"{name}: {long:,} of {len(corpus.sources):,} sources have more symbols than the model "
            f"reads (model.max_length {max_length}). Raise it, or leave them out."
        )
