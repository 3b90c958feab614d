"""Evaluation of a network of symbols on the dev set: loss by teacher forcing, error rates."""

import math
from collections.abc import Sequence, Sized

import torch

from model.decoding.options import SearchOptions
from model.errors import DataError
from model.network.seq2seq import Seq2Seq
from model.text.alphabet import Cut
from model.text.symbols import Symbols
from model.transducer import Transducer
from model.translation.assemble import Translation
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
    sources, references = corpus.pairs.sources, corpus.pairs.targets
    loss = corpus_loss(network, corpus)
    found: list[Translation] = []
    if math.isfinite(loss):  # else the network has diverged; the training may recover
        device = next(network.parameters()).device
        transducer = Transducer(network, symbols, search, device=device, dtype=dtype)
        found = transducer.transduce(sources)
    return symbol_evaluation(loss, found, references, symbols.target.cut, sources[:samples])


def symbol_evaluation(
    loss: float,
    found: Sequence[Translation],
    references: Sequence[str],
    cut: Cut,
    samples: Sequence[str],
) -> Evaluation:
    """The scores of what was found, or of nothing if `found` is empty.

    Args:
        samples: what is shown to people of the first sources.
    """
    outputs = [result.text for result in found] or [""] * len(references)
    scores = symbol_scores(
        list(map(cut.cut, outputs)), [[cut.cut(line)] for line in references], bootstrap=0
    )
    return Evaluation(
        loss=loss,
        scores=scores,
        translations=outputs,
        samples=[Sample(*row) for row in zip(samples, references, found, strict=False)],
        calibration=None,
    )


def check_lengths(name: str, sources: Sequence[Sized], most: int, unit: str = "symbols") -> None:
    """Check that all sources of a dev set can be read, before any training.

    Args:
        name: the key that names the set.

    Raises:
        DataError: some are longer than the model reads.
    """
    long = sum(len(source) > most for source in sources)
    if long:
        raise DataError(
            f"{name}: {long:,} of {len(sources):,} sources have more {unit} than the model reads "
            f"(model.max_length {most}). Raise it, or leave them out."
        )
