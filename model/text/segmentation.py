"""Segmentation: cuts a text into parts that the model translates and parts that stay as they are.

text -> lines -> sentences -> parts that fit the model. Every character outside the parts to
translate (line breaks and other white space, bullets, emoji at the ends of a sentence) is kept in
its place, so that the translated parts, joined, are the translation of the text. All text is cut
here, and all text is joined in `model.translation.assemble.assemble`.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from model.errors import InputTooLong
from model.text.abbreviations import ORDINAL_STOPS
from model.text.languages import UNKNOWN, primary_language
from model.text.normalization import plain_characters, plain_places
from model.text.profile import TextProfile
from model.text.sentences import sentence_ends
from model.text.text_windows import TextWindow, Unit, window_spans
from model.text.tokenizer import Tokenizer
from model.text.word_places import LINE_BREAK, JoinedLines, Span

# White space at which a part may end, so no no-break spaces.
_SPACE = r"[^\S\u00a0\u2007\u202f]"
# Both match everywhere, possibly the empty string.
_REST_OF_WORD = re.compile(r"\S{0,100}")
_SPACES = re.compile(f"{_SPACE}*")
_WORD_END = re.compile(f"(?<!{_SPACE})(?={_SPACE})")

_LETTER_OR_DIGIT = re.compile(r"[^\W_]")
_KEYCAP = "[0-9#*]\ufe0f?\u20e3"
_EMOJI = (
    "\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\U0001f000-\U0001faff"
)
_JOINED = "\u200d\u20e3\ufe0e\ufe0f\U000e0020-\U000e007f"  # skin tones are emoji by themselves
_EMOJI_BEFORE = re.compile(rf"(?:(?:{_KEYCAP}|[{_EMOJI}])[{_JOINED}]*\s*)+")
# Greedy, so that it backtracks from the end, and no further than it must.
_UP_TO_EMOJI = re.compile(rf".*[^\s{_EMOJI}{_JOINED}][{_JOINED}]*", re.DOTALL)
_KEYCAPS = re.compile(_KEYCAP)
_LAST_KEYCAP = re.compile(f"{_KEYCAP}$")

_NUMBER = r"[0-9]{1,3}(?:\.[0-9]{1,3})*"
_ROMAN = r"(?=[ivxIVX])[xX]{0,3}(?:[iI][xXvV]|[vV]?[iI]{0,3})"
_TIME = r"(?:[0-9]{1,3}:)?[0-9]{1,2}:[0-9]{2}"
_CLOCK = r"[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:[.,:;][0-9]{1,3})?"  # with seconds: a time code
_ALONE = re.compile(
    rf"\(?(?:{_NUMBER}|[A-Za-z]|{_ROMAN})[.)]"  # list marks: 1. 2.1. a) (iv)
    rf"|{_TIME}[.,][0-9]{{1,3}}(?:\s*-->\s*{_TIME}[.,][0-9]{{1,3}}.*)?"  # time codes of subtitles
    rf"|{_CLOCK}|[\[(](?:{_TIME}|{_CLOCK})[\])]"
    r"|[0-9]{1,6}"  # counters of subtitles
)
_BULLET = re.compile(
    "(?:"
    r"(?:#{1,6}(?=\s+[^\s\d])|[-\u2010-\u2015\u2212*+>]{1,6}|\[[ xX]?\]"
    rf"|\(?(?:{_NUMBER}|[A-Za-z]|{_ROMAN})\)|\[{_NUMBER}\]|(?=[IVX]{{2}}){_ROMAN}\."
    rf"|(?P<number>{_NUMBER}\.)|[0-9]{{1,3}}(?:\.[0-9]{{1,3}}){{2,}}"
    rf"|\[(?:{_TIME}|{_CLOCK})\]|{_CLOCK})\s+"
    r"|[\u2022\u2023\u2043\u2219\u00b7\u2460-\u249b]+\s*"
    rf"|(?:{_KEYCAP}|[{_EMOJI}])[{_JOINED}]*\s*"
    ")"
)
# A number with a full stop at the head of a line may be a date or another ordinal. In most
# languages that write ordinals this way, lower case follows them; in German, a month does.
_MONTH = re.compile(
    r"(?:J[aä]n(?:uar|ner)?|Feb(?:ruar)?|M[aä]r(?:z|ch)?|Apr(?:il)?|Mai|Jun[io]?|Jul[iy]?|Aug(?:ust)?"
    r"|Sep(?:t|tember)?|O[kc]t(?:ober)?|Nov(?:ember)?|De[zc](?:ember)?)\b"
)
_LOGICAL_ORDER_EXCEPTIONS = frozenset(
    "\u0e40\u0e41\u0e42\u0e43\u0e44\u0ec0\u0ec1\u0ec2\u0ec3\u0ec4"
)
"""Vowels of Thai and Lao that are written before their consonant."""
_VIRAMA = 9
"""The combining class of the sign that joins two consonants in the scripts of India."""

_WIDEST = 64
"""Characters for each piece: a part with more than that is long enough, however few its pieces."""


class Segment(NamedTuple):
    """A part of a line and the white space that followed it."""

    text: str
    separator: str


@dataclass(frozen=True, kw_only=True, slots=True)
class WholeSource:
    """How a text is read that is longer than a part, with `on_long` whole."""

    pieces: int
    """Number of its pieces, all of which are read."""
    attention_span: int | None
    """Number of them that each step attends to, about; None if that is all of them."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A text in order: what stays as it is, and the source pieces of the parts to translate."""

    parts: tuple[str | tuple[int, ...], ...]
    truncated_source: int | None = None
    """Number of pieces read of a text that is read whole and was too long, otherwise None."""
    whole_source: WholeSource | None = None
    """How a text is read that is longer than a part and yet read whole, otherwise None."""
    text: str = ""
    """The text as it was given."""
    places: tuple[Span, ...] = ()
    """Where each of the parts stands in `text`; empty for a plan of which that is not known."""
    normalization: int = 0
    """The rules by which the sources were normalised."""
    spans: tuple[Span, ...] = ()
    """Of a text that is cut into windows: where each source begins and ends in it."""
    windows: tuple[TextWindow, ...] = ()
    """The windows in which a text was read whose summaries are, or make, the sources."""
    origins: tuple[tuple[Span, ...], ...] = ()
    """Of a source that is made of summaries: for each of its words the places in the text that it
    comes from."""

    @property
    def sources(self) -> list[tuple[int, ...]]:
        """The parts to translate; none in a text without words."""
        return [part for part in self.parts if isinstance(part, tuple)]


