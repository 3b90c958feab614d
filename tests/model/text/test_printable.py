"""What a message shows of a text stays on one line and is short."""

from model.text.printable import printable, shortened


def test_what_cannot_be_printed_is_spelt_out() -> None:
    assert printable("größer 日本 😀") == "größer 日本 😀"
    assert printable("a\nb\tc\x1b[31m\0\u2028\ud800") == r"a\nb\tc\x1b[31m\x00\u2028\ud800"


def test_a_long_text_is_cut() -> None:
    assert shortened("abc", 3) == "abc"
    assert shortened("abcd", 3) == "abc..."
    assert shortened("a\nb" * 99, 3) == r"a\nb..."
