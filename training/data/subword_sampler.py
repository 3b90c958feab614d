"""Subword regularization: another segmentation of a line in every pass, reproducibly.

BPE-dropout (Provilkov et al. 2020) for BPE models, sampling (Kudo 2018) for unigram models.
SentencePiece has both, but its random numbers differ from one process to the next, so a resumed
run could not go on exactly as the uninterrupted one.
"""

# No piece crosses a space, so words are segmented one by one. A line draws a number for each word,
# which a segmentation follows from. None is remembered: to draw one takes a microsecond or less.

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from model.decoding.native.compiled import bound
from model.errors import ConfigError
from model.text.tokenizer import SPACE_MARK, Tokenizer
from training.data.counter_rng import Keys, numbers, splitmix64
from training.data.indexed_corpus import Side
from training.data.subword_kernels import (
    Merges,
    PairTable,
    Places,
    Spelling,
    Trie,
    Words,
    draw_words,
    fill_table,
    merge_words,
    split_words,
)

# As in SentencePiece: a character outside the vocabulary is this much worse than the worst piece.
_UNKNOWN_PENALTY = 10.0

Scores = dict[str, tuple[int, float]]  # id and score of each piece
_NO_WORDS = Words(np.zeros(0, np.int32), np.zeros(1, np.int64), np.zeros(0, np.uint64))
_NO_COUNTS = np.zeros(0, np.int64)

Draw = Callable[[Words, Places], int]
"""`merge_words` or `draw_words` of a model; takes `words` and `counts`."""


class SubwordSampler:
    """Draws random segmentations of lines, which decode to the same text as the ordinary ones.

    They depend on the arguments and the line's key only: not on the process, nor on what was drawn
    before. (With a unigram model also on the last bit of the platform's exp and log.)
    """

    def __init__(self, tokenizer: Tokenizer, *, alpha: float, seed: int) -> None:
        """`seed` is that of the segmentations.

        A BPE model leaves out each merge with probability `alpha`. A unigram model draws from a
        word's segmentations with their probabilities raised to the power `alpha`.

        Raises:
            ConfigError: the tokenizer is not one of ours: its pieces may cross spaces.
        """
        scores = tokenizer.subwords()
        _check(tokenizer, scores)
        spelling = _spelling(tokenizer, scores)
        self._spelling = Spelling(
            symbols=np.array([symbol for spelt in spelling for symbol in spelt], np.int32),
            bounds=np.cumsum([0, *map(len, spelling)]),
            mark=scores[SPACE_MARK][0],
        )
        self._seed = splitmix64(np.array([seed % 2**64], np.uint64))[0]
        # The scores of a BPE model are the ranks 0, -1, -2...; those of a unigram model are logs.
        ranked = all(score == int(score) for _, score in scores.values())
        self._draw = (
            bpe_dropout(scores, alpha) if ranked else unigram_sampling(spelling, scores, alpha)
        )

    def sample(self, lines: Side, keys: Keys) -> Side:
        """Segment the lines, without begin and end, as their keys (N,) determine.

        However a text is segmented in `lines`, the result is the same.
        """
        words = Words(
            symbols=np.empty(np.diff(self._spelling.bounds)[lines.ids].sum(), np.int32),
            starts=np.empty(len(lines.ids) + 1, np.int64),
            keys=np.empty(len(lines.ids), np.uint64),
        )
        counts = np.empty(len(lines.lengths), np.int64)
        count = split_words(lines.ids, lines.lengths, self._spelling, self._seed, words, counts)
        own = splitmix64(words.keys[:count] ^ splitmix64(numbers(keys, counts)))
        sizes = np.empty(count, np.int64)
        total = self._draw(words._replace(keys=own), sizes)
        ends = np.concatenate([[0], np.cumsum(sizes)])
        return Side(words.symbols[:total], np.diff(ends[np.concatenate([[0], np.cumsum(counts)])]))


def _check(tokenizer: Tokenizer, scores: Scores) -> None:
    """Check that spaces divide the words, and that no character is unknown.

    Raises:
        ConfigError: they are not.
    """
    crossing = any(SPACE_MARK in piece[1:] for piece in scores)
    if not tokenizer.mark_ids or SPACE_MARK not in scores or crossing:
        raise ConfigError(
            "tokenizer.sampling needs a tokenizer that dragoman-train learned: this one adds or "
            "joins spaces, or knows no bytes. Set tokenizer.sampling to 0 or learn another."
        )


def _spelling(tokenizer: Tokenizer, scores: Scores) -> list[list[int]]:
    """The symbols of each piece (V): of its characters; those of any other are itself."""
    spelling = [[id] for id in range(tokenizer.vocab_size)]
    letters = {c: tokenizer.byte_ids(c) for piece in scores for c in piece}
    letters.update({piece: [id] for piece, (id, _) in scores.items() if len(piece) == 1})
    for piece, (id, _) in scores.items():
        spelling[id] = [symbol for character in piece for symbol in letters[character]]
    return spelling


def bpe_dropout(scores: Scores, alpha: float) -> Draw:
    """Draws in which each merge is left out with probability `alpha` (Provilkov 2020)."""
    best_first = sorted(scores, key=lambda piece: -scores[piece][1])
    entries = [
        (scores[piece[:cut]][0], scores[piece[cut:]][0], rank)
        for rank, piece in enumerate(best_first)
        for cut in range(1, len(piece))
        if piece[:cut] in scores and piece[cut:] in scores
    ]
    ranked = np.array([scores[piece][0] for piece in best_first], np.int32)
    merges = Merges(_table(entries), ranked, np.uint64(math.ceil(alpha * 2**53)))
    return partial(bound(merge_words, merges, _NO_WORDS, _NO_COUNTS), merges)


def unigram_sampling(spelling: list[list[int]], scores: Scores, alpha: float) -> Draw:
    """Draws in proportion to the product of the pieces' probabilities^`alpha` (Kudo 2018, 3.2).

    `spelling` are the symbols of each piece (V).
    """
    unknown = min(score for _, score in scores.values()) - _UNKNOWN_PENALTY
    logs = dict(scores.values())
    nodes: dict[tuple[int, ...], int] = {(): 0}
    for spelt in spelling:
        for end in range(1, len(spelt) + 1):
            nodes.setdefault(tuple(spelt[:end]), len(nodes))
    ends = np.full(len(nodes), -1, np.int32)
    weights = np.zeros(len(nodes))
    for id, spelt in enumerate(spelling):
        ends[nodes[tuple(spelt)]] = id
        weights[nodes[tuple(spelt)]] = alpha * logs.get(id, unknown)
    entries = [(nodes[spelt[:-1]], spelt[-1], node) for spelt, node in nodes.items() if spelt]
    trie = Trie(_table(entries), ends, weights)
    return partial(bound(draw_words, trie, _NO_WORDS, _NO_COUNTS), trie)


def _table(entries: list[tuple[int, int, int]]) -> PairTable:
    """Make the table that maps the first two numbers of each entry to the third."""
    size = 2 << len(entries).bit_length()
    table = PairTable(np.empty(size, np.uint64), np.empty(size, np.int32))
    fill_table(np.array(entries, np.int32).reshape(-1, 3), table)
    return table
