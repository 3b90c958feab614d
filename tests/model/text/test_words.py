"""Where a phrase stands as whole words."""

import pytest

from model.text.words import cleaned, joins, occurs


@pytest.mark.parametrize("character", ["a", "ß", "Ж", "7", "\u0301", "\u0627"])
def test_letters_digits_and_marks_join(character: str) -> None:
    assert joins(character)


@pytest.mark.parametrize(
    "character", [" ", ".", "-", "'", "\u00a0", "„", "日", "カ", "한", "\uff21"]
)
def test_spaces_punctuation_and_wide_characters_do_not(character: str) -> None:
    assert not joins(character)


@pytest.mark.parametrize(
    ("phrase", "text", "found"),
    [
        ("Haus", "das Haus.", True),
        ("Haus", "Haus", True),
        ("Haus", '"Haus"-Tür', True),
        ("Haus", "Haustür", False),
        ("Haus", "Rathaus Haustür", False),
        ("Haus", "Haustür Haus", True),
        ("das Haus", "in das Haus", True),
        ("das Haus", "das  Haus", False),
        ("haus", "Haus", False),
        (".", "Haus.", True),
        ("(a", "f(a)", True),
        ("日本", "日本語", True),
        ("10", "100", False),
        ("Haus", "", False),
    ],
)
def test_occurs(phrase: str, text: str, found: bool) -> None:
    assert occurs(phrase, text) is found


def test_cleaned() -> None:
    assert cleaned(" Stra\u00dfe u\u0308ber\n") == "Straße über"
