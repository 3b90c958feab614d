"""Texts read in windows: what each round searches, and what the answer is made of."""

import dataclasses
import random
import re
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from model.config import ModelConfig
from model.decoding.options import SearchOptions, word_limits
from model.errors import ConfigError, InputTooLong, RequestError
from model.text.profile import TextProfile
from model.text.segmentation import Segmenter
from model.text.text_windows import TextWindow
from model.text.tokenizer import Tokenizer
from model.translation.assemble import Translation
from model.translation.rounds import MOST_LEFT
from model.translator import Translator
from tests.conftest import random_network

TEXT = "Der Hund läuft auf der Straße. Das Haus ist rot. Ein Mann schläft. Er sieht 10 Häuser! "
LONG = "  " + TEXT * 6 + "\n"
SIGNS = ".,!"
"""An extract may leave them out at the ends of words."""
WINDOWS = SearchOptions(beam_size=2, max_length_a=1.0, max_length_b=3, on_long="windows")
# Short outputs that fit together after one round or two.
BRIEF = dataclasses.replace(WINDOWS, max_length_a=0.2, max_length_b=0)


def summarizer(
    tokenizer: Tokenizer,
    *,
    end: float = 0,
    search: SearchOptions = WINDOWS,
    profile: TextProfile | None = None,
) -> Translator:
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        embedding_size=8,
        encoder_size=8,
        decoder_size=8,
        input_feeding=False,
        max_length=24,
    )
    return Translator(
        random_network(config, end=end),
        tokenizer,
        search,
        device=torch.device("cpu"),
        dtype=torch.float32,
        profile=TextProfile(task="summarize", source_language="de") if profile is None else profile,
    )


@pytest.fixture(scope="module")
def translator(tiny_tokenizer: Tokenizer) -> Translator:
    return summarizer(tiny_tokenizer)


def stretches(text: str, windows: Sequence[TextWindow]) -> list[str]:
    return [text[window.start : window.end] for window in windows]


def joined(summaries: Sequence[str]) -> str:
    return " ".join(summary.strip() for summary in summaries if summary.strip())


def by_hand(translator: Translator, text: str, options: SearchOptions) -> tuple[str, list[float]]:
    """The answer to a text, from the answers to texts that fit; and the scores of its windows."""
    of_windows = dataclasses.replace(
        options, min_words=0, max_words=0, ratio=None, prefix="", constraints=(), best_windows=0
    )
    cutter = Segmenter(translator.tokenizer, 24, translator.profile)

    def pieces(some: str) -> int:
        return len(cutter.encode(some))

    def searched(some: str) -> list[Translation]:
        spans = cutter.windows(some, extractive=options.extractive).spans
        return translator.search([some[start:end] for start, end in spans], of_windows)

    found = first = searched(text)
    summaries = firsts = [one.text for one in first]
    scores = [one.hypotheses[0].score for one in first]
    ranked = sorted(range(len(scores)), key=lambda place: -scores[place])
    if options.best_windows:
        return joined([firsts[place] for place in sorted(ranked[: options.best_windows])]), scores
    while pieces(joined(summaries)) > 24:
        read = sum(len(one.source_pieces) for one in found)
        if pieces(joined(summaries)) > MOST_LEFT * read:
            chosen: list[int] = []
            for place in ranked:
                if not chosen or sum(pieces(firsts[i]) for i in [*chosen, place]) <= 24:
                    chosen.append(place)
            summaries = [firsts[place] for place in sorted(chosen)]
            assert pieces(joined(summaries)) <= 24
            break
        found = searched(joined(summaries))
        summaries = [one.text for one in found]
    least, most = word_limits(options, len(text.split()))
    last = dataclasses.replace(options, ratio=None, min_words=least, max_words=most)
    (answer,) = translator.search([joined(summaries)], last)
    return answer.text, scores


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"best_windows": 3},
        {"best_windows": 1000},
        {"max_words": 3},
        {"min_words": 2},
        {"ratio": 0.04},
        {"prefix": "der Hund"},
        {"constraints": ("rot",)},
        {"temperature": 1.0, "seed": 2},  # of others the best summary alone may be too long
        {"extractive": "words"},
        {"extractive": "subsequence"},
    ],
    ids=str,
)
@pytest.mark.parametrize("options", [WINDOWS, BRIEF], ids=["long", "brief"])
def test_the_answer_is_that_of_the_rounds_by_hand(
    translator: Translator, options: SearchOptions, more: dict[str, Any]
) -> None:
    if options is BRIEF and {"prefix", "constraints", "ratio", "min_words"} & more.keys():
        options = dataclasses.replace(options, max_length_b=8)  # room for them
    chosen = dataclasses.replace(options, **more)
    expected, scores = by_hand(translator, LONG, chosen)
    (found,) = translator.search([LONG], chosen)
    assert found.text == "  " + expected + " \n"  # what surrounds the text stays as it is
    assert [window.score for window in found.windows] == pytest.approx(scores)
    cut = Segmenter(translator.tokenizer, 24, translator.profile)
    spans = cut.windows(LONG, extractive=chosen.extractive).spans
    assert tuple((window.start, window.end) for window in found.windows) == spans


