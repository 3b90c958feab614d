"""Cutting texts: exact joins, parts within the limit, good places, linear time."""

import random
import sys
import unicodedata
from collections.abc import Callable
from types import FrameType
from typing import Any, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model.errors import InputTooLong
from model.text.normalization import normalize_source
from model.text.profile import SEVERAL, TextProfile
from model.text.segmentation import (
    Plan,
    Segment,
    Segmenter,
    WholeSource,
    list_marks,
    split_long,
)
from model.text.sentences import sentence_ends
from model.text.tokenizer import Tokenizer

LIMIT = 16
characters = st.characters(exclude_categories=["Cs"])
words = st.sampled_from(
    [
        "the",
        "house.",
        "Straße!",
        "Mann,",
        "a\u0308",
        "\u2581",
        "z. B.",
        "\U0001f600",
        "1.",
        "\n- ",
        "a)",
    ]
)
spaces = st.sampled_from([" ", " ", "  ", "\t", "\u00a0", "\u2028", "", "\u3000 "])
wordy_text = st.lists(st.tuples(words, spaces), max_size=60).map(
    lambda pairs: "".join(word + space for word, space in pairs)
)
any_text = st.text(characters, max_size=200) | wordy_text | st.text(st.sampled_from("a \u0301.!"))


def split(text: str, tokenizer: Tokenizer, limit: int, language: str = "de") -> list[Segment]:
    ends = sentence_ends(text, language)
    return list(split_long(text, tokenizer.encode, tokenizer.decode, limit, ends))


def joined(segments: list[Segment]) -> str:
    return "".join(segment.text + segment.separator for segment in segments)


@given(any_text, st.integers(LIMIT, 40))
def test_parts_fit_and_join_to_the_line(tiny_tokenizer: Tokenizer, text: str, limit: int) -> None:
    text = text.strip()
    segments = split(text, tiny_tokenizer, limit)
    assert joined(segments) == text
    assert all(len(tiny_tokenizer.encode(segment.text)) <= limit for segment in segments)
    assert all(segment.text for segment in segments)
    assert all(segment.separator.isspace() or not segment.separator for segment in segments)


@given(
    st.lists(st.sampled_from(["the", "Straße", "dog", "Haus", "xyz"]), min_size=20),
    st.integers(16, 40),
)
@example(["the"] * 4 + ["Straße", "Haus", "Straße"] + ["the"] * 12 + ["Straße"], 21)
def test_parts_are_as_long_as_fits(tiny_tokenizer: Tokenizer, line: list[str], limit: int) -> None:
    parts = [segment.text for segment in split(" ".join(line), tiny_tokenizer, limit)]
    # The independent truth: put in word after word.
    expected: list[str] = []
    for word in line:
        longer = f"{expected[-1]} {word}" if expected else word
        if expected and len(tiny_tokenizer.encode(longer)) <= limit:
            expected[-1] = longer
        else:
            expected.append(word)
    assert parts == expected


def parts_of(text: str, tokenizer: Tokenizer, limit: int) -> list[str]:
    segments = split(text, tokenizer, limit)
    assert joined(segments) == text
    return [segment.text for segment in segments]


@pytest.mark.parametrize(
    ("text", "last_of_first"),
    [
        ("the dog runs. The man sees the small red house under the street", "runs."),
        ('the "dog runs!" The man sees the small red house under the street', 'runs!"'),
        ("the dog runs … The man sees the small red house under the street", "…"),
    ],
)
def test_sentence_ends_come_first(tiny_tokenizer: Tokenizer, text: str, last_of_first: str) -> None:
    first = parts_of(text, tiny_tokenizer, LIMIT + 2)[0]
    assert first.split(" ")[-1] == last_of_first


def test_ideographic_sentences_need_no_space(tiny_tokenizer: Tokenizer) -> None:
    assert parts_of("漢字。漢字。漢字。漢字。", tiny_tokenizer, 20) == ["漢字。漢字。"] * 2


