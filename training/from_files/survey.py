"""Survey: one pass over the pairs of a corpus, for the split and for the choice of settings."""

# Shapes: N pairs.

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.text.letters import folded, letters_and_digits
from training.config.data_config import CorpusConfig, DataConfig
from training.data.parsing import Pair
from training.data.readers import corpus_chunks, count_pairs
from training.data.text_corpus import TextPairs

SAMPLED = 20_000
"""Most pairs that are kept as text; evenly spaced."""
MOST_RATIO, FREE_CHARACTERS = 4, 20
"""A dev pair whose longer side has more than 4 times the characters of the other, and 20 more, is
more likely to be misaligned than translated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """What is known of the pairs of a corpus, in the order of its files."""

    source_keys: NDArray[np.uint64]
    """(N,) hashes of `text_key` of the sources; equal texts have equal ones."""
    target_keys: NDArray[np.uint64]
    pair_keys: NDArray[np.uint64]
    """(N,) hashes of both texts as they are: an order that is no order of the files."""
    fit: NDArray[np.bool_]
    """(N,) whether a pair may be held out: neither blank nor a copy, nor probably misaligned."""
    sample: TextPairs
    sample_rows: NDArray[np.int64]
    """Where the pairs of the sample stand."""
    digest: str
    """SHA-256 of all pairs."""

    def sampled(self, kept: NDArray[np.bool_]) -> TextPairs:
        """Return the pairs of the sample that are among the `kept` (N,)."""
        sides = zip(self.sample.sources, self.sample.targets, self.sample_rows, strict=True)
        pairs = [(source, target) for source, target, row in sides if kept[row]]
        return TextPairs(sources=[s for s, _ in pairs], targets=[t for _, t in pairs])

    @property
    def pairs(self) -> int:
        """Number of pairs."""
        return len(self.pair_keys)


def text_key(text: str) -> str:
    """Reduce a text to its letters and digits, case-folded; to itself if it has none."""
    return letters_and_digits(text) or folded(text).strip()


def read_all(corpus: CorpusConfig, data: DataConfig) -> Iterator[Pair]:
    """Yield all pairs in order.

    Raises:
        DataError: see `corpus_chunks`, or a line cannot be parsed.
    """
    for chunk in corpus_chunks(corpus, data):
        for number, raw in enumerate(chunk.raws, chunk.first):
            yield chunk.parse(number, raw)


def take_survey(corpus: CorpusConfig, data: DataConfig, *, any_ratio: bool = False) -> Survey:
    """Read a corpus once; 25 bytes a pair are kept, and the sample.

    Args:
        any_ratio: whether the two sides may differ much in length, as a text and its summary do.

    Raises:
        DataError: a file is missing, empty, damaged or not UTF-8, or has not as many lines as its
            counterpart.
    """
    total = count_pairs(corpus, data)
    kept = min(total, SAMPLED)
    sources, targets, pairs, fit = array("Q"), array("Q"), array("Q"), array("B")
    rows: list[int] = []
    sample, digest = TextPairs(sources=[], targets=[]), hashlib.sha256()
    for row, pair in enumerate(read_all(corpus, data)):
        source_key, target_key = text_key(pair.source), text_key(pair.target)
        both = f"{pair.source}\n{pair.target}\n".encode()
        digest.update(both)
        sources.append(_hash(source_key.encode()))
        targets.append(_hash(target_key.encode()))
        pairs.append(_hash(both))
        fit.append(
            bool(source_key and target_key)
            and source_key != target_key
            and (any_ratio or _aligned(pair))
        )
        if (row + 1) * kept // total > row * kept // total:
            rows.append(row)
            sample.sources.append(pair.source)
            sample.targets.append(pair.target)
    return Survey(
        source_keys=np.array(sources, np.uint64),
        target_keys=np.array(targets, np.uint64),
        pair_keys=np.array(pairs, np.uint64),
        fit=np.array(fit, np.bool_),
        sample=sample,
        sample_rows=np.array(rows, np.int64),
        digest=digest.hexdigest(),
    )


def _hash(text: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())


def _aligned(pair: Pair) -> bool:
    shorter, longer = sorted((len(pair.source), len(pair.target)))
    return longer <= MOST_RATIO * shorter + FREE_CHARACTERS