def test_rounds_are_made_until_what_is_left_fits(tiny_tokenizer: Tokenizer) -> None:
    """And all windows are used then; where nothing gets shorter, the best that fit."""
    rounds: list[int] = []
    for options in (BRIEF, WINDOWS):
        translator = summarizer(tiny_tokenizer, search=options)
        (found,) = translator.search([TEXT * 20])
        used = [window for window in found.windows if window.used]
        assert len(found.windows) > 40
        rounds.append(len(used))
        scores = [window.score for window in found.windows]
        assert options is BRIEF or max(scores) == max(window.score for window in used)
        assert len(found.source_pieces) <= 24
    assert rounds[0] == len(found.windows)
    assert 0 < rounds[1] < 24


def test_a_best_summary_that_is_too_long_itself_is_cut_and_that_is_said(
    tiny_tokenizer: Tokenizer,
) -> None:
    longer = dataclasses.replace(WINDOWS, max_length_a=2.0, min_length=40)
    (found,) = summarizer(tiny_tokenizer, search=longer).search([LONG])
    assert found.truncated_source == len(found.source_pieces) <= 24
    assert [window.used for window in found.windows].count(True) == 1


def test_texts_in_one_call_do_not_depend_on_each_other(translator: Translator) -> None:
    brief = dataclasses.replace(BRIEF, n_best=2)
    best = dataclasses.replace(BRIEF, best_windows=2)
    items = [(LONG, WINDOWS), ("rot", WINDOWS), (TEXT * 20, brief), ("", brief), (LONG, best)]
    counts: list[int] = []
    together = translator.search_window(items, counts.append)
    assert together == [translator.search_window([item])[0] for item in items]
    assert sum(counts) == len(items)
    assert [bool(found.windows) for found in together] == [True, False, True, False, True]


@pytest.mark.parametrize("best_windows", [0, 3])
@pytest.mark.parametrize("n_best", [1, 2])
def test_a_stream_ends_with_the_same(
    translator: Translator, best_windows: int, n_best: int
) -> None:
    options = dataclasses.replace(WINDOWS, best_windows=best_windows, n_best=n_best)
    (expected,) = translator.search([LONG], options)
    *prefixes, last = translator.stream(LONG, options)
    assert last == expected
    assert all(isinstance(one, str) and expected.text.startswith(one) for one in prefixes)
    if best_windows:
        assert not prefixes  # which windows are used is known at the end
    assert len(expected.hypotheses) == n_best


