"""Which places are inside a quotation or a parenthesis."""

import pytest

from model.text.quotations import LONGEST, inside


@pytest.mark.parametrize(
    ("line", "quoted"),
    [
        ('a "b" c', "b"),
        ('"a" b "c"', "ac"),
        ("a (b) c [d] {e}", "bde"),
        ("\u201ea\u201c b »c« d \u201ae\u2018", "ace"),
        ("\u201ca\u201d b \u2018c\u2019", "ac"),
        ("« a » b \u2039c\u203a", " a c"),
        ("\u201da\u201d b »c»", "ac"),
        ("「a」b\uff08c\uff09", "ac"),
        ("don't, the dogs' 'a' isn't", "a"),
        ("\u201ea \u201ab\u2018 c\u201c d", "a \u201ab\u2018 c"),
        ('a "b (c" d', "b (c"),
        ("a ) b ( c", ""),
        ("a \u201c b « c", ""),
        ("x 'a isn't b' c", "a isn't b"),
        ('x "a b "c" d', "c"),
        ('a 5" b c" d', ""),
        ('5" b "c" d', "c"),
    ],
)
def test_what_is_inside(line: str, quoted: str) -> None:
    places = inside(line)
    # The character before an inner place, or the opening mark.
    found = [line[i] for i in range(len(line)) if places[i] and places[i + 1]]
    assert len(places) == len(line) + 1
    assert "".join(found) == quoted


@pytest.mark.parametrize(("length", "found"), [(LONGEST - 1, True), (LONGEST, False)])
def test_what_is_too_long_is_no_quotation(length: int, found: bool) -> None:
    assert any(inside('"' + "x" * length + '"')) is found
