"""Edit distance against its definition, by exhaustive recursion, and against known words."""

import random
from functools import cache

import pytest

from training.metrics.edit_distance import edit_distance


def by_definition(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """The least over what may happen to the first symbols (Levenshtein 1966)."""

    @cache
    def least(i: int, j: int) -> int:
        if i == len(one) or j == len(other):
            return len(one) - i + len(other) - j
        if one[i] == other[j]:
            return least(i + 1, j + 1)
        return 1 + min(least(i + 1, j), least(i, j + 1), least(i + 1, j + 1))

    return least(0, 0)


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("", "", 0), ("ab", "ba", 2)],
)
def test_known_words(one: str, other: str, edits: int) -> None:
    assert edit_distance(list(one), list(other)) == edits


def test_random_sequences_have_the_distance_of_the_definition() -> None:
    rng = random.Random(1)
    for _ in range(300):
        one, other = (tuple(rng.choices(["AB", "C"], k=rng.randint(0, 7))) for _ in range(2))
        assert edit_distance(one, other) == by_definition(one, other)
