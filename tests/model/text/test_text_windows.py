"""Windows of a text: nothing is left out, each fits, and sentences stay whole."""

import re
from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model.errors import InputTooLong
from model.text.profile import TextProfile
from model.text.segmentation import Plan, Segmenter
from model.text.text_windows import OVERLAP, Unit, window_spans
from model.text.tokenizer import Tokenizer
from model.text.word_places import LINE_BREAK

SENTENCE = "der Hund läuft auf der Straße. "
stretches = st.sampled_from(
    [
        SENTENCE,
        "Wer? Er! ",
        "\n\n",
        "\r\n  - Haus\u2028",
        "漢字。",
        "漢字漢字、漢字。\u300d",
        "วันนี้อากาศดีมากเราไปเดินเล่น",
        "यह घर है। ",
        "x" * 300,
        "a\u0308" * 40,
        "\U0001f600",
        "\u200b",
        "\u00a0",
        "Am 3. Mai sieht Dr. Hund z. B. 10 Häuser ",
        "und ",
    ]
)
texts = st.lists(stretches | st.text(max_size=8), max_size=40).map(
    lambda parts: "".join(parts) + " das Haus ist rot." * 8
)


def segmenter(tokenizer: Tokenizer, limit: int, normalization: int = 1) -> Segmenter:
    profile = TextProfile(task="summarize", source_language="de", normalization=normalization)
    return Segmenter(tokenizer, limit, profile)


def windows(
    cutter: Segmenter, text: str, extractive: Literal["none", "words", "subsequence"] = "none"
) -> Plan:
    plan = cutter.cut(text, on_long="windows", extractive=extractive)
    assert len(plan.spans) == len(plan.sources) > 1
    return plan


def read(cutter: Segmenter, stretch: str) -> tuple[int, ...]:
    """What the model reads of a stretch of text, by the rule for texts that fit."""
    return tuple(cutter.encode(" ".join(filter(None, map(str.strip, LINE_BREAK.split(stretch))))))


@given(texts, st.integers(16, 40), st.sampled_from(["none", "subsequence"]))
@example("\n" * 3000 + "das Haus ist rot. " * 40 + "\n" * 9, 16, "none")
@example("x" * 5000, 16, "none")
@example("漢字" * 500, 17, "none")
def test_every_character_is_in_a_window_that_fits(
    tiny_tokenizer: Tokenizer, text: str, limit: int, extractive: Literal["none", "subsequence"]
) -> None:
    cutter = segmenter(tiny_tokenizer, limit)
    if extractive == "subsequence" and "x" * 300 in text:
        return  # refused, see below
    try:
        plan = windows(cutter, text, extractive)
    except InputTooLong:
        assert extractive == "subsequence"
        return
    covered = [False] * len(text)
    for (start, end), source in zip(plan.spans, plan.sources, strict=True):
        assert 1 <= len(source) <= limit
        assert source == read(cutter, text[start:end])
        assert text[start:end] == text[start:end].strip()
        covered[start:end] = [True] * (end - start)
    assert not "".join(c for c, yes in zip(text, covered, strict=True) if not yes).strip()
    for (start, end), (following, beyond) in pairwise(plan.spans):
        assert start < following and end < beyond
        if extractive == "subsequence":
            assert following >= end


@given(texts, st.integers(16, 40))
def test_words_that_fit_are_whole_in_some_window(
    tiny_tokenizer: Tokenizer, text: str, limit: int
) -> None:
    """But for words with marks inside: in some scripts a sentence ends without a space."""
    cutter = segmenter(tiny_tokenizer, limit)
    plan = windows(cutter, text)
    for found in re.finditer(r"\S+", text):
        if len(cutter.encode(found[0])) > limit or not re.fullmatch(r"\w+\W?", found[0]):
            continue
        start, end = found.span()
        if "\xa0" in text[max(start - 1, 0) : end + 1]:  # bound to what may be too long with it
            continue
        assert any(first <= start and end <= last for first, last in plan.spans), found[0]