def test_n_best_of_best_windows_are_the_best_combinations(translator: Translator) -> None:
    options = dataclasses.replace(WINDOWS, best_windows=2, n_best=2)
    (found,) = translator.search([LONG], options)
    used = stretches(LONG, [window for window in found.windows if window.used])
    parts = translator.search(used, dataclasses.replace(options, best_windows=0))
    best = found.hypotheses[0]
    assert best.score == pytest.approx(sum(one.hypotheses[0].score for one in parts))
    assert found.source_pieces == tuple(p for one in parts for p in one.source_pieces)
    assert [one.translation.strip() for one in found.hypotheses] != [best.translation.strip()] * 2


def test_mbr_chooses_in_each_round(translator: Translator) -> None:
    def shorter(candidate: str, reference: str) -> float:
        return -len(candidate)

    options = dataclasses.replace(WINDOWS, best_windows=2)
    (found,) = translator.mbr([LONG], options, shorter)
    used = stretches(LONG, [window for window in found.windows if window.used])
    parts = translator.mbr(used, dataclasses.replace(options, best_windows=0), shorter)
    assert found.text.strip() == joined([one.text for one in parts])
    assert len(translator.mbr([LONG], BRIEF, shorter)[0].windows) == len(found.windows)


@pytest.mark.parametrize("options", [WINDOWS, BRIEF], ids=["long", "brief"])
@pytest.mark.parametrize("more", [{}, {"best_windows": 4}, {"ratio": 0.02}], ids=str)
def test_an_extract_of_windows_is_one_of_the_text(
    translator: Translator, options: SearchOptions, more: dict[str, Any]
) -> None:
    text = " ".join(f"{word}{n}" for n in range(40) for word in ("Hund", "Mann", "Haus", "rot."))
    for extractive in ("words", "subsequence"):
        chosen = dataclasses.replace(
            options, extractive=extractive, min_length=9, max_length_b=20, **more
        )
        (found,) = translator.search([text], chosen)
        assert found.text.split()
        assert set(found.text.split()) <= set(text.split())
        if extractive == "subsequence":
            remaining = iter(text.split())
            assert all(word in remaining for word in found.text.split())


def test_an_empty_answer_is_made_of_empty_summaries(tiny_tokenizer: Tokenizer) -> None:
    silent = summarizer(tiny_tokenizer, end=1000)
    (found,) = silent.search([LONG])
    assert (found.text, found.source_pieces) == ("   \n", ())
    assert all(window.used for window in found.windows)
    assert list(silent.stream(LONG)) == [found]
    for more in ({"prefix": "der"}, {"min_words": 2}, {"constraints": ("rot",)}):
        with pytest.raises(RequestError, match="no translation meets all of them"):
            silent.search([LONG], dataclasses.replace(WINDOWS, **more))


def test_what_no_source_can_give_is_refused_before_any_search(translator: Translator) -> None:
    impossible = dataclasses.replace(WINDOWS, ratio=0.9)
    with pytest.raises(
        RequestError, match=r"^ratio: .* words are the least, .* Raise max_length_b"
    ):
        translator.stream(LONG, impossible)  # the call itself searches nothing


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"best_windows": 2},
            "best_windows: 2 is for texts read in windows, but on_long is refuse",
        ),
        ({"best_windows": -1}, "best_windows: -1 is out of range"),
        (
            {"on_long": "window"},
            "on_long: 'window' is not known. Use refuse or cut or windows or whole.",
        ),
        *(
            (
                {"on_long": "windows", "best_windows": 2} | {name: value},
                f"best_windows: 2 summaries make the answer, and how they share {name} is not",
            )
            for name, value in (
                ("min_words", 3),
                ("max_words", 3),
                ("ratio", 0.5),
                ("prefix", "der"),
                ("constraints", ("rot",)),
            )
        ),
    ],
)
def test_options_that_make_no_sense_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        SearchOptions(**options)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_model_that_cannot_read_what_it_writes(tiny_tokenizer: Tokenizer) -> None:
    profile = TextProfile(task="summarize", source_language="de", target_language="en")
    with pytest.raises(RequestError, match=r"^on_long: .* de \(German\) and writes en \(English\)"):
        summarizer(tiny_tokenizer, profile=profile)
    best = dataclasses.replace(WINDOWS, best_windows=2)
    assert summarizer(tiny_tokenizer, profile=profile, search=best).translate(LONG)


