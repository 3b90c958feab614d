"""Subword regularization: another segmentation of a line in every pass, reproducibly.

BPE-dropout (Provilkov et al. 2020) for BPE models, sampling (Kudo 2018) for unigram models.
SentencePiece has both, but its random numbers differ from one process to the next, so a resumed
run could not go on exactly as the uninterrupted one.
"""

# No piece crosses a space, so words are segmented one by one. A word has a fixed set of numbered
# segmentations, each drawn when it is first needed; a line only draws their numbers.

import hashlib
import math
import random
import re
import unicodedata
from array import array
from bisect import bisect
from collections.abc import Callable, Iterable
from functools import partial
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from model.errors import ConfigError
from model.text.tokenizer import SPACE_MARK, Tokenizer
from training.counted import numbers
from training.pairs import Side

POOL = 64  # numbered segmentations of a word, a power of two; several may be equal
_POOL_BITS = np.uint64(64 - 6)

MOST_WORDS, MOST_SEGMENTATIONS = 1 << 17, 1 << 20
"""That are remembered (about 100 MB); with more of them, all are forgotten and drawn again."""

# A word has the space before it, if there is one. The space mark as a character of the text is a
# word of its own: it is spelt in bytes.
_WORD = re.compile(f" [^ {SPACE_MARK}]*|[^ {SPACE_MARK}]+|{SPACE_MARK}")

# As in SentencePiece: a character outside the vocabulary is this much worse than the worst piece.
_UNKNOWN_PENALTY = 10.0

Pieces = tuple[str, ...]
Draw = Callable[[str, int, random.Random], list[Pieces]]  # word, how many, where from


