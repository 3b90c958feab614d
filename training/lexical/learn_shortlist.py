"""A lexical shortlist learned from the training data, and how much of a dev set it allows."""

# Shapes: V vocabulary, C candidates of a source piece, P distinct pairs of a translation table.

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.decoding.lexical_shortlist import Shortlist
from model.text.tokenizer import EOS_ID, Tokenizer
from training.config.train_config import ShortlistConfig
from training.data.batching import Ids
from training.data.text_corpus import Corpus
from training.lexical.ibm_model1 import TranslationTable, learn_table, num_links

ITERATIONS = 4  # more of them change neither the coverage nor the size of the sets


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """How much of some references a shortlist allows."""

    pieces: float  # share of the reference's pieces that are allowed
    sentences: float  # share of the sentences whose reference is allowed as a whole
    size: float  # mean pieces allowed in a sentence

    def describe(self) -> str:
        """Describe the coverage of references in one line."""
        return (
            f"{self.size:,.0f} pieces a sentence on average; of references that it was not learned "
            f"from, they hold {self.held()}"
        )

    def held(self) -> str:
        """Describe the shares of pieces and of sentences."""
        return f"{self.pieces:.1%} of the pieces and all of {self.sentences:.1%}"


@dataclass(frozen=True, kw_only=True, slots=True)
class LearnedShortlist:
    """A shortlist, its coverage, and how long it took."""

    shortlist: Shortlist
    coverage: Coverage
    duration_s: float

    def describe(self) -> str:
        """Describe it in one line of the log."""
        return f"shortlist: {self.coverage.describe()} (learned in {self.duration_s:.1f} s)"


def learn_measured(
    sources: Sequence[Ids],
    targets: Sequence[Ids],
    dev: Corpus,
    tokenizer: Tokenizer,
    config: ShortlistConfig,
) -> LearnedShortlist:
    """Learn a shortlist from sentences with their translations, and measure it on a dev set.

    Give the sources as decoding segments them, and the targets as the training does: a network that
    was trained with subword regularization writes other segmentations than the ordinary one too.
    """
    started = time.perf_counter()
    shortlist = learn_shortlist(sources, targets, tokenizer, config)
    duration_s = time.perf_counter() - started
    return LearnedShortlist(
        shortlist=shortlist,
        coverage=measure_coverage(shortlist, dev.sources, dev.targets),
        duration_s=duration_s,
    )


def learn_shortlist(
    sources: Sequence[Ids], targets: Sequence[Ids], tokenizer: Tokenizer, config: ShortlistConfig
) -> Shortlist:
    """Find the targets of highest t(f | e) for each source piece; see `learn_table`.

    A corpus of more than `max_links` links is sampled evenly. The same arguments give the same
    shortlist.
    """
    rows = even_rows(num_links(sources, targets), config.max_links)
    sources, targets = [sources[row] for row in rows], [targets[row] for row in rows]
    size = tokenizer.vocab_size
    table = learn_table(sources, targets, vocab_size=size, iterations=ITERATIONS)
    counts = np.bincount(np.concatenate(targets), minlength=size)
    return Shortlist(
        candidates=_best_targets(table, size, config.candidates),
        frequent=_most_frequent(counts, config.frequent),
        byte_pieces=np.array(tokenizer.byte_pieces(), dtype=np.int32),
    )


def measure_coverage(
    shortlist: Shortlist, sources: Sequence[Ids], references: Sequence[Ids]
) -> Coverage:
    """Measure how much of the references of `sources` the shortlist allows."""
    missed = whole = size = 0
    for source, reference in zip(sources, references, strict=True):
        allowed = shortlist.of(source.tolist())
        outside = int(np.isin(reference, allowed, invert=True).sum())
        missed += outside
        whole += not outside
        size += len(allowed)
    return Coverage(
        pieces=1 - missed / max(1, sum(map(len, references))),
        sentences=whole / len(references),
        size=size / len(references),
    )


def even_rows(links: NDArray[np.int64], max_links: int) -> NDArray[np.int64]:
    """Choose evenly spaced rows with about `max_links` links in total, at least one row."""
    kept = min(len(links), max(1, len(links) * max_links // int(links.sum())))
    return np.arange(kept) * len(links) // kept


def _best_targets(table: TranslationTable, vocab_size: int, candidates: int) -> NDArray[np.int32]:
    """(V, C) ids by falling probability, filled up with EOS. Equal ones: the lower id first."""
    pieces = table.target > EOS_ID  # a foreign tokenizer has UNK
    source, target = table.source[pieces], table.target[pieces]
    order = np.lexsort((target, -table.probability[pieces], source))
    source, target = source[order], target[order]
    rank = np.arange(len(source)) - np.searchsorted(source, source)
    best = rank < candidates
    rows = np.full((vocab_size, candidates), EOS_ID, dtype=np.int32)
    rows[source[best], rank[best]] = target[best]
    return rows


def _most_frequent(counts: NDArray[np.int64], number: int) -> NDArray[np.int32]:
    """Sorted ids of EOS and of the `number` most frequent pieces."""
    pieces = np.argsort(-counts[EOS_ID + 1 :], kind="stable")[:number] + EOS_ID + 1
    return np.sort(np.append(pieces[counts[pieces] > 0], EOS_ID)).astype(np.int32)
