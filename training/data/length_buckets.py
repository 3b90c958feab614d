"""Length buckets: counted in the targets of the training, and their pieces before its sources."""

# Shapes: N pairs, V vocabulary, B buckets.

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.decoding.rules.word_limits import PieceWords
from model.text.length_pieces import length_ids
from model.text.tokenizer import Tokenizer
from model.translation.avoid_automaton import PieceTexts
from training.data.batching import Ids
from training.data.counter_rng import Keys, chosen
from training.data.indexed_corpus import IndexedCorpus, Side

LEFT_OUT = 0.5
"""Share of the pairs, drawn anew in each pass, whose source has no length piece: the model also
learns to choose a length by itself, which is what most requests leave to it."""

_BLOCK = 1 << 16  # pairs that are read at once


@dataclass(frozen=True, slots=True)
class LengthBuckets:
    """The buckets of a training, and what is needed to tell the bucket of a target."""

    boundaries: tuple[int, ...]
    """The most words of each bucket but the last."""
    ids: NDArray[np.int32]  # (B,) of their pieces
    words: PieceWords

    def placed(self, sources: Sequence[Ids], targets: Side, keys: Keys) -> list[Ids]:
        """Put the piece of its target's bucket before each source, but for `LEFT_OUT` of them.

        Args:
            targets: of N sources.
            keys: (N,) of random numbers, see `line_keys`.
        """
        buckets = np.searchsorted(self.boundaries, count_words(targets, self.words))
        left_out = chosen(keys, np.ones(len(sources), np.int64), LEFT_OUT)
        return [
            ids if out else np.concatenate([self.ids[[bucket]], ids])
            for ids, bucket, out in zip(sources, buckets, left_out, strict=True)
        ]


def count_words(targets: Side, words: PieceWords) -> NDArray[np.int64]:
    """Count the words (N,) of targets."""
    inside = words.inside[0].numpy()[targets.ids].astype(np.int64)
    before = np.concatenate([np.zeros(1, np.int64), inside[:-1]])
    before[np.cumsum(targets.lengths) - targets.lengths] = 0
    begun = words.begun.numpy()[before, targets.ids]
    numbers = np.repeat(np.arange(len(targets.lengths)), targets.lengths)
    return np.bincount(numbers, begun, len(targets.lengths)).astype(np.int64)


def count_buckets(
    corpora: Sequence[IndexedCorpus], tokenizer: Tokenizer, count: int
) -> LengthBuckets:
    """Find `count` buckets of about as many pairs each.

    Raises:
        ConfigError: the tokenizer lacks their pieces.
    """
    ids = np.array(length_ids(tokenizer, count), np.int32)
    words = PieceTexts(tokenizer).words
    found = np.zeros(1, np.int64)  # how many targets have so many words
    for corpus in corpora:
        for start in range(0, len(corpus), _BLOCK):
            pairs = corpus.read(start, min(start + _BLOCK, len(corpus)))
            more = np.bincount(count_words(pairs.target, words), minlength=len(found))
            more[: len(found)] += found
            found = more
    shares = np.arange(1, count) * found.sum() / count
    boundaries = np.searchsorted(np.cumsum(found), shares)
    return LengthBuckets(tuple(boundaries.tolist()), ids, words)
