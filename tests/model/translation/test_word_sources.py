"""Which words of the text each word of a translation comes from, by hand and end to end."""

import random
import re
from pathlib import Path
from typing import Literal

import pytest
import torch

from model.checkpoint.checkpoint import load_checkpoint
from model.decoding.options import SearchOptions
from model.decoding.precision.precision import resolve_precision
from model.text.profile import TextProfile
from model.text.segmentation import Segmenter
from model.text.tokenizer import Tokenizer
from model.translation.assemble import Translation, assemble
from model.translation.word_sources import WordSources, attended_words, pointed_words
from model.translator import Translator
from tests.model.translation.test_assemble import hypothesis

SOURCE = ["\u2581der", "\u2581Hu", "nd", "\u2581schläft", "\u2581in", "\u2581Rom", "."]
MESSY = (
    "\U0001f600 der\u00a0Hund läuft.\r\n- \u200bdas Ha\u00adus  ist rot. 10\ufeff Mann!"
    "\n\n\U0001f680"
)


def attended(rows: list[list[float]], target: list[str]) -> list[tuple[int, ...]]:
    return attended_words(torch.tensor(rows), SOURCE, target)


def test_the_word_with_most_attention_and_those_with_a_quarter() -> None:
    target = ["\u2581the", "\u2581do", "g", "\u2581sleeps"]
    rows = [[0.3, 0.1, 0.1, 0.1, 0.2], [0.25, 0.5, 0.24, 0.0, 0.01], [0.1, 0.15, 0.2, 0.2, 0.2]]
    assert attended(rows, target) == [(0,), (0, 1), (2,)]


def test_a_word_of_the_source_comes_from_where_it_stands() -> None:
    rows = [[0.0, 0.0, 0.4, 0.3, 0.3], [0.1, 0.1, 0.4, 0.2, 0.2], [0.4, 0.6, 0.0, 0.0, 0.0]]
    # Even if most of its attention is elsewhere, as that of the second is.
    target = ["\u2581Ro", "m.", "\u2581Rom", ".", "\u2581Hund"]
    assert attended(rows, target) == [(4,), (4,), (1,)]


def test_a_word_that_points_at_places_comes_from_those_with_a_quarter_of_its_pieces() -> None:
    target = ["\u2581the", "\u2581d", "o", "g", "g", "y", "\u2581in"]
    alignment = (0, 1, 2, 3, 3, 0, 5)  # a doggy: twice word 1, twice word 2, and once word 0
    assert pointed_words(alignment, SOURCE, target) == [(0,), (1, 2), (3,)]
    assert pointed_words((3, 4), SOURCE, ["\u2581i", "n"]) == [(3,)]
    twice = ["\u2581in", *SOURCE]
    assert pointed_words((2,), twice, ["\u2581in"]) == [(0,)]  # of two as far the first
    assert pointed_words((5, 0), twice, ["\u2581i", "n"]) == [(0, 4)]


def test_nothing_comes_from_nowhere() -> None:
    assert attended_words(torch.zeros(0, 3), SOURCE[:4], []) == []
    assert pointed_words((), SOURCE, []) == []


def test_what_is_kept_comes_from_itself_and_joined_words_from_all() -> None:
    words = WordSources()
    words.keep("- \U0001f44d", [((0, 1),), ((2, 3),)])
    words.add([((3, 6), (9, 12)), ((3, 6),)], "a dog")
    words.add([((13, 14),)], "x")
    words.keep("!\n", [((14, 15),)])
    words.add([], "")
    words.add([((16, 20),)], "cat")
    assert words.words == [
        ((0, 1),),
        ((2, 3), (3, 6), (9, 12)),
        ((3, 6), (13, 14), (14, 15)),
        ((16, 20),),
    ]


def test_places_reach_over_the_parts_of_the_text(tiny_tokenizer: Tokenizer) -> None:
    plan = Segmenter(tiny_tokenizer, 16, TextProfile(source_language="de", normalization=1)).cut(
        MESSY
    )
    found = []
    for src in plan.sources:  # each is translated by its last piece, which points at itself
        weights = torch.zeros(2, len(src) + 1)
        weights[0, len(src) - 1] = 1.0
        found.append([hypothesis(-1, (src[-1],), weights.tolist())])
    (only,) = assemble(plan, found, 1, tiny_tokenizer).hypotheses
    assert len(only.word_sources) == len(only.word_alignment)
    words = [[MESSY[start:end] for start, end in places] for places in only.word_sources]
    assert words == [["\U0001f600"], ["läuft."], ["-"], ["rot."], ["Mann!"], ["\U0001f680"]]


def check(text: str, found: Translation) -> None:
    for each in found.hypotheses:
        assert len(each.word_sources) == len(each.word_alignment)
        for places, best in zip(each.word_sources, each.word_alignment, strict=True):
            assert 1 <= len(places) <= 8
            assert list(places) == sorted(set(places))
            words = [match.span() for match in re.finditer(r"\S+", text)]
            # The word with most attention is among them, unless they are copies.
            own = {text[start:end] for start, end in places}
            held = [i for i, (a, b) in enumerate(words) for s, e in places if a <= s < e <= b]
            assert best in held or own & set(each.translation.split())
            assert len(held) == len(places), "each place is within a word"


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
@pytest.mark.parametrize("task", ["translate", "summarize"])
def test_places_of_a_real_search(
    tiny_checkpoint: Path, precision: Literal["fp32", "bf16", "int8"], task: str
) -> None:
    rng = random.Random(3)
    texts = [
        "der Hund läuft.",
        "\U0001f600 der\tHund  \u200bsieht\u00a0rot.\r\n\r\n- Haus",
        "猫は家。",
    ]
    texts += [" ".join(rng.choices(["Hund", "Frau.", "\U0001f44d", "das"], k=9)) for _ in range(3)]
    checkpoint = load_checkpoint(tiny_checkpoint)
    cpu = torch.device("cpu")
    translator = Translator(
        checkpoint.network,
        checkpoint.tokenizer,
        checkpoint.search,
        device=cpu,
        dtype=resolve_precision(precision, cpu, checkpoint.network),
        profile=TextProfile(task=task, source_language="de", normalization=1),
    )
    options = SearchOptions(beam_size=2, n_best=2, max_length_b=8, on_long="cut")
    for text, found in zip(texts, translator.search(texts, options), strict=True):
        check(text, found)
