"""Subword regularization: another segmentation of the same text in every epoch, reproducibly.

BPE-dropout (Provilkov et al. 2020) for BPE models, sampling (Kudo 2018) for unigram models.
SentencePiece has both, but its random numbers differ from one process to the next, so a resumed
run could not go on exactly as the uninterrupted one.
"""

# No piece crosses a space, so words are segmented one by one. Each distinct word gets a pool of
# segmentations once, and an epoch only picks from the pools: numpy does that for a whole corpus.

import math
import random
import re
import unicodedata
from bisect import bisect
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from model.errors import ConfigError
from model.text.tokenizer import SPACE_MARK, Tokenizer
from training.batching import Ids

MAX_POOL = 64  # segmentations of a frequent word; a rare one needs few

# A word has the space before it, if there is one. The space mark as a character of the text is a
# word of its own: it is spelt in bytes.
_WORD = re.compile(f" [^ {SPACE_MARK}]*|[^ {SPACE_MARK}]+|{SPACE_MARK}")

# As in SentencePiece: a character outside the vocabulary is this much worse than the worst piece.
_UNKNOWN_PENALTY = 10.0

Pieces = tuple[str, ...]
Draw = Callable[[str, int, random.Random], list[Pieces]]  # word, how many, where from


class SubwordSampler:
    """Random segmentations of fixed lines, which decode to the same text as the ordinary ones.

    They depend on the arguments and the epoch only: not on the process, nor on what was drawn
    before. (With a unigram model also on the last bit of the platform's exp and log.)
    """

    def __init__(
        self, tokenizer: Tokenizer, lines: Sequence[str], *, alpha: float, seed: int
    ) -> None:
        """Draw the pools of segmentations. `seed` is a whole number that is not negative.

        A BPE model leaves out each merge with probability `alpha`. A unigram model draws from a
        word's segmentations with their probabilities raised to the power `alpha`.

        Raises:
            ConfigError: the tokenizer is not one of ours: its pieces may cross spaces.
        """
        draw = _draw_function(tokenizer, alpha)
        self._seed = seed
        numbers: dict[str, int] = {}
        running: list[int] = []
        ends: list[int] = []
        for line in lines:
            text = " " + unicodedata.normalize("NFC", line) if line else ""
            running += [numbers.setdefault(word, len(numbers)) for word in _WORD.findall(text)]
            ends.append(len(running))
        self._words = np.array(running, dtype=np.int32)  # of all lines, one after the other
        self._line_ends = np.array(ends, dtype=np.int64)  # in running words
        counts = np.bincount(self._words, minlength=len(numbers))
        self._fill_pools(tokenizer, draw, dict(zip(numbers, counts.tolist(), strict=True)))

    def epoch(self, epoch: int) -> list[Ids]:
        """The ids of every line, in order, without begin and end; other ones in each epoch."""
        # The 1 keeps the numbers apart from those that shuffle the epoch's batches.
        generator = np.random.default_rng([self._seed, epoch, 1])
        drawn = generator.integers(self._pool_sizes[self._words])
        chosen = self._pools[self._pool_starts[self._words] + drawn]
        lengths = self._piece_counts[chosen]
        ends = _with_zero(np.cumsum(lengths))
        # Word k of the corpus takes the places ends[k] to ends[k + 1].
        shift = np.repeat(self._piece_starts[chosen] - ends[:-1], lengths)
        ids = self._pieces[shift + np.arange(ends[-1])]
        bounds = _with_zero(ends[self._line_ends]).tolist()
        return [ids[start:end] for start, end in pairwise(bounds)]

    def _fill_pools(self, tokenizer: Tokenizer, draw: Draw, counts: dict[str, int]) -> None:
        """Draw the pool of each word, which is longer for a word with a higher count."""
        rng = random.Random(f"subwords {self._seed}")
        ids = {piece: (number,) for piece, (number, _) in tokenizer.subwords().items()}
        segmentations: list[list[int]] = []
        pools: list[int] = []  # segmentation numbers; one drawn twice is there twice
        sizes: list[int] = []
        for word, count in counts.items():
            if word == SPACE_MARK:
                pools.append(len(segmentations))
                sizes.append(1)
                segmentations.append(tokenizer.mark_ids)
                continue
            size = min(MAX_POOL, 2 * count + 2)
            known: dict[Pieces, int] = {}
            for pieces in draw(word.replace(" ", SPACE_MARK), size, rng):
                if pieces not in known:
                    known[pieces] = len(segmentations)
                    segmentations.append(
                        [i for piece in pieces for i in ids.get(piece) or tokenizer.byte_ids(piece)]
                    )
                pools.append(known[pieces])
            sizes.append(size)
        self._pools = np.array(pools, dtype=np.int32)
        self._pool_sizes = np.array(sizes, dtype=np.int64)
        self._pool_starts = np.cumsum(self._pool_sizes) - self._pool_sizes
        self._pieces = np.array([i for ids in segmentations for i in ids], dtype=np.int32)
        self._piece_counts = np.array([len(ids) for ids in segmentations], dtype=np.int64)
        self._piece_starts = np.cumsum(self._piece_counts) - self._piece_counts


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


def _with_zero(values: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, dtype=np.int64), values])
