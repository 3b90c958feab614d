"""Source normalisation: one form for what looks the same, in training and in translation.

Models learn from text in which a space is a space; people paste no-break spaces, soft hyphens and
full-width digits. Sources are brought into one form before they are cut into pieces. Targets are
learned as they are: a no-break space before a French question mark is part of the language.
"""

import re
from collections.abc import Sequence

NORMALIZATION = 1
"""The rules for new models. When the rules change, they get a new number, and the old ones stay for
the models that were trained with them. 0 is no normalisation."""

REMOVED = (
    "\u00ad"  # soft hyphen
    "\u200b\u2060\ufeff"  # zero-width space, word joiner, byte order mark
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction marks
)
"""What rules 1 remove, as it stands between the brackets of a regular expression."""
# Zero-width joiner and non-joiner (U+200C, U+200D) stay: they change letters and emoji.
_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F) if chr(code - 0xFEE0).isalnum()}
_LIGATURES = {
    0xFB00: "ff",
    0xFB01: "fi",
    0xFB02: "fl",
    0xFB03: "ffi",
    0xFB04: "ffl",
    0xFB05: "st",
    0xFB06: "st",
}
_PLAIN = _WIDE | _LIGATURES

_GONE = re.compile(f"[{REMOVED}]+")
_SPACES = re.compile(r"\s+")
_ODD = re.compile(rf"[^\S ]|  |[{REMOVED}\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\ufb00-\ufb06]")


def normalize_source(text: str, rules: int = NORMALIZATION) -> str:
    """Replace unusual spaces, letters and digits in `text` by plain ones; rules 0 change nothing.

    - Spaces of every kind, tabs, line breaks, and runs of them, become one space, and those at the
      ends are removed: they would be pieces of no word.
    - Soft hyphens, direction marks, zero-width spaces and byte order marks are removed.
    - Full-width letters and digits, and Latin ligatures, become plain ones; full-width punctuation
      stays as it is.

    A text with none of these, which nearly every line is, is returned unchanged. Normalising twice
    changes nothing more.
    """
    if not rules:
        return text
    if _ODD.search(text) is None:
        return text.strip(" ")
    return _SPACES.sub(" ", plain_characters(text, rules)).strip(" ")


def plain_characters(text: str, rules: int = NORMALIZATION) -> str:
    """Normalise `text` as `normalize_source` does, but leave its spaces as they are."""
    if not rules or _ODD.search(text) is None:
        return text
    return _GONE.sub("", text).translate(_PLAIN)


def plain_places(text: str, rules: int = NORMALIZATION) -> Sequence[int]:
    """For each character of `plain_characters(text, rules)` the place in `text` it comes from."""
    if not rules or _ODD.search(text) is None:
        return range(len(text))
    places: list[int] = []
    for place, character in enumerate(text):
        if _GONE.match(character) is None:
            places += [place] * len(character.translate(_PLAIN))
    return places