def test_other_texts_are_as_before(translator: Translator) -> None:
    refused = dataclasses.replace(WINDOWS, on_long="refuse")
    assert translator.search([TEXT[:30]]) == translator.search([TEXT[:30]], refused)
    with pytest.raises(InputTooLong):
        translator.translate(LONG, refused)


def test_words_come_from_the_text_through_the_summaries(translator: Translator) -> None:
    given = "  " + TEXT  # whose summaries fit after one round
    (found,) = translator.search([given], BRIEF)
    alone = dataclasses.replace(BRIEF, on_long="refuse")
    stretched = stretches(given, found.windows)
    summaries = [one.hypotheses[0] for one in translator.search(stretched, alone)]
    text = joined([one.translation for one in summaries])
    origins = [
        {(window.start + start, window.start + end) for start, end in places}
        for window, one in zip(found.windows, summaries, strict=True)
        for places in one.word_sources
    ]
    (last,) = translator.search([text], alone)
    assert last.text == found.text.strip()
    words = [place.span() for place in re.finditer(r"\S+", text)]

    expected = [
        sorted(set().union(*(origins[words.index(place)] for place in places)))
        for places in last.hypotheses[0].word_sources
    ]

    assert [list(places) for places in found.hypotheses[0].word_sources] == expected
    assert any(expected)


def test_words_of_the_best_windows_come_from_the_text(translator: Translator) -> None:
    options = dataclasses.replace(WINDOWS, best_windows=2)
    (found,) = translator.search([LONG], options)
    expected: list[list[tuple[int, int]]] = []
    for window in found.windows:
        if window.used:
            stretch = LONG[window.start : window.end]
            (one,) = translator.search([stretch], dataclasses.replace(WINDOWS, on_long="refuse"))
            expected += (
                [(window.start + start, window.start + end) for start, end in places]
                for places in one.hypotheses[0].word_sources
            )

    assert [list(places) for places in found.hypotheses[0].word_sources] == expected


@pytest.mark.parametrize("times", [6, 60])
def test_extracts_of_windows_come_from_where_they_stand(
    tiny_tokenizer: Tokenizer, times: int
) -> None:
    """Also if the summaries of the windows are read in windows."""
    search = dataclasses.replace(
        WINDOWS, max_length_a=0.6, max_length_b=0, min_length=6, extractive="subsequence"
    )
    translator = summarizer(tiny_tokenizer, search=search)
    text = TEXT * times
    (found,) = translator.search([text])
    best = found.hypotheses[0]
    assert len(best.translation.split()) >= 2
    for word, places in zip(best.translation.split(), best.word_sources, strict=True):
        assert word.strip(SIGNS) in {text[start:end].strip(SIGNS) for start, end in places}


@pytest.mark.parametrize("times", [3, 6, 60])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_extracts_that_no_break_spaces_part_come_from_where_they_stand(
    tiny_tokenizer: Tokenizer, times: int, seed: int
) -> None:
    """For an old checkpoint, whose sources are not normalised, they part no words."""
    words = (TEXT * times).split()
    parts = random.Random(seed).choices([" ", " ", "\u00a0", " \u00a0 "], k=len(words))
    text = "".join(word + part for word, part in zip(words, parts, strict=True)).strip()
    search = dataclasses.replace(
        WINDOWS, max_length_a=0.6, max_length_b=9, min_length=9, extractive="subsequence"
    )
    (found,) = summarizer(tiny_tokenizer, search=search).search([text])
    best = found.hypotheses[0]
    assert found.windows
    for word, places in zip(best.translation.split(" "), best.word_sources, strict=True):
        assert word.strip(SIGNS) in {text[start:end].strip(SIGNS) for start, end in places}