@pytest.mark.parametrize(
    "text", ["z. B. der Dr. Mann am 3. Haus " * 3 + "Hund", "the house. and a dog " * 5 + "Hund"]
)
def test_full_stops_inside_sentences_are_words(tiny_tokenizer: Tokenizer, text: str) -> None:
    with_stops = parts_of(text, tiny_tokenizer, 24)
    without = parts_of(text.replace(".", ","), tiny_tokenizer, 24)
    assert [part.replace(".", ",") for part in with_stops] == without


def test_no_break_spaces_hold(tiny_tokenizer: Tokenizer) -> None:
    text = " ".join(["10\u00a03"] * 12)
    assert {word for part in parts_of(text, tiny_tokenizer, 20) for word in part.split(" ")} == {
        "10\u00a03"
    }


@pytest.mark.parametrize(
    ("character", "count"),
    [
        ("ก็", 2),  # Thai, with a mark of class 0
        ("เก", 2),  # Thai, with a vowel that is written before its consonant
        ("ກິ", 2),  # Lao
        ("ကို", 3),  # Burmese
        ("ក្ក", 3),  # Khmer
        ("கொ", 2),  # Tamil
        ("क्ष", 3),  # Devanagari, a conjunct
        ("\U0001f44d\U0001f3fd", 2),  # a thumb and its skin tone
    ],
)
def test_no_part_begins_with_what_belongs_to_the_character_before(
    tiny_tokenizer: Tokenizer, character: str, count: int
) -> None:
    assert len(character) == count
    parts = parts_of(character * 40, tiny_tokenizer, 40)
    assert len(parts) > 1
    assert all(part.replace(character, "") == "" for part in parts)


def test_an_accent_stays_with_its_letter(tiny_tokenizer: Tokenizer) -> None:
    parts = parts_of("q\u0323\u0307" * 40, tiny_tokenizer, LIMIT)
    assert all(part.startswith("q") for part in parts)
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    assert set(parts_of(family * 10, tiny_tokenizer, 30)) == {family}


def near_words(length: int) -> str:
    rng = random.Random(3)
    return "".join(rng.choices("theousrdaiz", k=length))


@pytest.mark.parametrize(
    "text",
    [
        near_words(1_000_000),
        "x" * 300_000,
        "the small dog runs. " * 15_000,
        "the\u2581" * 50_000,
        "\u0301" * 100_000,
        " " * 1_000_000 + "x",
        "\U0001d160" * 30_000,
        "!" * 300_000,
        "the dog " * 20_000 + "\U0001f600" * 40_000,
    ],
    ids=["word", "x", "sentences", "marks", "accents", "spaces", "expanding", "!", "changing"],
)
def test_work_is_near_linear(tiny_tokenizer: Tokenizer, text: str) -> None:
    encoded = 0

    def encode(stretch: str) -> list[int]:
        nonlocal encoded
        encoded += len(stretch)
        return tiny_tokenizer.encode(stretch)

    text = text.strip()
    segments = list(split_long(text, encode, tiny_tokenizer.decode, 256, sentence_ends(text, "de")))
    assert joined(segments) == text
    assert encoded < 20 * len(text)  # quadratic work would be thousands of times as much


class Watched(str):
    """Text that counts the characters of its slices."""

    copied = 0

    def __getitem__(self, key: Any) -> str:
        found = super().__getitem__(key)
        self.copied += len(found)
        return found


@pytest.mark.parametrize("mark", ["1. ", "- ", "a) ", "1.2.3 "])
def test_list_marks_are_read_in_linear_time(mark: str) -> None:
    line = Watched(mark * 1_000)
    assert list_marks(line, "de") == line
    assert line.copied < 20 * len(line)


def work(call: Callable[[], object]) -> int:
    """How many functions, of Python and of C, a call comes to."""
    events = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal events
        events += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        call()
    finally:
        sys.setprofile(None)
    return events