class Segmenter:
    """Cuts the texts of one model. Safe to use from several threads."""

    def __init__(self, tokenizer: Tokenizer, limit: int, profile: TextProfile) -> None:
        """`limit`, 16 or more, is the most source pieces that a part may have."""
        # A length piece, which may be put before a part, takes the place of another.
        self._limit = limit - bool(profile.length_buckets)
        self._tokenizer, self._profile = tokenizer, profile

    @property
    def limit(self) -> int:
        """The most source pieces of a part, without a length piece."""
        return self._limit

    def encode(self, text: str) -> list[int]:
        """The pieces of `text`, normalised as the model expects it.

        Where normalisation removes an invisible character at an end, a space may be bared there. It
        would become a piece of no word.
        """
        return self._tokenizer.encode(self._profile.normalized(text).strip(" "))

    def cut(
        self,
        text: str,
        *,
        language: str = UNKNOWN,
        split_sentences: Literal["auto", "always", "never"] = "auto",
        on_long: Literal["refuse", "cut", "windows", "whole"] = "refuse",
        extractive: Literal["none", "names", "words", "subsequence"] = "none",
    ) -> Plan:
        """Cut `text` for translation.

        If the task reads texts whole, all of it is one part. Otherwise each line is a part, or each
        of its sentences: `auto` cuts lines at the ends of sentences unless the model has learned
        from lines of several sentences. Parts that are too long for the model are cut further.

        Args:
            language: tag of the language of the text; if unknown, the one that the model reads.
            on_long: what to do with a text that is read whole and is too long: refuse it, or read
                its beginning, or all of it in windows, or make one part of it that is longer than
                others.
            extractive: see `windows`.

        Raises:
            InputTooLong: see `on_long` and `windows`.
        """
        language = language or self._profile.source_language
        if self._profile.reads_whole:
            return self._whole(text, language, on_long, extractive)
        split = split_sentences == "always" or (
            split_sentences == "auto" and not self._profile.knows_several_sentences
        )
        parts = _Parts()
        start = 0
        for found in LINE_BREAK.finditer(text):
            self._add_line(parts, text[start : found.start()], language, split)
            parts.keep(found[0])
            start = found.end()
        self._add_line(parts, text[start:], language, split)
        return parts.plan(text, self._profile.normalization)

    def _whole(
        self,
        text: str,
        language: str,
        on_long: Literal["refuse", "cut", "windows", "whole"],
        extractive: Literal["none", "names", "words", "subsequence"],
    ) -> Plan:
        """Join the lines of `text` into one part: documents were single lines in training."""
        lines = JoinedLines(text)
        core = lines.joined
        rules = self._profile.normalization
        if not has_words(core) or is_alone(self._plain(core)):
            return Plan((text,), text=text, places=((0, len(text)),), normalization=rules)
        place = lines.span(0, len(core))
        source, read, whole = self.encode(core), None, None
        if len(source) > self._limit and on_long == "whole":
            whole = WholeSource(pieces=len(source), attention_span=None)
        elif len(source) > self._limit:
            if on_long == "refuse":
                raise InputTooLong(
                    f"{len(source)} pieces, but the model reads {self._limit}. Shorten it, or "
                    "choose by on_long, or --on-long: windows reads all of it in windows, whole at "
                    "once, cut only its beginning."
                )
            if on_long == "windows":
                return self.windows(text, language=language, extractive=extractive)
            if on_long == "cut":
                beginning = self.beginning(core, language)
                source = self.encode(beginning)
                read = len(source)
                place = lines.span(0, len(beginning))
        # White space around the text stays.
        before = len(text) - len(text.lstrip())
        behind = len(text.rstrip())
        parts = (text[:before], tuple(source), text[behind:])
        places = ((0, before), place, (behind, len(text)))
        there = [i for i, part in enumerate(parts) if part]
        return Plan(
            tuple(parts[i] for i in there),
            truncated_source=read,
            whole_source=whole,
            text=text,
            places=tuple(places[i] for i in there),
            normalization=rules,
        )

    def beginning(self, text: str, language: str) -> str:
        """As much of the beginning of a `text` that is too long as one part holds."""
        ends = sentence_ends(text, language)
        return next(self._split_long(text, ends, least=0.5)).text

    def windows(
        self,
        text: str,
        *,
        language: str = UNKNOWN,
        extractive: Literal["none", "names", "words", "subsequence"] = "none",
    ) -> Plan:
        """Cut a `text` that is too long into windows of whole sentences, see `window_spans`.

        They are sources with spaces between them, and nothing of the text is in none of them. Its
        lines are joined as those of a text that fits.

        Args:
            extractive: for `subsequence` the windows do not overlap, as no word may come twice; for
                it and for `words` no word may be cut.

        Raises:
            InputTooLong: a word is too long and may not be cut.
        """
        lines = JoinedLines(text)
        core = lines.joined
        units: list[Unit] = []
        at = 0
        for stop in [*sentence_ends(core, language or self._profile.source_language), len(core)]:
            start = stop - len(core[at:stop].lstrip())
            end = at + len(core[at:stop].rstrip())
            units += self._units(
                core, start, end, whole_words=extractive in ("words", "subsequence")
            )
            at = stop
        spans = window_spans(
            units,
            lambda start, end: len(self.encode(core[start:end])),
            self._limit,
            overlap=extractive != "subsequence",
        )
        parts: list[str | tuple[int, ...]] = [text[: len(text) - len(text.lstrip())]]
        for start, end in spans:
            parts += [tuple(self.encode(core[start:end])), " "]
        parts[-1] = text[len(text.rstrip()) :]
        return Plan(
            tuple(part for part in parts if part != ""),
            text=text,
            normalization=self._profile.normalization,
            spans=tuple(lines.span(start, end) for start, end in spans),
        )

    def _units(self, core: str, start: int, end: int, *, whole_words: bool) -> list[Unit]:
        """The sentence core[start:end], in parts if it is too long."""
        pieces = len(self.encode(core[start:end]))
        if pieces <= self._limit:
            return [Unit(start, end, pieces)]
        units = []
        for segment in self._split_long(core[start:end], []):
            stop = start + len(segment.text)
            if whole_words and not segment.separator and stop < end:
                raise InputTooLong(
                    f"a word of more than {self._limit} pieces, but the model reads no more at "
                    "once, and extractive takes words as they are. Part it with spaces, or leave "
                    "extractive out."
                )
            if part := segment.text.strip():  # it may begin or end with a no-break space
                begin = start + segment.text.index(part)
                units.append(Unit(begin, begin + len(part), len(self.encode(part))))
            start = stop + len(segment.separator)
        return units

    def _add_line(self, parts: "_Parts", line: str, language: str, split: bool) -> None:
        if not has_words(line) or is_alone(plain := self._plain(line)):
            parts.keep(line)
            return
        parts.enter(line, plain_places(line, self._profile.normalization))
        line = plain  # so that invisible characters hide no list mark
        end = len(line.rstrip())
        start = len(line) - len(line.lstrip())
        start = min(start + len(list_marks(line[start:], language)), end)
        parts.keep(line[:start])
        sentences = line[start:end]
        ends = sentence_ends(sentences, language) if split else []
        at = 0
        for stop in [*ends, len(sentences)]:
            self._add_sentence(parts, sentences[at:stop], language, one=split and not ends)
            at = stop
        parts.keep(line[end:])
        parts.leave()

    def _add_sentence(self, parts: "_Parts", sentence: str, language: str, *, one: bool) -> None:
        """Add a sentence, or a line, with the white space before it.

        Args:
            one: it is a line, and known to have no ends of sentences within.
        """
        core = sentence.lstrip()
        parts.keep(sentence[: len(sentence) - len(core)])
        if emoji := _EMOJI_BEFORE.match(core):
            parts.keep(emoji[0])
            core = core[emoji.end() :]
        body = core[: _emoji_behind(core)]
        if not has_words(body):
            parts.keep(core)
            return
        source = self.encode(body)
        if len(source) <= self._limit:
            parts.translate(tuple(source), body)
        else:
            ends = [] if one and len(body) == len(sentence) else sentence_ends(body, language)
            for segment in self._split_long(body, ends):
                if has_words(segment.text):
                    parts.translate(tuple(self.encode(segment.text)), segment.text)
                else:
                    parts.keep(segment.text)
                parts.keep(segment.separator)
        parts.keep(core[len(body) :])

    def _plain(self, text: str) -> str:
        return plain_characters(text, self._profile.normalization)

    def _split_long(self, text: str, ends: list[int], least: float = 0.0) -> Iterator[Segment]:
        return split_long(text, self.encode, self._tokenizer.decode, self._limit, ends, least=least)


