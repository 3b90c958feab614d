"""Alphabets: how lines are cut, and what a stranger's symbols.json may not hold."""

import json
from typing import Any

import pytest

from model.config import from_dict
from model.errors import ConfigError
from model.text.alphabet import MAX_SYMBOL, MAX_SYMBOLS, Alphabet, Cut

CUTS: dict[str, Any] = {"source": {"unit": "characters"}, "target": {"unit": "spaced"}}


@pytest.mark.parametrize(
    ("cut", "line", "symbols"),
    [
        (Cut(unit="characters"), "3 May", ["3", " ", "M", "a", "y"]),
        (Cut(unit="characters", ignore_spaces=True), " b u\tr n ", ["b", "u", "r", "n"]),
        (Cut(unit="spaced"), "B  ER1\tN ", ["B", "ER1", "N"]),
        (Cut(unit="characters"), "e\u0301", ["\u00e9"]),
        (Cut(unit="spaced"), "", []),
    ],
)
def test_a_line_is_cut_by_its_unit(cut: Cut, line: str, symbols: list[str]) -> None:
    assert cut.cut(line) == symbols
    assert cut.cut(cut.join(symbols)) == symbols


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        ([], "0 symbols"),
        (["b", "a"], "out of order"),
        (["a", "a"], "twice"),
        (["a", ""], "no symbol"),
        (["\x1b[2J"], "no symbol"),
        (["\n"], "no symbol"),
        (["\u00a0"], "no symbol"),
        (["a b"], "no symbol"),
        (["e\u0301"], "no symbol"),
        (["\ud800"], "surrogate"),
        (["a" * (MAX_SYMBOL + 1)], "no symbol"),
        ([f"{n:06}" for n in range(MAX_SYMBOLS + 1)], "20,001 symbols"),
        ([1], "must be text"),
        ("abc", "must be a list"),
    ],
)
def test_wrong_symbols_are_refused_in_one_short_line(symbols: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        from_dict(Alphabet, {**CUTS, "symbols": symbols})
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300


def test_the_largest_alphabet_fits_and_a_space_is_a_symbol() -> None:
    symbols = [" ", *(f"{n:06}" for n in range(MAX_SYMBOLS - 1))]
    alphabet = from_dict(Alphabet, json.loads(json.dumps({**CUTS, "symbols": symbols})))
    assert len(alphabet.symbols) == MAX_SYMBOLS


def test_spaced_symbols_need_their_spaces() -> None:
    with pytest.raises(ConfigError, match="ignore_spaces"):
        Cut(unit="spaced", ignore_spaces=True)