ABBREVIATIONS = ["Dr. ", "z. B. ", "etc. ", "l'art. ", "A. ", "mm. ", '"z. B." ', "Nr. 1. ", "... "]


@pytest.mark.parametrize("unit", ABBREVIATIONS)
def test_a_line_of_abbreviations_is_cut_in_linear_time(
    tiny_tokenizer: Tokenizer, unit: str
) -> None:
    def cut(count: int) -> int:
        line = "der Hund " + unit * count
        return work(lambda: segmenter(tiny_tokenizer).cut(line, split_sentences="always"))

    cut(10)  # what is made when first needed
    assert cut(8_000) < 2.2 * cut(4_000)


def test_the_ends_of_sentences_are_looked_for_once(tiny_tokenizer: Tokenizer) -> None:
    line = "Dr. " * 1_000  # of one stretch that the library is given
    once = work(lambda: sentence_ends(line, "de"))
    cut = work(lambda: segmenter(tiny_tokenizer).cut(line, split_sentences="always"))
    assert once < cut < 1.5 * once


# Whole texts


def segmenter(tokenizer: Tokenizer, limit: int = 60, **profile: Any) -> Segmenter:
    known: dict[str, Any] = {"source_language": "de", "normalization": 1} | profile
    return Segmenter(tokenizer, limit, TextProfile(**known))


def told(tokenizer: Tokenizer, plan: Plan) -> list[str]:
    """The parts of a plan, those that are translated in brackets."""
    return [part if isinstance(part, str) else f"[{tokenizer.decode(part)}]" for part in plan.parts]


TEXTS = [
    ("", []),
    (" \n\t", [" \n\t"]),
    ("der Hund", ["[der Hund]"]),
    ("  der Hund\t", ["  ", "[der Hund]", "\t"]),
    ("Hund\nMann", ["[Hund]", "\n", "[Mann]"]),
    (
        "Hund\r\n\r\nMann\u2028Frau\x85",
        ["[Hund]", "\r\n\r\n", "[Mann]", "\u2028", "[Frau]", "\x85"],
    ),
    ("Der Hund läuft. Der Mann schläft.", ["[Der Hund läuft.]", " ", "[Der Mann schläft.]"]),
    ("Der Hund läuft.\u00a0 Wer? Er!", ["[Der Hund läuft.]", "\u00a0 ", "[Wer?]", " ", "[Er!]"]),
    ("Am 3. Mai läuft Dr. Hund.", ["[Am 3. Mai läuft Dr. Hund.]"]),
    ("漢字。漢字。", ["[漢字。]", "[漢字。]"]),
    # What has no letter and no digit
    *(
        (same, [same])
        for same in ("---", "•", "😊", "...", "👨\u200d👩\u200d👧 !", "1️⃣", "→ ☐", "«»")
    ),
    # List marks and time codes alone
    *((same, [same]) for same in ("1.", "2.1.", "a)", "(b)", "iv.", "(XII)", "  3)  ")),
    *((same, [same]) for same in ("00:01:02,500 --> 00:01:04,000", "1:02.5", "00:01:02")),
    ("00:01.000 --> 00:02.000 align:start", ["00:01.000 --> 00:02.000 align:start"]),
    (
        "1\n00:00:01,000 --> 00:00:02,000\nHund",
        ["1\n00:00:01,000 --> 00:00:02,000\n", "[Hund]"],
    ),
    ("12", ["12"]),
    ("1234567", ["[1234567]"]),
    ("-12", ["[-12]"]),
    ("12:30", ["[12:30]"]),
    ("civil.", ["[civil.]"]),
    # Bullets and numbers at the head of a line
    ("- der Hund\n* Mann", ["- ", "[der Hund]", "\n* ", "[Mann]"]),
    ("1. Das Haus ist rot.", ["1. ", "[Das Haus ist rot.]"]),
    ("2.1. Haus", ["2.1. ", "[Haus]"]),
    ("a) Hund\n(iv) Mann\n3) 10", ["a) ", "[Hund]", "\n(iv) ", "[Mann]", "\n3) ", "[10]"]),
    ("## Haus", ["## ", "[Haus]"]),
    ("- 1. > Haus", ["- 1. > ", "[Haus]"]),
    ("[x] Haus\n[12] Haus\nIV. Haus", ["[x] ", "[Haus]", "\n[12] ", "[Haus]", "\nIV. ", "[Haus]"]),
    ("1.2.3 Haus", ["1.2.3 ", "[Haus]"]),
    ("\u2460Haus", ["\u2460", "[Haus]"]),
    ("\u2705 1. Das Haus", ["\u2705 1. ", "[Das Haus]"]),
    ("[00:01] Haus", ["[00:01] ", "[Haus]"]),
    ("z. B. ein Haus", ["[z. B. ein Haus]"]),
    ("# 10 Hund", ["[# 10 Hund]"]),
    ("3. Mai: Hund", ["[3. Mai: Hund]"]),
    ("3. klasse Hund", ["3. ", "[klasse Hund]"]),
    ("-10 Hund", ["[-10 Hund]"]),
    ("3.5 Hund", ["[3.5 Hund]"]),
    # Emoji at the ends of a sentence
    ("😊 Hund 👍🏽!", ["😊 ", "[Hund 👍🏽!]"]),
    ("Der Hund läuft! 😊 Wer?", ["[Der Hund läuft!]", " 😊 ", "[Wer?]"]),
    ("Hund 1️⃣ 2️⃣ ❤️\n", ["[Hund]", " 1️⃣ 2️⃣ ❤️\n"]),
    ("ein 😊 Hund", ["[ein 😊 Hund]"]),
    # What cannot be seen hides nothing
    ("\u200e- Hund", ["- ", "[Hund]"]),
    ("\ufeff1.", ["\ufeff1."]),
    ("Der Hund läuft.\u200e Wer?", ["[Der Hund läuft.]", " ", "[Wer?]"]),
    ("\uff11. Das Haus", ["1. ", "[Das Haus]"]),
    ("\u200bHund\u00ad", ["[Hund]"]),
    ("\uff11\uff10\u3000\uff28und", ["[10 Hund]"]),
]