def has_words(text: str) -> bool:
    """Tell whether `text` has a letter or a digit that is not part of an emoji."""
    if "\u20e3" in text:
        text = _KEYCAPS.sub("", text)
    return _LETTER_OR_DIGIT.search(text) is not None


def _emoji_behind(text: str) -> int:
    """Where the emoji at the end of `text`, and the spaces before them, begin; its end if none."""
    end = len(text)
    while not text.isascii() and (found := _UP_TO_EMOJI.match(text, 0, end)):
        keycap = _LAST_KEYCAP.search(text, max(found.end() - 3, 0), found.end())
        if keycap is None:
            return found.end()
        end = keycap.start()
    return end


def is_alone(line: str) -> bool:
    """Tell whether `line` is nothing but a list mark, a whole number or a time code."""
    return _ALONE.fullmatch(line.strip()) is not None


def list_marks(line: str, language: str) -> str:
    """The bullets and numbers that `line` begins with, and the white space after them; "" if none.

    A number with a full stop may also be an ordinal: "3. Mai" begins with no mark.
    """
    end = 0
    while found := _BULLET.match(line, end):
        if found["number"] and _is_ordinal(line[found.end() : found.end() + 12], language):
            break
        end = found.end()
    return line[:end]


def _is_ordinal(following: str, language: str) -> bool:
    """Whether a number with a full stop before `following` is an ordinal and not a list mark."""
    primary = primary_language(language)
    if primary == "de":
        return _MONTH.match(following) is not None
    if language == UNKNOWN or primary in ORDINAL_STOPS:
        return following[:1].islower() or _MONTH.match(following) is not None
    return False


