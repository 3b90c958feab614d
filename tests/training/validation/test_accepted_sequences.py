"""Accepted sequences: references and alternatives by source, and what is left out of symbols."""

from pathlib import Path

import pytest

from model.errors import ConfigError, DataError
from model.text.alphabet import Cut
from training.validation.accepted_sequences import (
    Comparison,
    accepted_sequences,
    compiled_pattern,
    read_alternatives,
)

SPACED = Comparison(cut=Cut(unit="spaced"))


def test_alternatives_are_found_whatever_the_white_space(tmp_path: Path) -> None:
    path = tmp_path / "all.tsv"
    path.write_text("and\tAE1 N D\tAH0 N D\n\na\tAH0\nand\tEH1 N D\n")
    found = accepted_sequences([], read_alternatives(path), ["a", "a n d"], SPACED)
    assert [[" ".join(one) for one in right] for right in found] == [
        ["AH0"],
        ["AE1 N D", "AH0 N D", "EH1 N D"],
    ]


def test_references_come_first_and_equal_ones_once() -> None:
    references = [["A", "B"], ["A", "C"]]
    found = accepted_sequences(references, {"y": ["C", "D"]}, ["x", "y"], SPACED)
    assert found == [[["A"]], [["B"], ["C"], ["D"]]]


def test_what_matches_is_left_out_of_each_symbol() -> None:
    ignoring = Comparison(cut=Cut(unit="spaced"), ignored=compiled_pattern("[0-9]| "))
    assert ignoring.symbols("AH0 B 1 IY12") == ["AH", "B", "IY"]
    assert SPACED.symbols("AH0 B") == ["AH0", "B"]


def test_mistakes_are_told(tmp_path: Path) -> None:
    path = tmp_path / "all.tsv"
    for line in ("and AE1 N D", "\tAE1", "and\t", "and\tA\t\tB"):
        path.write_text(f"a\tAH0\n{line}\n")
        with pytest.raises(DataError, match=r"all\.tsv, line 2: "):
            read_alternatives(path)
    with pytest.raises(DataError, match=r"line 2: 'zz' has no target"):
        accepted_sequences([], {"a": ["AH0"]}, ["a", "zz"], SPACED)
    with pytest.raises(ConfigError, match="--ignore-pattern: '\\[0-9' is no regular expression"):
        compiled_pattern("[0-9")