@pytest.mark.parametrize(("text", "parts"), TEXTS)
def test_a_text_is_cut_like_this(tiny_tokenizer: Tokenizer, text: str, parts: list[str]) -> None:
    assert told(tiny_tokenizer, segmenter(tiny_tokenizer).cut(text)) == parts


@pytest.mark.parametrize("limit", [16, 60])
@pytest.mark.parametrize("split_sentences", ["always", "never"])
@given(any_text)
def test_every_character_of_a_text_is_in_its_plan(
    tiny_tokenizer: Tokenizer, split_sentences: Literal["always", "never"], limit: int, text: str
) -> None:
    """Without normalisation pieces spell exactly what they were made of."""
    cutter = segmenter(tiny_tokenizer, limit, normalization=0)
    plan = cutter.cut(text, split_sentences=split_sentences)
    written = [p if isinstance(p, str) else tiny_tokenizer.decode(p) for p in plan.parts]
    assert normalized("".join(written)) == normalized(text)
    assert all(1 <= len(source) <= limit for source in plan.sources)
    assert all(a for a in written)


@given(st.text(st.sampled_from("ab \u00a0\u2009\u200b\u00ad\u202a\uff11\uff21\t.\n"), max_size=80))
def test_all_sources_are_normalised(tiny_tokenizer: Tokenizer, text: str) -> None:
    sources = segmenter(tiny_tokenizer, 16).cut(text).sources
    written = [tiny_tokenizer.decode(source) for source in sources]
    assert written == [normalize_source(source) for source in written]


TWO = "Der Hund läuft. Der Mann schläft."


