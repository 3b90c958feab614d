"""Alignment: the source pieces, and the source words, that a translation attended to."""

# Shapes: T target pieces and S source pieces, both without EOS; or words instead, where noted.

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.text.tokenizer import SPACE_MARK


def word_numbers(pieces: Sequence[str]) -> list[int]:
    """For each piece the number of its word, from 0. Words are separated by spaces."""
    numbers = []
    word, has_text = 0, False
    for piece in pieces:
        if piece.startswith(SPACE_MARK) and has_text:
            word, has_text = word + 1, False
        has_text |= bool(piece.strip(SPACE_MARK))
        numbers.append(word)
    return numbers


def word_weights(weights: Tensor, source: Sequence[str], target: Sequence[str]) -> Tensor:
    """The soft alignment of words (T words, S words).

    A source word receives the sum of what its pieces receive, and a target word gives the mean of
    what its pieces give, so that rows sum up to what they do for pieces.

    Args:
        weights: (T, S) or, with EOS on both sides, (T + 1, S + 1): the soft alignment of pieces.
        source, target: the pieces.
    """
    soft = weights[: len(target), : len(source)].float().numpy()
    if not soft.size:
        return torch.zeros(word_count(target), word_count(source))
    to_source, _ = _starts(source)
    to_target, lengths = _starts(target)
    received = np.add.reduceat(soft, to_source, axis=1)
    given = np.add.reduceat(received, to_target, axis=0)
    return torch.from_numpy(given / lengths[:, None])


def hard(weights: Tensor) -> tuple[int, ...]:
    """For each row of a soft alignment the column with most weight, the first of equal ones."""
    return tuple(weights.argmax(dim=1).tolist()) if weights.numel() else ()


def most_attended_words(
    most_attended: Sequence[tuple[int, float]], source: Sequence[str], target: Sequence[str]
) -> tuple[int, ...]:
    """For each target word which source word its pieces attended to most, from 0.

    Only the most attended source piece of each target piece is known, and its weight: a source word
    receives the sum of these, and the first of equal ones is chosen.

    Args:
        most_attended: the place in `source` and its weight, for each piece of `target`.
        source, target: the pieces.
    """
    of_source = word_numbers(source)
    received: list[dict[int, float]] = [{} for _ in range(word_count(target))]
    for word, (place, weight) in zip(word_numbers(target), most_attended, strict=True):
        place = of_source[place]
        received[word][place] = received[word].get(place, 0.0) + weight
    return tuple(min(each, key=lambda one: (-each[one], one)) for each in received)


def word_count(pieces: Sequence[str]) -> int:
    """Count the words that `pieces` make up."""
    return max(word_numbers(pieces), default=-1) + 1


class WordAlignment:
    """The word alignment of a text, built from those of its parts and the text kept between them.

    Kept text, such as a bullet, belongs to both the text and its translation, and its words are
    aligned with themselves. Characters without white space between them make one word.
    """

    def __init__(self) -> None:
        self.words: list[int] = []
        """For each word of the translation, which word of the text it is aligned with."""
        self._source = 0  # words of the text
        self._open_source = self._open_target = False  # whether what follows continues a word

    def keep(self, text: str) -> None:
        """Add `text`, which stands unchanged in the translation."""
        words = text.split()
        if words and not text[0].isspace():
            self._source += not self._open_source
            if not self._open_target:
                self.words.append(self._source - 1)
            words = words[1:]
        self.words += range(self._source, self._source + len(words))
        self._source += len(words)
        if text:
            self._open_source = self._open_target = not text[-1].isspace()

    def add(self, alignment: Sequence[int], source_words: int, translated: str) -> None:
        """Add a part.

        Args:
            alignment: for each word of `translated`, which of its `source_words` it belongs to.
        """
        first = self._source - self._open_source
        self.words += [first + place for place in alignment[self._open_target :]]
        self._source = first + source_words
        self._open_source = True
        if translated:
            self._open_target = not translated[-1].isspace()


def _starts(pieces: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The first piece of each word, and how many pieces it has."""
    lengths = np.bincount(word_numbers(pieces))
    return np.cumsum(lengths) - lengths, lengths.astype(np.float32)
