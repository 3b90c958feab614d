"""Sentences: where the sentences of a line end.

The library sentencex knows the abbreviations of many languages; it is only used to tell which full
stops belong to one. All else, and every position, is decided on the line itself.
"""

import re
import unicodedata
from collections.abc import Container, Iterator
from typing import NamedTuple

import sentencex

from model.text.abbreviations import (
    ABBREVIATION_ENDINGS,
    ABBREVIATIONS,
    ENDING_ABBREVIATIONS,
    OPENING_WORDS,
    ORDINAL_STOPS,
    WORDS,
)
from model.text.quotations import inside

# Unicode's property Sentence_Terminal in three parts, without U+104A and U+FF0E, which are used
# as a comma and in numbers, and with ellipses.
_LATIN = ".!?\u2026\u203c\u203d\u2047-\u2049\u2024\u2e2e\u2e3c\u2e53\u2e54"
_OTHERS = (
    "\u0589\u061d-\u061f\u06d4\u0700-\u0702\u07f9\u0837\u0839\u083d\u083e\u166e\u1735\u1736\u1803"
    "\u1809\u1944\u1945\u1aa8-\u1aab\u1b4e\u1b4f\u1b5a\u1b5b\u1b5e\u1b5f\u1b7d-\u1b7f\u1c3b\u1c3c"
    "\u1c7e\u1c7f\u2cf9-\u2cfb\ua4ff\ua60e\ua60f\ua6f3\ua6f7\ua876\ua877\ua8ce\ua8cf\ua92f\ua9c8"
    "\ua9c9\uaa5d-\uaa5f\uaaf0\uaaf1\uabeb"
)
_ANCIENT = (
    "\U00010a56\U00010a57\U00010f55-\U00010f59"
    "\U00010f86-\U00010f89\U00011047\U00011048\U000110be-\U000110c1\U00011141-\U00011143"
    "\U000111c5\U000111c6\U000111cd\U000111de\U000111df\U00011238\U00011239\U0001123b\U0001123c"
    "\U000112a9\U000113d4\U000113d5\U0001144b\U0001144c\U000115c2\U000115c3\U000115c9-\U000115d7"
    "\U00011641\U00011642\U0001173c-\U0001173e\U00011944\U00011946\U00011a42\U00011a43\U00011a9b"
    "\U00011a9c\U00011c41\U00011c42\U00011ef7\U00011ef8\U00011f43\U00011f44\U00016a6e\U00016a6f"
    "\U00016af5\U00016b37\U00016b38\U00016b44\U00016d6e\U00016d6f\U00016e98\U0001bc9f\U0001da88"
)
_UNSPACED = (  # ideographic, Devanagari, Burmese, Ethiopic and Khmer marks
    "\u3002\uff01\uff1f\uff61\ufe12\ufe15\ufe16\ufe52\ufe56\ufe57"
    "\u0964\u0965\u104b\u1362\u1367\u1368\u17d4\u17d5"
)
_SPACED = _OTHERS + _ANCIENT
_GREEK = ";\u037e"  # question marks, in Greek alone

_CLOSING = ")\\]}\u2019\u201d\uff09」』】〉》"
_JOINING = (
    "\u200c\u200d\ufe0e\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f\uff9e\uff9f\u0e33\u0eb3"
)
_EMOJI = "\u231a-\u23ff\u2600-\u27bf\u2b05-\u2b55\u3030\u303d\U0001f000-\U0001faff"
# What belongs to a sentence after its final mark: closing marks (in French, after a space), emoji,
# smileys and notes such as [1].
_TAIL = (
    rf"[{_CLOSING}{_JOINING}\u0300-\u036f\u20e3]|[\"'»«\u203a\u2039\u2018\u201c](?!\w)"
    rf"|\s?[»\u203a\"\u201d](?![^\s.,;:!?)])|\s{{0,2}}[{_EMOJI}]"
    r"|\s?[:;]-?[()DP](?!\w)|\[\w{1,3}\]"
)
# Both begin with a set of characters: `re` searches ten times as fast for a set as for a choice.
_ENDS = {
    greek: re.compile(
        f"[{(marks := _LATIN + greek + _SPACED + _UNSPACED)}][{marks}]*+((?:{_TAIL})*+)"
    )
    for greek in ("", _GREEK)
}
_SEVERAL = re.compile(
    rf"[{_LATIN}{_GREEK}{_OTHERS}{_UNSPACED}\U00010a56-\U0001da88]"
    rf"(?:(?<=[{_UNSPACED}])|(?![\w{_LATIN}]))(?!\s*\Z)"
)

