"""Word places: where the words of a text stand in it, before it was normalised.

A place is [start, end) in characters (Unicode code points) of the text as it was given.
"""

import re
from bisect import bisect_right
from itertools import accumulate

from model.text.normalization import REMOVED

Span = tuple[int, int]

LINE_BREAK = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")

# A word begins and ends with a character that normalisation leaves.
_WORD = re.compile(rf"[^\s{REMOVED}](?:\S*[^\s{REMOVED}])?")
_BETWEEN_SPACES = re.compile("[^ ]+")
_VISIBLE = re.compile(r"\S+")


class JoinedLines:
    """The lines of a text without blank ones, joined by spaces, and where they stand in it."""

    def __init__(self, text: str) -> None:
        lines = _lines(text, 0, len(text))
        self.joined = " ".join(text[start:end] for start, end in lines)
        self._places = [start for start, _ in lines]
        lengths = (end - start + 1 for start, end in lines)
        self._starts = [0, *accumulate(lengths)][: len(lines)]

    def span(self, start: int, end: int) -> Span:
        """The place in the text of `joined[start:end]`, which has no space at its ends."""
        return self._place(start), self._place(end - 1) + 1

    def _place(self, position: int) -> int:
        line = bisect_right(self._starts, position) - 1
        return self._places[line] + position - self._starts[line]


def word_places(text: str, place: Span, rules: int) -> list[Span]:
    """The places of the words of a source, which stands at `place` in `text`.

    Words are what spaces separate once it is normalised by `rules`. Characters that this removes
    at either end of a word are no part of it.
    """
    if rules:
        return [found.span() for found in _WORD.finditer(text, *place)]
    # Nothing is normalised, but lines have been joined.
    lines = _lines(text, *place)
    return [found.span() for line in lines for found in _BETWEEN_SPACES.finditer(text, *line)]


def kept_places(kept: str, text: str, place: Span, rules: int) -> list[Span]:
    """The places of the words of `kept`, which stands at `place` in `text` and was not translated.

    Each line of it either is as it was or has lost what `rules` remove.
    """
    start, end = place
    if kept == text[start:end]:
        return [found.span() for found in _VISIBLE.finditer(text, start, end)]
    found: list[Span] = []
    for line in LINE_BREAK.split(kept):
        stop = following.start() if (following := LINE_BREAK.search(text, start, end)) else end
        same = line == text[start:stop]
        found += [each.span() for each in (_VISIBLE if same else _WORD).finditer(text, start, stop)]
        start = following.end() if following else end
    return found


def _lines(text: str, start: int, end: int) -> list[Span]:
    """The places of the lines of `text[start:end]`, stripped, without blank ones."""
    found: list[Span] = []
    while start <= end:
        following = LINE_BREAK.search(text, start, end)
        line = text[start : following.start() if following else end]
        if core := line.strip():
            first = start + len(line) - len(line.lstrip())
            found.append((first, first + len(core)))
        start = following.end() if following else end + 1
    return found
