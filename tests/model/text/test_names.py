"""Names, by hand; and their letters without case, for every character there is."""

import re
import sys

import pytest

from model.text.names import folded, names_of, stands_in


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("A Survey of BiLSTM-CRF models", ["BiLSTM-CRF"]),
        ("COVID-19: what (GPT-4) says in 3 steps", ["COVID-19", "GPT-4", "3"]),
        ("Learning Deep Things", []),
        ("Die ÖBB, die NÖ und Österreich; США и Россия", ["ÖBB", "NÖ", "США"]),
        ("the -Xmx flag, a 4K screen, 'A' --", ["4K"]),
        ("the $L_2$ norm of Cosmos-Reason1, and mRNA.", ["L_2", "Cosmos-Reason1", "mRNA"]),
    ],
)
def test_names(text: str, names: list[str]) -> None:
    assert names_of(text) == names


@pytest.mark.parametrize(
    ("name", "source", "there"),
    [
        ("BERT", "we use bert.", True),
        ("Cosmos-Reason1B", "the model Cosmos-Reason1 is", False),
        ("Reason1", "the model Cosmos-Reason1 is", True),
        ("GPT-4", "a GPT-4-based system", True),
        ("19", "in 2019", False),
        ("C++11", "with C++11", True),
        ("STRAẞE", "die Straße", True),
        ("ΟΔΟΣ", "η οδος", True),
        ("ΟΔΟΣ", "η οδοσ", True),
    ],
)
def test_a_name_stands_there_as_a_whole(name: str, source: str, there: bool) -> None:
    assert stands_in(name, source) is there


def test_letters_without_case_are_as_many_and_still_letters() -> None:
    """So that places in a folded text are those of the text."""
    everything = "".join(chr(i) for i in range(sys.maxunicode + 1) if not 0xD800 <= i < 0xE000)
    low = folded(everything)
    assert len(low) == len(everything)
    assert folded(low) == low
    letters = re.compile(r"[^\W_]")
    for before, after in zip(everything, low, strict=True):
        assert bool(letters.match(before)) == bool(letters.match(after)), before
