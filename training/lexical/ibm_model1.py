"""IBM model 1: the probability that a source piece becomes a target piece (Brown et al. 1993)."""

# Shapes: P distinct (source piece, target piece) pairs, T target pieces of some sentences, L links:
# each target piece of a sentence has one to every source piece of it and one to NULL.

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from model.text.tokenizer import PAD_ID
from training.data.batching import Ids
from training.data.text_corpus import lengths

NULL_ID = PAD_ID
"""The null piece of every source sentence, which explains target pieces without a source."""

CHUNK_LINKS = 1 << 19  # links processed at a time: bounds the memory in addition to the table


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TranslationTable:
    """t(f | e), sorted by source piece e, then by target piece f."""

    source: NDArray[np.int64]  # (P,) NULL_ID first
    target: NDArray[np.int64]  # (P,)
    probability: NDArray[np.float64]  # (P,) sums to one over the targets of a source piece
    log_likelihood: list[float]
    """Log-likelihood in nats per target piece before each iteration; it never decreases."""


@dataclass(frozen=True, slots=True, eq=False)
class _Chunk:
    """The links of some sentences, those of one target piece next to each other."""

    pairs: NDArray[np.int32]  # (L,) rows of the table
    first: NDArray[np.int64]  # (T,) the first link of each target piece
    sizes: NDArray[np.int64]  # (T,) how many it has


def learn_table(
    sources: Sequence[Ids], targets: Sequence[Ids], *, vocab_size: int, iterations: int
) -> TranslationTable:
    """Learn t(f | e) by expectation maximisation from sentences e_1..e_l translated by f_1..f_m.

    With e_0 = NULL, model 1 says  p(f | e) = prod_j 1/(l+1) sum_{i=0..l} t(f_j | e_i).  Beginning
    with equal t(f | e), each iteration computes

        p_ij = t(f_j | e_i) / sum_{k=0..l} t(f_j | e_k)        probability that e_i became f_j
        c(f | e) = sum of p_ij over all links of e with f       expected count
        t(f | e) = c(f | e) / sum_f' c(f' | e)

    Memory: about 4 bytes a link and 60 a distinct pair.
    """
    keys, chunks = _links(sources, targets, vocab_size)
    source, target = np.divmod(keys, vocab_size)
    probability = np.full(len(keys), 1 / vocab_size)
    log_likelihood = []
    for _ in range(iterations):
        expected = np.zeros(len(keys))
        total_log, pieces = 0.0, 0
        for chunk in chunks:
            joint = probability[chunk.pairs]
            totals = np.add.reduceat(joint, chunk.first)
            total_log += float(np.log(totals / chunk.sizes).sum())
            pieces += len(totals)
            joint /= np.repeat(totals, chunk.sizes)
            expected += np.bincount(chunk.pairs, weights=joint, minlength=len(keys))
        log_likelihood.append(total_log / pieces)
        probability = expected / np.bincount(source, weights=expected)[source]
    return TranslationTable(
        source=source, target=target, probability=probability, log_likelihood=log_likelihood
    )


def num_links(sources: Sequence[Ids], targets: Sequence[Ids]) -> NDArray[np.int64]:
    """Count the links of each sentence with its translation."""
    return (lengths(sources) + 1) * lengths(targets)


def _links(
    sources: Sequence[Ids], targets: Sequence[Ids], vocab_size: int
) -> tuple[NDArray[np.int64], list[_Chunk]]:
    """The keys source * vocab_size + target of all distinct pairs, sorted, and every link."""
    local, chunks = [], []
    for begin, end in _spans(num_links(sources, targets)):
        keys, first, sizes = _chunk_keys(sources[begin:end], targets[begin:end], vocab_size)
        distinct, inverse = np.unique(keys, return_inverse=True)
        local.append(distinct)
        chunks.append(_Chunk(inverse.astype(np.int32), first, sizes))
    keys = np.concatenate(local)
    keys.sort()  # np.unique would hash first, which is ten times slower here
    keys = keys[np.flatnonzero(np.diff(keys, prepend=-1))]
    for number, distinct in enumerate(local):
        rows = np.searchsorted(keys, distinct).astype(np.int32)
        chunk = chunks[number]
        chunks[number] = _Chunk(rows[chunk.pairs], chunk.first, chunk.sizes)
    return keys, chunks


def _chunk_keys(
    sources: Sequence[Ids], targets: Sequence[Ids], vocab_size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The key of each link (L,), and `first` and `sizes` of a `_Chunk`."""
    null = np.array([NULL_ID])
    src = np.concatenate([part for ids in sources for part in (null, ids)])
    tgt = np.concatenate(targets)
    src_sizes, tgt_sizes = lengths(sources) + 1, lengths(targets)
    src_first = np.cumsum(src_sizes) - src_sizes
    sizes = np.repeat(src_sizes, tgt_sizes)  # (T,)
    first = np.cumsum(sizes) - sizes
    # Link number n of a target piece leads to place n of its source sentence.
    places = np.arange(sizes.sum()) + np.repeat(np.repeat(src_first, tgt_sizes) - first, sizes)
    keys = src[places] * vocab_size + np.repeat(tgt.astype(np.int64), sizes)
    return keys, first, sizes


def _spans(links: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Consecutive sentences that have about CHUNK_LINKS links together."""
    steps = np.flatnonzero(np.diff(np.cumsum(links) // CHUNK_LINKS)) + 1
    return pairwise([0, *steps.tolist(), len(links)])