@pytest.mark.parametrize(
    ("share", "asked", "count"),
    [
        (None, "auto", 2),
        (0.0, "auto", 2),
        (SEVERAL - 0.001, "auto", 2),
        (SEVERAL, "auto", 1),
        (1.0, "always", 2),
        (None, "never", 1),
    ],
)
def test_a_model_that_knows_several_sentences_gets_them(
    tiny_tokenizer: Tokenizer,
    share: float | None,
    asked: Literal["auto", "always", "never"],
    count: int,
) -> None:
    cutter = segmenter(tiny_tokenizer, several_sentences=share)
    assert len(cutter.cut(TWO, split_sentences=asked).sources) == count


@pytest.mark.parametrize(("language", "count"), [("de", 1), ("", 1), ("en", 2)])
def test_the_language_of_the_text_decides(
    tiny_tokenizer: Tokenizer, language: str, count: int
) -> None:
    text = "Das ist der 3. Haus und Hund."
    plain = segmenter(tiny_tokenizer, source_language="")
    assert len(plain.cut(text, language=language).sources) == count
    of_model = segmenter(tiny_tokenizer, source_language=language)
    assert of_model.cut(text) == plain.cut(text, language=language)


def test_a_summarizer_reads_a_text_whole(tiny_tokenizer: Tokenizer) -> None:
    cutter = segmenter(tiny_tokenizer, task="summarize")
    plan = cutter.cut(" - Der Hund.\n\n  Die Frau. 😊\n")
    assert told(tiny_tokenizer, plan) == [" ", "[- Der Hund. Die Frau. 😊]", "\n"]
    assert plan.truncated_source is None
    for same in ("", " \n", "--- 😊", "1.", "00:00:01,000 --> 00:00:02,000"):
        assert cutter.cut(same).sources == []


def test_a_text_too_long_to_be_read_whole_is_refused_or_cut(tiny_tokenizer: Tokenizer) -> None:
    first = "Der Mann schläft unter der Straße."
    text = f"{first}\nDer Hund läuft."
    limit = len(tiny_tokenizer.encode(first)) + 2
    cutter = segmenter(tiny_tokenizer, limit, task="summarize")
    pieces = len(tiny_tokenizer.encode(text.replace("\n", " ")))
    with pytest.raises(InputTooLong, match=f"^{pieces} pieces, but the model reads {limit}"):
        cutter.cut(text)
    plan = cutter.cut(text, on_long="cut")
    assert told(tiny_tokenizer, plan) == [f"[{first}]"]
    assert plan.truncated_source == len(plan.sources[0])
    whole = cutter.cut(text, on_long="whole")
    assert told(tiny_tokenizer, whole) == [f"[{first} Der Hund läuft.]"]
    assert (whole.whole_source, whole.truncated_source) == (
        WholeSource(pieces=pieces, attention_span=None),
        None,
    )
    fits = cutter.cut(first, on_long="whole")
    assert (fits.parts, fits.whole_source) == (cutter.cut(first).parts, None)
    # A sentence end that comes far too early is not taken.
    early = cutter.cut("Hund. " + "der Mann schläft unter der Straße " * 9, on_long="cut")
    assert len(early.sources[0]) > limit / 2


def normalized(text: str) -> str:
    return unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    "text",
    [
        "😀" * 100_000 + "a",
        "a" + "😀" * 100_000,
        "1️⃣" * 50_000 + "a" + "1️⃣" * 50_000,
        "\u200b" * 300_000 + "das" * 100,
        " das \u200b" * 30_000,
        "a\n" * 50_000,
    ],
    ids=["emoji before", "emoji behind", "keycaps", "invisible", "spaces", "lines"],
)
def test_nothing_of_a_large_text_is_lost(tiny_tokenizer: Tokenizer, text: str) -> None:
    """Quadratic work would take hours here."""
    plan = segmenter(tiny_tokenizer, normalization=0).cut(text)
    written = [p if isinstance(p, str) else tiny_tokenizer.decode(p) for p in plan.parts]
    assert normalized("".join(written)) == normalized(text)
