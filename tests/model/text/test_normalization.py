"""Source normalisation: what looks the same is the same, and nothing else changes."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.text.normalization import normalize_source

SPACES = [chr(code) for code in range(0x110000) if chr(code).isspace()]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("4,20\u202fEuro", "4,20 Euro"),
        ("4,20\u2009Euro", "4,20 Euro"),
        ("23:34\u00a0Uhr", "23:34 Uhr"),
        ("Das\tBrot  kostet\u3000 viel", "Das Brot kostet viel"),
        ("Brot\u200b", "Brot"),
        (" Das Brot. ", "Das Brot."),
        ("Das Brot. \u200b", "Das Brot."),
        ("\ufeffDas", "Das"),
        ("Buch\u00adstabe", "Buchstabe"),
        ("\u202aabc\u202c \u2067def\u2069\u200f", "abc def"),
        ("\uff11\uff12\uff21\uff5a", "12Az"),
        ("\uff01\uff1f\uff0c\u3002", "\uff01\uff1f\uff0c\u3002"),  # marks stay wide
        ("\ufb01n\ufb00", "finff"),
        (
            "\u0646\u200c\u0645 \u0915\u094d\u200d\u0937",
            "\u0646\u200c\u0645 \u0915\u094d\u200d\u0937",
        ),
        ("\u00bd \u00b2 \u2167", "\u00bd \u00b2 \u2167"),
        ("", ""),
    ],
)
def test_what_looks_the_same_is_the_same(text: str, plain: str) -> None:
    assert normalize_source(text) == plain
    assert normalize_source(text, 0) == text


@pytest.mark.parametrize("space", SPACES, ids=ascii)
def test_a_space_of_any_kind_is_a_space(space: str) -> None:
    assert normalize_source(f"a{space}{space}b") == "a b"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_twice_is_once_and_letters_and_marks_stay(text: str) -> None:
    once = normalize_source(text)
    assert normalize_source(once) == once

    def kept(line: str) -> str:
        """Without white space and format characters, and in compatibility form."""
        visible = [c for c in line if not c.isspace() and unicodedata.category(c) != "Cf"]
        return unicodedata.normalize("NFKC", "".join(visible))

    assert kept(once) == kept(text)
    assert not re.search(r"[^\S ]|  |^ | $", once)
