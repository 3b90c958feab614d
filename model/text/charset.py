"""Charset: recognising texts in UTF-16 or UTF-32 by their beginning, and halves of characters."""

import codecs
import re

from model.errors import DataError

LOOKED_AT = 1000
"""Bytes at the beginning of a text by which its encoding is recognised."""

# UTF-32 comes first: one of its marks begins like one of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_HALF = re.compile("[\ud800-\udfff]")


def refuse_foreign(start: bytes) -> None:
    """Check that a text that begins with `start` is not in UTF-16 or UTF-32.

    Raises:
        DataError: it is. The message says how to convert it.
    """
    if encoding := _foreign(start[:LOOKED_AT]):
        raise DataError(
            f"looks like {encoding}, not UTF-8. Convert it: iconv -f {encoding} -t UTF-8."
        )


def half_character(text: str) -> str:
    """Part of a message that says why `text` cannot be written in UTF-8; "" if it can be.

    JSON and YAML can spell out half of a surrogate pair, and Python turns each byte of a command
    line that is not UTF-8 into one.
    """
    found = _HALF.search(text)
    if found is None:
        return ""
    return (
        f"character {found.start() + 1} is half of a surrogate pair, or a byte that is not UTF-8. "
        "Give whole characters in UTF-8."
    )


def _foreign(start: bytes) -> str | None:
    """The name, as iconv knows it, of an encoding whose code units are wider than a byte."""
    for mark, name in _MARKS.items():
        if start.startswith(mark):
            return name
    if start.count(0) < 2 or len(start) < 8:  # a stray zero byte, or too short to tell
        return None
    for name, lowest, zeros in (("UTF-32LE", 0, (2, 3)), ("UTF-32BE", 3, (0, 1))):
        if 0 not in start[lowest::4] and not any(any(start[place::4]) for place in zeros):
            return name
    # In UTF-16 the upper bytes are 0 for Latin and below 0x20 for most other alphabets.
    for name, place in (("UTF-16LE", 1), ("UTF-16BE", 0)):
        upper, lower = start[place::2], start[1 - place :: 2]
        low = sum(byte <= 0x20 for byte in upper)
        letters = sum(byte > 0x20 for byte in lower)
        if 5 * low >= 4 * len(upper) and 2 * letters >= len(lower) and 0 not in lower:
            return name
    return None