def test_windows_are_whole_sentences_and_overlap(tiny_tokenizer: Tokenizer) -> None:
    sentences = [f"Er {'sieht den Hund und ' * (place % 4)}ist rot." for place in range(30)]
    text = "\n".join(sentences)
    starts = [text.index(sentences[0])]
    for before in sentences[:-1]:
        starts.append(starts[-1] + len(before) + 1)
    ends = [start + len(sentence) for start, sentence in zip(starts, sentences, strict=True)]
    cutter = segmenter(tiny_tokenizer, 120)
    plan = windows(cutter, text)
    overlaps = []
    for start, end in plan.spans:
        assert start in starts and end in ends
    for (_, end), (following, beyond) in pairwise(plan.spans):
        overlaps.append(len(cutter.encode(text[following:end])))
        if beyond < len(text):  # one more sentence would not have fitted
            more = ends[ends.index(beyond) + 1]
            assert len(read(cutter, text[following:more])) > 120
    assert 0 < sum(overlaps) / len(overlaps) < 2 * OVERLAP * 120
    apart = windows(cutter, text, "subsequence")
    assert all(end < following for (_, end), (following, _) in pairwise(apart.spans))


@pytest.mark.parametrize(
    ("sizes", "limit", "spans"),
    [
        ([4, 4, 4, 1, 1], 10, [(0, 2), (2, 5)]),  # the whole of it would be too much again
        ([8, 1, 5, 4, 1], 10, [(0, 2), (1, 4), (4, 5)]),
        ([9, 1, 10, 1], 10, [(0, 2), (2, 3), (3, 4)]),  # what is read again left no room
        ([1] * 21, 20, [(0, 20), (18, 21)]),
        ([0, 10, 0], 10, [(0, 3)]),
    ],
)
def test_units_are_packed(sizes: list[int], limit: int, spans: list[tuple[int, int]]) -> None:
    units = [Unit(place, place + 1, size) for place, size in enumerate(sizes)]
    found = window_spans(units, lambda a, b: sum(sizes[a:b]), limit, overlap=True)
    assert found == spans


def test_a_window_is_shortened_where_its_sentences_take_more_together() -> None:
    units = [Unit(place, place + 1, 2) for place in range(6)]
    spans = window_spans(units, lambda a, b: 3 * (b - a), 6, overlap=False)
    assert spans == [(0, 2), (2, 4), (4, 6)]


def test_no_word_is_cut_where_words_are_taken_as_they_are(tiny_tokenizer: Tokenizer) -> None:
    cutter = segmenter(tiny_tokenizer, 16)
    text = SENTENCE + "x" * 100 + " " + SENTENCE
    windows(cutter, text)
    for extractive in ("words", "subsequence"):
        with pytest.raises(InputTooLong, match=r"^a word of more than 16 pieces.* extractive out"):
            cutter.cut(text, on_long="windows", extractive=extractive)
        windows(cutter, SENTENCE * 9, extractive)


def test_what_fits_is_not_cut(tiny_tokenizer: Tokenizer) -> None:
    cutter = segmenter(tiny_tokenizer, 24)
    assert cutter.cut(SENTENCE, on_long="windows") == cutter.cut(SENTENCE)
    with pytest.raises(InputTooLong, match="windows reads all of it in windows, whole at"):
        cutter.cut(SENTENCE * 9)


def test_a_length_piece_takes_the_place_of_another(tiny_tokenizer: Tokenizer) -> None:
    (word,) = {len(tiny_tokenizer.encode("Haus" + " Haus" * more)) / (1 + more) for more in (0, 8)}
    for buckets, most in (((), 24), ((5, 9), 23)):
        profile = TextProfile(task="summarize", length_buckets=buckets)
        plan = Segmenter(tiny_tokenizer, 24, profile).cut("Haus " * 99, on_long="windows")
        assert max(map(len, plan.sources)) == most // word * word
