"""Nearest: distances counted by hand, and which names are near."""

import pytest

from model.text.nearest import edit_distance, nearest


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [
        ("", "", 0),
        ("", "abc", 3),
        ("kitten", "sitting", 3),
        ("wieght", "weight", 1),
        ("ab", "ba", 1),
        ("ca", "abc", 3),  # 2 if the swapped letters could be edited again
        ("max_step", "max_steps", 1),
    ],
)
def test_distances(one: str, other: str, edits: int) -> None:
    assert edit_distance(one, other) == edits == edit_distance(other, one)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("Beam-Size", ["beam_size"]),
        ("beam", ["beam_size"]),
        ("max", []),  # the first word of two
        ("max_length_c", ["max_length_a", "max_length_b"]),
        ("hidden_size", []),
        ("lr", []),
        ("", []),
    ],
)
def test_names(given: str, names: list[str]) -> None:
    known = ["beam_size", "max_length_a", "max_length_b", "embedding_size", "alpha"]
    assert nearest(given, known) == names
