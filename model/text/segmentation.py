"""Cutting a line that is too long for the model into parts, and joining the parts exactly."""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from model.text.tokenizer import Tokenizer

# White space at which a line may be cut: no-break spaces hold together what they join.
_SPACE = r"[^\S\u00a0\u2007\u202f]"
# Both match everywhere, if need be the empty string.
_REST_OF_WORD = re.compile(r"\S{0,100}")
_SPACES = re.compile(f"{_SPACE}*")
_WORD_END = re.compile(f"(?<!{_SPACE})(?={_SPACE})")

# A sentence ends at ! ? \u2026 or at a full stop after at least three letters (so not at "Dr.",
# "z. B.", "3."), with closing quotes and brackets. Ideographic marks need no space after them.
_LETTER = r"[^\W\d_]"
_CLOSING = "[\"')\\]\u00bb\u00ab\u2018-\u201f]*"
_SENTENCE_MARK = re.compile(f"(?:[!?\u2026]|(?<={_LETTER * 3})\\.){_CLOSING}(?={_SPACE})")
_IDEOGRAPHIC_MARK = re.compile("[\u3002\uff01\uff1f\uff61][\u2019\u201d\u300d\u300f\uff09]*")


class Segment(NamedTuple):
    """A part of a line and the white space that followed it."""

    text: str
    separator: str


def split_long(text: str, tokenizer: Tokenizer, limit: int) -> list[Segment]:
    """Cut `text` into parts of at most `limit` pieces (16 or more), each as long as fits.

    A part ends at the last sentence end that fits, else at the last white space, else inside the
    word. `"".join(s.text + s.separator for s in segments)` is `text`. A text within the limit is
    one segment, with all its white space. In a longer one no part has white space at its ends: what
    begins the line is the separator of an empty first part. Time is near linear in the length.
    """
    count = len(tokenizer.encode(text))
    if count <= limit:
        return [Segment(text, "")]
    start = _after_space(text, 0)
    segments = [Segment("", text[:start])] if start else []
    size = limit * len(text) // count  # characters that fit; the average is a first guess
    while start < len(text):
        size = _longest_fit(text, start, size, tokenizer, limit)
        end = _part_end(text, start, start + size, tokenizer, limit)
        after = _after_space(text, end)
        segments.append(Segment(text[start:end], text[end:after]))
        start = after
    return segments


def _longest_fit(text: str, start: int, guess: int, tokenizer: Tokenizer, limit: int) -> int:
    """How many characters from `start` make at most `limit` pieces: the most, or nearly.

    They are what the first `limit` pieces of a larger stretch spell, except for characters that
    normalisation changes; encoding them again makes sure.
    """
    size = guess + guess // 4
    while len(ids := tokenizer.encode(stretch := _stretch(text, start, size))) <= limit:
        if start + len(stretch) == len(text):
            return len(stretch)
        size = 2 * size + 1
    size = min(len(stretch), len(tokenizer.decode(ids[:limit])))
    while size > 1 and (count := len(tokenizer.encode(text[start : start + size]))) > limit:
        size = min(size - 1, size * limit // count)
    return max(size, 1)


def _stretch(text: str, start: int, size: int) -> str:
    """`size` characters and the rest of the word, for half a word can take more pieces than all."""
    rest = _REST_OF_WORD.match(text, start + size)
    assert rest is not None
    return text[start : rest.end()]


def _part_end(text: str, start: int, longest: int, tokenizer: Tokenizer, limit: int) -> int:
    """The best place to end the part that may reach from `start` to `longest`."""
    for end in _places(text, start, longest):
        # A shorter stretch can take more pieces than a longer one, though hardly ever.
        if end == longest or len(tokenizer.encode(text[start:end])) <= limit:
            return end
    return longest


def _places(text: str, start: int, longest: int) -> Iterator[int]:
    """Where to end a part within text[start:longest], best first."""
    seen = longest + 1  # the character after the part tells whether the part ends a word
    words = [found.start() for found in _WORD_END.finditer(text, start, seen)]
    last = words[-1] if words else longest
    if longest == len(text) and _after_space(text, last) < len(text):
        last = longest
    if _after_space(text, last) == len(text):
        yield last
    marks = [found.end() for found in _SENTENCE_MARK.finditer(text, start, seen)]
    marks = [end for end in marks if not _lower_case_follows(text, end)]
    marks += [found.end() for found in _IDEOGRAPHIC_MARK.finditer(text, start, longest)]
    yield from sorted(marks, reverse=True)
    yield from reversed(words)
    yield _whole_character(text, start, longest)


def _after_space(text: str, position: int) -> int:
    """The first position from `position` on that holds no white space."""
    found = _SPACES.match(text, position)
    assert found is not None
    return found.end()


def _lower_case_follows(text: str, end: int) -> bool:
    following = _after_space(text, end)
    return text[following : following + 1].islower()


def _whole_character(text: str, start: int, end: int) -> int:
    """`end`, or a little earlier if that would part a character from its accents or joiners."""
    place = end
    while place - 1 > start and _continues(text, place):
        place -= 1
    return place if place - 1 > start else end


def _continues(text: str, place: int) -> bool:
    after = text[place : place + 1]
    joined = after in ("\u200d", "\ufe0f") or text[place - 1] == "\u200d"
    return after != "" and (joined or unicodedata.combining(after) > 0)
