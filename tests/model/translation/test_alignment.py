"""Soft and hard alignment of pieces and words, by hand."""

import pytest
import torch

from model.translation.alignment import (
    WordAlignment,
    hard,
    most_attended_words,
    word_numbers,
    word_weights,
)

SOURCE = ["\u2581der", "\u2581Hu", "nd", "."]
TARGET = ["\u2581the", "\u2581do", "g", "."]
WEIGHTS = torch.tensor(
    [
        [0.6, 0.1, 0.1, 0.1, 0.1],
        [0.3, 0.2, 0.3, 0.1, 0.1],
        [0.2, 0.4, 0.1, 0.2, 0.1],
        [0.0, 0.1, 0.0, 0.1, 0.8],
        [0.0, 0.0, 0.0, 0.0, 1.0],
    ]
)


@pytest.mark.parametrize(
    ("pieces", "numbers"),
    [
        ([], []),
        (SOURCE, [0, 1, 1, 1]),
        (["\u2581", "H", "und"], [0, 0, 0]),
        (["\u2581a", "\u2581", "b", "c"], [0, 1, 1, 1]),
        (["\u2581a", "\u2581", "\u2581b"], [0, 1, 1]),  # two spaces part two words, not three
        (["x", "\u2581b"], [0, 1]),
    ],
)
def test_words_are_what_spaces_separate(pieces: list[str], numbers: list[int]) -> None:
    assert word_numbers(pieces) == numbers


def test_words_sum_over_source_pieces_and_average_over_target_pieces() -> None:
    found = word_weights(WEIGHTS, SOURCE, TARGET)
    # the: 0.6 | 0.3.  dog.: 0.3 0.2 0.0 | 0.6 0.7 0.2, means 0.1667 and 0.5.
    assert found.tolist() == [pytest.approx([0.6, 0.3]), pytest.approx([0.5 / 3, 0.5])]
    assert word_weights(WEIGHTS[:-1, :-1], SOURCE, TARGET).equal(found)
    assert hard(found) == (0, 1)


def test_hard_takes_the_first_of_equal_ones() -> None:
    assert hard(WEIGHTS[:-1, :-1]) == (0, 0, 1, 1)
    assert hard(torch.tensor([[0.5, 0.5], [0.1, 0.9]])) == (0, 1)


def test_words_by_the_most_attended_pieces() -> None:
    """Two pieces of one word outweigh a single one of another; the first of equal words."""
    source = ["▁a", "b", "▁c", "▁d"]
    target = ["▁x", "y", "z", "▁u", "v"]
    most = [(0, 0.4), (2, 0.6), (1, 0.3), (3, 0.5), (2, 0.5)]
    assert most_attended_words(most, source, target) == (0, 1)
    # With no other weights than these it is what the whole alignment gives.
    weights = torch.zeros(5, 4)
    for row, (place, weight) in enumerate(most):
        weights[row, place] = weight
    assert hard(word_weights(weights, source, target)) == (0, 1)
    assert most_attended_words([], source, []) == ()


def test_nothing_to_align() -> None:
    assert hard(word_weights(torch.ones(1, 3), ["\u2581a", "b"], [])) == ()


def test_words_that_are_kept_are_aligned_with_themselves() -> None:
    words = WordAlignment()
    words.keep("- ")
    words.add([1, 0, 0], 2, "the red house")  # of "Haus rot"
    words.keep(" \U0001f44d\n")
    words.add([0], 1, "dog")
    assert words.words == [0, 2, 1, 1, 3, 4]


def test_what_no_space_parts_is_one_word() -> None:
    words = WordAlignment()
    words.keep("\U0001f44d")
    words.add([0, 1], 2, "a dog")  # "\U0001f44dein Hund." and "\U0001f44da dog"
    words.add([0, 0], 1, "a cat")  # "\u732b", next to it
    words.keep("!\n")
    words.add([0], 1, "x")
    # \U0001f44dein Hund.\u732b!  x -> \U0001f44da doga cat!  x
    assert words.words == [0, 1, 1, 2]


def test_an_empty_translation_has_no_words() -> None:
    words = WordAlignment()
    words.keep("a ")
    words.add([], 1, "")
    words.keep(" b")
    assert words.words == [0, 2]
