"""Quotations and parentheses: which places of a line are inside them."""

import re

LONGEST = 200
"""Characters within a quotation or parenthesis at most. Marks further apart probably do not belong
together, or enclose a speech whose sentences are worth separating."""

_MARK = re.compile("[\"'()\\[\\]{}«»\u2039\u203a\u2018-\u201f\uff08\uff09「」『』【】〈〉《》]")
# Opening marks, each with what closes it. Some open in one language and close in another.
_CLOSES = {
    '"': '"',
    "'": "'",
    "(": ")",
    "[": "]",
    "{": "}",
    "«": "»",
    "»": "«»",
    "\u2039": "\u203a",
    "\u203a": "\u2039\u203a",
    "\u2018": "\u2019",
    "\u2019": "\u2019",
    "\u201a": "\u2018\u2019",
    "\u201c": "\u201d",
    "\u201d": "\u201d",
    "\u201e": "\u201c\u201d",
    "\uff08": "\uff09",
    "「": "」",
    "『": "』",
    "【": "】",
    "〈": "〉",
    "《": "》",
}
_NEAR = 8  # characters that are looked at around a mark
_SENTENCE_WITHIN = re.compile(r"[.!?\u2026\u3002\uff01\uff1f]\s?\Z")
_SENTENCE_BEFORE = re.compile(r"(?:\A|[.!?\u2026][\"')\]}\u2019\u201c\u201d»«]?\s)\s*\Z")
_SENTENCE_BEHIND = re.compile(r"\s*(?:\Z|(?<=\s)[^\w\s]{0,2}[^\W\d_a-z\u00df-\u00f6\u00f8-\u00ff])")
_EITHER_WAY = frozenset("\"'»\u203a\u2019\u201d")
_APOSTROPHES = frozenset("'\u2019")
_DEPTH = 8  # open marks that are remembered: ordinary text has no more


def inside(line: str) -> bytearray:
    """A byte for each place of `line`: 1 between an opening mark and its closing mark, else 0.

    Place i is the one before character i. Marks without a partner are ignored, and so are those
    around whole sentences: what stands between them is text like any other.
    """
    places = bytearray(len(line) + 1)
    unclosed: list[tuple[int, str]] = []  # where, and what closes it
    for found in _MARK.finditer(line):
        place, mark = found.start(), found.group()
        before = line[place - 1] if place else " "
        after = line[place + 1] if place + 1 < len(line) else " "
        if mark in _APOSTROPHES and before.isalnum() and after.isalnum():
            continue
        begins = not before.isalnum() and not after.isspace()
        partner = None if mark in _EITHER_WAY and before.isspace() and begins else mark
        for depth in range(len(unclosed) - 1, -1, -1):
            if partner and partner in unclosed[depth][1]:
                start = unclosed[depth][0]
                del unclosed[depth:]
                if place - start <= LONGEST and not _is_whole(line, start, place):
                    places[start + 1 : place + 1] = b"\1" * (place - start)
                break
        else:
            if mark in _CLOSES and (begins or mark not in _EITHER_WAY):
                unclosed.append((place, _CLOSES[mark]))
                del unclosed[:-_DEPTH]
    return places


def _is_whole(line: str, start: int, place: int) -> bool:
    """Whether the marks at `start` and `place` enclose whole sentences, and not part of another."""
    return (
        _SENTENCE_BEFORE.search(line, max(0, start - _NEAR), start) is not None
        and _SENTENCE_WITHIN.search(line, max(start, place - _NEAR), place) is not None
        and _SENTENCE_BEHIND.match(line, place + 1) is not None
    )
