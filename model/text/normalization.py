"""Source normalisation: one form of what looks the same, in training as in translation.

Models learn from text in which a space is a space; people paste no-break spaces, soft hyphens and
full-width digits. Sources are brought into one form before they are cut into pieces. Targets are
learned as they are: a no-break space before a French question mark is part of the language.
"""

import re

NORMALIZATION = 1
"""The rules that new models learn with. A change of them gets a new number, and the old rules stay
for the models that learned with them. 0 is no normalisation."""

_REMOVED = (
    "\u00ad"  # soft hyphen
    "\u200b\u2060\ufeff"  # zero-width space, word joiner, byte order mark
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction marks
)
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

_GONE = re.compile(f"[{_REMOVED}]+")
_SPACES = re.compile(r"\s+")
_ODD = re.compile(rf"[^\S ]|  |[{_REMOVED}\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\ufb00-\ufb06]")


def normalize_source(text: str, rules: int = NORMALIZATION) -> str:
    """`text` with plain spaces, letters and digits; as it is by rules 0.

    - Spaces of every kind, tabs and line breaks, and runs of them, are one space.
    - Soft hyphens, direction marks, zero-width spaces and byte order marks go.
    - Full-width letters and digits, and Latin ligatures, are plain ones; marks stay as they are.

    What has none of these, as nearly every line, is returned as it is. Normalising twice changes
    nothing more.
    """
    if not rules or _ODD.search(text) is None:
        return text
    return _SPACES.sub(" ", plain_characters(text, rules))


def plain_characters(text: str, rules: int = NORMALIZATION) -> str:
    """`text` normalised but for its spaces, which stay as they are."""
    if not rules or _ODD.search(text) is None:
        return text
    return _GONE.sub("", text).translate(_PLAIN)
