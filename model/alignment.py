"""Alignment: which source pieces, and which source words, a translation attended to."""

# Shapes: T target pieces and S source pieces, both without EOS; words in their place where said.

from collections.abc import Sequence

import torch
from torch import Tensor

from model.text.tokenizer import SPACE_MARK


def word_numbers(pieces: Sequence[str]) -> list[int]:
    """For each piece the number of its word, from 0. Words are what spaces separate."""
    numbers = []
    word, has_text = 0, False
    for piece in pieces:
        if piece.startswith(SPACE_MARK) and has_text:
            word, has_text = word + 1, False
        has_text |= bool(piece.strip(SPACE_MARK))
        numbers.append(word)
    return numbers


def word_weights(weights: Tensor, source: Sequence[str], target: Sequence[str]) -> Tensor:
    """The soft alignment of words: (T words, S words).

    A source word receives what its pieces receive together, and a target word gives the mean of its
    pieces, so that rows have the sums that they have for pieces.

    Args:
        weights: (T, S) or, with EOS on both sides, (T + 1, S + 1): the soft alignment of pieces.
        source, target: the pieces.
    """
    to_source = _membership(word_numbers(source)).to(weights.dtype)
    to_target = _membership(word_numbers(target)).to(weights.dtype)
    mean = to_target / to_target.sum(dim=0)
    return mean.T @ weights[: len(target), : len(source)] @ to_source


def hard(weights: Tensor) -> tuple[int, ...]:
    """For each row of a soft alignment the column that has most; the first of equal ones."""
    return tuple(weights.argmax(dim=1).tolist()) if weights.numel() else ()


def _membership(numbers: Sequence[int]) -> Tensor:
    """(pieces, words) 1 where the piece belongs to the word, else 0."""
    words = torch.arange(max(numbers, default=-1) + 1)
    return (torch.tensor(numbers, dtype=torch.long).unsqueeze(1) == words).long()
