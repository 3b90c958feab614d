"""Cutting long lines: exact joins, parts within the limit, good places, linear time."""

import random
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model.text.segmentation import Segment, split_long
from model.text.tokenizer import Tokenizer

LIMIT = 16
characters = st.characters(exclude_categories=["Cs"])
words = st.sampled_from(
    ["the", "house.", "Straße!", "Mann,", "a\u0308", "\u2581", "z. B.", "\U0001f600"]
)
spaces = st.sampled_from([" ", " ", "  ", "\t", "\u00a0", "\u2028", "", "\u3000 "])
wordy_text = st.lists(st.tuples(words, spaces), max_size=60).map(
    lambda pairs: "".join(word + space for word, space in pairs)
)
any_text = st.text(characters, max_size=200) | wordy_text | st.text(st.sampled_from("a \u0301.!"))


def split(text: str, tokenizer: Tokenizer, limit: int) -> list[Segment]:
    return list(split_long(text, tokenizer.encode, tokenizer.decode, limit, "en"))


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
    "text", ["z. B. der Dr. Mann am 3. Haus " * 3, "the house. and a dog " * 5]
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
def test_time_is_near_linear(tiny_tokenizer: Tokenizer, text: str) -> None:
    began = time.process_time()
    segments = split(text, tiny_tokenizer, 256)
    taken = time.process_time() - began
    assert joined(segments) == text
    assert taken < 4  # about one second at most; quadratic work would take minutes