def split_long(
    text: str,
    encode: Callable[[str], list[int]],
    decode: Callable[[list[int]], str],
    limit: int,
    ends: list[int],
    *,
    least: float = 0.0,
) -> Iterator[Segment]:
    """Cut a `text` of more than `limit` pieces into parts of at most `limit`, each as long as fits.

    A part ends at the last end of a sentence that fits, else at the last white space, else inside
    a word. `"".join(s.text + s.separator for s in segments)` is `text`. `text` must have no white
    space at its ends; no part has any there. Takes nearly linear time.

    Args:
        encode, decode: map a text to its pieces, normalised as the model expects it, and back.
        ends: where the sentences of `text` end but the last, see `sentence_ends`.
        least: no part ends at the end of a sentence before this share of what fits.
    """
    start, size = 0, limit  # characters that fit; the limit is a first guess
    while start < len(text):
        size = _longest_fit(text, start, size, encode, decode, limit)
        end = _part_end(text, start, start + size, encode, limit, ends, least)
        after = _after_space(text, end)
        yield Segment(text[start:end], text[end:after])
        start = after


def _longest_fit(
    text: str,
    start: int,
    guess: int,
    encode: Callable[[str], list[int]],
    decode: Callable[[list[int]], str],
    limit: int,
) -> int:
    """The most characters from `start`, or nearly, that make at most `limit` pieces.

    They are what the first `limit` pieces of a longer stretch spell, except for characters that
    normalisation changes, so they are encoded again to make sure.
    """
    size = guess + guess // 4
    while len(ids := encode(stretch := _stretch(text, start, size))) <= limit:
        if start + len(stretch) == len(text) or len(stretch) > _WIDEST * limit:
            return len(stretch)
        size = 2 * size + 1
    size = min(len(stretch), len(decode(ids[:limit])))
    while size > 1 and (count := len(encode(text[start : start + size]))) > limit:
        size = min(size - 1, size * limit // count)
    return max(size, 1)


def _stretch(text: str, start: int, size: int) -> str:
    """`size` characters and the rest of the word, as half a word can take more pieces than all."""
    rest = _REST_OF_WORD.match(text, start + size)
    assert rest is not None
    return text[start : rest.end()]


def _part_end(
    text: str,
    start: int,
    longest: int,
    encode: Callable[[str], list[int]],
    limit: int,
    ends: list[int],
    least: float,
) -> int:
    """The best place to end a part that begins at `start` and may reach to `longest`."""
    for end in _places(text, start, longest, ends, least):
        # A shorter stretch can take more pieces than a longer one, though hardly ever.
        if end == longest or len(encode(text[start:end])) <= limit:
            return end
    return longest


def _places(text: str, start: int, longest: int, ends: list[int], least: float) -> Iterator[int]:
    """Where to end a part within text[start:longest], best first."""
    if longest == len(text):
        yield longest
    for place in range(bisect_right(ends, longest) - 1, -1, -1):
        if ends[place] <= start + least * (longest - start):
            break
        yield ends[place]
    # Whether a part ends a word depends on the character after it.
    words = [found.start() for found in _WORD_END.finditer(text, start + 1, longest + 1)]
    yield from reversed(words)
    yield _whole_character(text, start, longest)


def _after_space(text: str, position: int) -> int:
    """The first position from `position` on without white space."""
    found = _SPACES.match(text, position)
    assert found is not None
    return found.end()


def _whole_character(text: str, start: int, end: int) -> int:
    """`end`, or a little earlier if that would separate a character from its marks or joiners."""
    place = end
    while place - 1 > start and _continues(text, place):
        place -= 1
    return place if place - 1 > start else end


def _continues(text: str, place: int) -> bool:
    """Whether the character at `place` and the one before it are written as one."""
    after, before = text[place : place + 1], text[place - 1]
    if after == "":
        return False
    joined = after in "\u200c\u200d\ufe0e\ufe0f" or before in "\u200d"
    joined = joined or "\U0001f3fb" <= after <= "\U0001f3ff"  # skin tones
    leading = before in _LOGICAL_ORDER_EXCEPTIONS or unicodedata.combining(before) == _VIRAMA
    return joined or leading or unicodedata.category(after).startswith("M")


class _Parts:
    """The parts of a text, in order, and where each stands in it.

    Neighbouring texts that stay as they are become one part.
    """

    def __init__(self) -> None:
        self._parts: list[str | tuple[int, ...]] = []
        self._places: list[Span] = []
        self._kept: list[str] = []
        self._kept_place: Span = (0, 0)
        self._start = self._at = 0  # of the line in the text, and within what is added of it
        self._line = ""
        self._from: Sequence[int] | None = None

    def enter(self, line: str, places: Sequence[int]) -> None:
        """What is added next are the plain characters of `line`, from these places in it."""
        self._line, self._from, self._at = line, places, 0

    def leave(self) -> None:
        """The line is at its end."""
        self._start += len(self._line)
        self._line, self._from, self._at = "", None, 0

    def keep(self, text: str) -> None:
        """Add a `text` that stays as it is."""
        if not text:
            return
        start, end = self._place(len(text))
        self._kept_place = (self._kept_place[0] if self._kept else start, end)
        self._kept.append(text)

    def translate(self, source: tuple[int, ...], text: str) -> None:
        """Add the `source` of a `text` to translate."""
        self._flush()
        self._parts.append(source)
        self._places.append(self._place(len(text)))

    def plan(self, text: str, normalization: int) -> Plan:
        """The plan for `text`, when all of it has been added."""
        self._flush()
        return Plan(
            tuple(self._parts),
            text=text,
            places=tuple(self._places),
            normalization=normalization,
        )

    def _place(self, length: int) -> Span:
        """Where the next `length` characters, at least one, stand in the text."""
        if self._from is None:
            start, self._start = self._start, self._start + length
            return start, self._start
        first, self._at = self._at, self._at + length
        return self._start + self._from[first], self._start + self._from[self._at - 1] + 1

    def _flush(self) -> None:
        if self._kept:
            self._parts.append("".join(self._kept))
            self._places.append(self._kept_place)
            self._kept = []