class SubwordSampler:
    """Random segmentations of lines, which decode to the same text as the ordinary ones.

    They depend on the arguments and the line's key only: not on the process, nor on what was drawn
    before. (With a unigram model also on the last bit of the platform's exp and log.)
    """

    def __init__(self, tokenizer: Tokenizer, *, alpha: float, seed: int) -> None:
        """`seed` is that of the numbered segmentations.

        A BPE model leaves out each merge with probability `alpha`. A unigram model draws from a
        word's segmentations with their probabilities raised to the power `alpha`.

        Raises:
            ConfigError: the tokenizer is not one of ours: its pieces may cross spaces.
        """
        self._draw = _draw_function(tokenizer, alpha)
        self._tokenizer = tokenizer
        self._seed = seed
        self._ids = {piece: (number,) for piece, (number, _) in tokenizer.subwords().items()}
        self._forget()

    def _forget(self) -> None:
        self._numbers: dict[str, int] = {}
        # Of each word's segmentations, -1: not yet.
        self._rows: NDArray[np.int32] = np.empty((0, POOL), dtype=np.int32)
        self._pieces: array[int] = array("i")  # of all segmentations, one after the other
        self._starts: array[int] = array("q")
        self._counts: array[int] = array("q")

    def sample(self, lines: Iterable[str], keys: NDArray[np.uint64]) -> Side:
        """The ids of every line, without begin and end, as its key (N,) has it."""
        if len(self._numbers) > MOST_WORDS or len(self._starts) > MOST_SEGMENTATIONS:
            self._forget()
        running: list[int] = []
        sizes: list[int] = []
        numbered = self._numbers
        for line in lines:
            text = " " + unicodedata.normalize("NFC", line) if line else ""
            found = [numbered.setdefault(word, len(numbered)) for word in _WORD.findall(text)]
            running += found
            sizes.append(len(found))
        words = np.array(running, dtype=np.int64)
        word_counts = np.array(sizes, dtype=np.int64)
        drawn = (numbers(keys, word_counts) >> _POOL_BITS).astype(np.int64)
        chosen = self._segmentations(words, drawn)
        counts = np.array(self._counts, dtype=np.int64)[chosen]
        starts = np.array(self._starts, dtype=np.int64)[chosen]
        piece_ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        # Running word i takes the places piece_ends[i] to piece_ends[i + 1].
        shift = np.repeat(starts - piece_ends[:-1], counts)
        ids = np.array(self._pieces, dtype=np.int32)[shift + np.arange(piece_ends[-1])]
        return Side(ids, np.diff(piece_ends[np.concatenate([[0], np.cumsum(word_counts)])]))

    def _segmentations(
        self, words: NDArray[np.int64], drawn: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Rows of the segmentations numbered `drawn` of `words`; those that are new are drawn."""
        missing = len(self._numbers) - len(self._rows)
        self._rows = np.pad(self._rows, ((0, missing), (0, 0)), constant_values=-1)
        rows: NDArray[np.int32] = self._rows[words, drawn]
        new = np.unique(words[rows < 0] * POOL + drawn[rows < 0])
        names = list(self._numbers) if len(new) else []
        for word, number in zip(*(x.tolist() for x in np.divmod(new, POOL)), strict=True):
            self._rows[word, number] = len(self._starts)
            self._starts.append(len(self._pieces))
            self._pieces.extend(self._segmentation(names[word], number))
            self._counts.append(len(self._pieces) - self._starts[-1])
        return np.asarray(self._rows[words, drawn])

    def _segmentation(self, word: str, number: int) -> list[int]:
        """The ids of segmentation `number` of `word`: a function of these and the seed."""
        if word == SPACE_MARK:
            return self._tokenizer.mark_ids
        text = f"{self._seed} {number} {word}".encode()
        rng = random.Random(hashlib.blake2b(text, digest_size=8).digest())
        (pieces,) = self._draw(word.replace(" ", SPACE_MARK), 1, rng)
        spelt = self._tokenizer.byte_ids
        return [i for piece in pieces for i in self._ids.get(piece) or spelt(piece)]


def merge_with_dropout(
    word: str, count: int, rng: random.Random, *, scores: dict[str, float], alpha: float
) -> list[Pieces]:
    """`count` BPE segmentations in which each merge is left out at random.

    Algorithm 1 of Provilkov et al. (2020): at every step each possible merge is dropped with
    probability `alpha`, and the best that remains is applied; without one, the word is done.
    """
    first = [scores.get(a + b, -math.inf) for a, b in pairwise(word)]
    drawn = []
    for _ in range(count):
        pieces, merges = list(word), first.copy()  # merges[i] joins pieces i and i + 1
        while (at := _best_kept(merges, alpha, rng)) >= 0:
            pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
            del merges[at]
            if at > 0:
                merges[at - 1] = scores.get(pieces[at - 1] + pieces[at], -math.inf)
            if at < len(merges):
                merges[at] = scores.get(pieces[at] + pieces[at + 1], -math.inf)
        drawn.append(tuple(pieces))
    return drawn


def _best_kept(merges: list[float], alpha: float, rng: random.Random) -> int:
    """The place of the best merge that is not dropped, the leftmost among equals; -1 for none.

    From the best down, one random number each until one is kept: those below need none.
    """
    dropped: list[tuple[int, float]] = []
    found = -1
    while merges and (best := max(merges)) > -math.inf:
        at = merges.index(best)
        if rng.random() >= alpha:
            found = at
            break
        dropped.append((at, best))
        merges[at] = -math.inf
    for at, score in dropped:  # only for this step
        merges[at] = score
    return found


def sample_lattice(
    word: str,
    count: int,
    rng: random.Random,
    *,
    scores: dict[str, float],
    alpha: float,
    longest: int,
    unknown: float,
) -> list[Pieces]:
    """`count` segmentations x of the word, each drawn with probability P(x)^alpha / sum.

    P is the product of the pieces' probabilities (Kudo 2018, section 3.2), over all segmentations:
    sums from the left first, then a walk from the right end. No piece has more than `longest`
    characters; a character that is no piece has the score `unknown`.
    """
    sums = [0.0]  # log of the summed weights of all segmentations of word[:end]
    arrivals: list[tuple[list[int], list[float]]] = [([], [])]  # starts, cumulative weights
    for end in range(1, len(word) + 1):
        starts, logs = [], []
        for start in range(max(0, end - longest), end):
            score = scores.get(word[start:end], unknown if start == end - 1 else None)
            if score is not None:
                starts.append(start)
                logs.append(sums[start] + alpha * score)
        top = max(logs)
        cumulative = list(accumulate(math.exp(log - top) for log in logs))
        sums.append(top + math.log(cumulative[-1]))
        arrivals.append((starts, cumulative))
    drawn = []
    for _ in range(count):
        pieces, end = [], len(word)
        while end > 0:
            starts, cumulative = arrivals[end]
            # Rounding could make the product the total itself.
            place = bisect(cumulative, rng.random() * cumulative[-1], hi=len(cumulative) - 1)
            pieces.append(word[starts[place] : end])
            end = starts[place]
        drawn.append(tuple(reversed(pieces)))
    return drawn


def _draw_function(tokenizer: Tokenizer, alpha: float) -> Draw:
    """The way of drawing that suits the tokenizer's kind of model."""
    scores = {piece: score for piece, (_, score) in tokenizer.subwords().items()}
    if not tokenizer.mark_ids or any(SPACE_MARK in piece[1:] for piece in scores):
        raise ConfigError(
            "tokenizer.sampling needs a tokenizer that dragoman-train learned: this one adds or "
            "joins spaces, or knows no bytes. Set tokenizer.sampling to 0 or learn another."
        )
    # The scores of a BPE model are the ranks 0, -1, -2...; those of a unigram model are logs.
    ranked = all(score == int(score) for score in scores.values())
    if ranked:
        return partial(merge_with_dropout, scores=scores, alpha=alpha)
    return partial(
        sample_lattice,
        scores=scores,
        alpha=alpha,
        longest=max(map(len, scores)),
        unknown=min(scores.values()) - _UNKNOWN_PENALTY,
    )