_SPACES = re.compile(r"\s*")
_JOINS = re.compile(f"[{_JOINING}]")
_NEEDS_NO_SPACE = re.compile(f"[{_UNSPACED}]")
_OF_A_SCRIPT = re.compile(f"[{_SPACED}{_UNSPACED}{_GREEK}]")
_SAYING = re.compile("[」』](?:と|って)|(?<=[\uff1f\uff01])\u201d\\w")
_FIRST_WORD = re.compile(r"[^\w\s]{0,4}\s?[^\w\s]{0,2}(\w{0,20})")
_BETWEEN_WORDS = re.compile(r"[\s\"«»\u2039\u203a\u201a-\u201f()\[\]{}/…]|(?<!\w)['\u2018\u2019]")
_ORDINAL = re.compile(r"(?:\d{1,2}\.)*\d+")
_APOSTROPHE = re.compile("['\u2019]")
_ADDRESS = re.compile(r"www\.|.*@")
_MEASURE = re.compile(r"\d\s?[ghlm]\Z")
_LETTER = re.compile(r"[^\W\d_]")
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")
_LIST_MARK = re.compile(
    r"\s*(?:[•‣▪●◦○■*\u2013-]\s*)?\(?(?:\d{1,3}(?:\.\d{1,3})*|[ivxlcIVXLC]{1,5}|[^\W\d_])[.)]+(?=\s)"
)
_REACH = 40  # characters before a mark that are looked at

_HIDDEN = re.compile(  # but no apostrophes
    r"[\s•‣▪●◦○■*\"«»\u2039\u203a\u201a\u201c-\u201f()\[\]{}]"
    r"|(?<!\w)['\u2018\u2019]|['\u2018\u2019](?!\w)"
)
_BEGINNING = re.compile(r"(?<=[.!?] )\s*(?!\d\.)[^\W_]")
_WITHIN = re.compile(r".*(?<=[^.!?\s])(?= )")
_STRETCH = 4096  # characters given to the library at once: on some texts it takes quadratic time


class _Mark(NamedTuple):
    """A place where a sentence may end: marks at [start, stop), with what belongs to them up to
    `end`, and the first character of what follows."""

    start: int
    stop: int
    end: int
    following: int


def may_have_several(line: str) -> bool:
    """Tell whether `sentence_ends` may find any, in a tenth of its time: most lines have none."""
    return _SEVERAL.search(line) is not None


def sentence_ends(line: str, language: str) -> list[int]:
    """Find the ends of all sentences of `line` but the last, each before the white space after it.

    Quotations and parentheses of up to 200 characters are not cut, unless they are whole sentences
    by themselves. To miss an end costs less than to find a wrong one, so in doubt there is none.
    Takes linear time.

    Args:
        line: any line breaks in it count as spaces.
        language: tag of the language of the line, such as "de" or "pt-BR"; "" if unknown.
    """
    if not may_have_several(line):
        return []
    language = re.split("[-_]", language, maxsplit=1)[0].lower()
    marks = list(_marks(line, language))
    if not marks:
        return []
    within = inside(line)
    stops = _Stops(line, language)
    ends = [mark.end for mark in marks if not within[mark.end] and _ends(line, mark, stops)]
    return _with_words(line, ends)


def _marks(line: str, language: str) -> Iterator[_Mark]:
    listed = _LIST_MARK.match(line)
    start = listed.end() if listed else 0
    for found in _ENDS[_GREEK if language == "el" else ""].finditer(line, start):
        end = found.end()
        following = _after_space(line, end)
        if following == len(line):
            return
        if following == end and not _NEEDS_NO_SPACE.match(line, found.start(1) - 1):
            continue
        # No sentence begins with something that belongs to the character before it.
        if unicodedata.category(line[following])[0] == "M" or _JOINS.match(line, following):
            continue
        yield _Mark(found.start(), found.start(1), end, following)


def _after_space(line: str, place: int) -> int:
    found = _SPACES.match(line, place)
    assert found is not None
    return found.end()


class _Stops:
    """The full stops of a line."""

    def __init__(self, line: str, language: str) -> None:
        self._line = line
        self._language = language
        self._abbreviations = ABBREVIATIONS.get(language, frozenset())
        self._compounds = ABBREVIATION_ENDINGS.get(language, ())
        self._words = WORDS.get(language, frozenset())
        self._opening = OPENING_WORDS.get(language, frozenset())
        self._proposed: Container[int] | None = None
        self.one_case = line == line.lower()

    def ends(self, place: int, next_word: str) -> bool:
        """Tell whether the full stop at `place` ends a sentence, given that `next_word` follows."""
        word = self._word_before(place)
        opened = next_word.lower() in self._opening
        if _ORDINAL.fullmatch(word):
            if self._language in ORDINAL_STOPS:
                return opened or self._is_year(word)
            if not self._language:
                return False
        if _ADDRESS.match(word) or _MEASURE.search(self._line, max(0, place - 3), place):
            return True
        if word in self._words and not next_word[:1].isdigit():
            return True
        letters = word.rpartition("-")[2] if word[:1].isupper() else word
        if len(letters) == 1 and letters.isalpha():
            return False
        word = _APOSTROPHE.split(word)[-1]  # l'art. 5
        if word.lower() in self._abbreviations or word.endswith(self._compounds):
            return False
        if word.lower() in ENDING_ABBREVIATIONS:
            return opened
        if self._proposed is None:
            self._proposed = _proposed(self._line, self._language)
        return place in self._proposed

    def _word_before(self, place: int) -> str:
        return _BETWEEN_WORDS.split(self._line[max(0, place - _REACH) : place])[-1]

    @staticmethod
    def _is_year(word: str) -> bool:
        """Whether `word` is probably no ordinal or day: 1945 or 8.30, but not 12, 1000 or 24.12."""
        *before, last = word.split(".")
        if before:
            return int(last) > 12
        return word.isdigit() and len(word) > 2 and not word.endswith("00")


def _ends(line: str, mark: _Mark, stops: _Stops) -> bool:
    """Whether a sentence ends at `mark`."""
    if _SAYING.match(line, mark.stop):
        return False
    if _OF_A_SCRIPT.match(line, mark.stop - 1):
        return True
    found = _FIRST_WORD.match(line, mark.following)
    assert found is not None
    next_word = found.group(1)
    ellipsis = line[mark.stop - 1] == "…" or line[mark.start : mark.stop].endswith("..")
    if next_word[:1].islower() and (ellipsis or not stops.one_case):
        return False
    if line[mark.start : mark.stop] != ".":
        return True
    return stops.ends(mark.start, next_word)


def _with_words(line: str, ends: list[int]) -> list[int]:
    """Drop the ends that would leave a part without letters.

    A number is joined to what follows it, as in lists; other characters are joined to what comes
    before them.
    """
    kept: list[int] = []
    start = 0
    for end in ends:
        if _LETTER.search(line, start, end):
            kept.append(end)
        elif kept and not _LETTER_OR_DIGIT.search(line, start, end):
            kept[-1] = end
        start = end
    if kept and not _LETTER.search(line, kept[-1]):
        kept.pop()
    return kept


def _proposed(line: str, language: str) -> Container[int]:
    """The full stops of `line` at which the library would end a sentence.

    It is shown a capital after each mark, so that it judges only what is before the mark, and
    spaces in place of what its rules treat in another way than ours: other white space (which
    makes it panic), quotation marks, brackets and bullets.
    """
    shown = _BEGINNING.sub(_capitalised, _without_hidden(line))
    places: set[int] = set()
    start = 0
    while start < len(shown):
        stop = start + _STRETCH
        if stop < len(shown):
            within_sentence = _WITHIN.match(shown, start + _STRETCH // 2, stop)
            stop = within_sentence.end() if within_sentence else stop
        places.update(start + place for place in _segmented(shown[start:stop], language))
        start = stop
    return places


def _without_hidden(line: str) -> str:
    """`line` with a space in the place of each character that the library must not see.

    A stretch at a time: `re` lets no other thread run before it is through.
    """
    shown: list[str] = []
    for start in range(0, len(line), _STRETCH):
        before = start > 0  # whether a character is hidden depends on its neighbours
        stretch = _HIDDEN.sub(" ", line[start - before : start + _STRETCH + 1])
        shown.append(stretch[before : before + _STRETCH])
    return "".join(shown)


def _capitalised(beginning: re.Match[str]) -> str:
    found = beginning.group()
    capital = "X" if found[-1].isdigit() else found[-1].upper()
    return found[:-1] + capital if len(capital) == 1 else found


def _segmented(shown: str, language: str) -> Iterator[int]:
    """The places of the full stops before the ends of the library's segments of `shown`."""
    try:
        segments = list(sentencex.segment(language, shown))
    except BaseException as error:
        # A panic in Rust is not an Exception.
        if type(error).__name__ != "PanicException":
            raise
        segments = []
    if "".join(segments) != shown:
        yield from (found.end() - 1 for found in re.finditer(r"[^\W\d_]{4}\.(?=\s)", shown))
        return
    end = 0
    for segment in segments:
        end += len(segment)
        yield end - len(segment) + len(segment.rstrip()) - 1
