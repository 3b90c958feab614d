"""Taking a text apart and putting translations together, without any network."""

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.decoding.beam_search import Hypothesis
from model.errors import RequestError
from model.text.profile import TextProfile
from model.text.segmentation import Plan, Segmenter
from model.text.tokenizer import Tokenizer
from model.translation.assemble import assemble, best_combinations, list_of_texts

LIMIT = 16
SENTENCES = "der Hund läuft. das Haus ist klein! eine Frau schläft unter der Straße. 10 Hunde."


def cut(tokenizer: Tokenizer, text: str) -> Plan:
    return Segmenter(tokenizer, LIMIT, TextProfile(source_language="de")).cut(text)


def hypothesis(score: float, pieces: tuple[int, ...], weights: list[list[float]]) -> Hypothesis:
    return Hypothesis(
        pieces=pieces,
        log_prob=2 * score,
        token_log_probs=tuple(-0.5 - t for t in range(len(weights))),
        score=score,
        truncated=score < -5,
        weights=torch.tensor(weights),
    )


def scored(score: float) -> Hypothesis:
    return hypothesis(score, (), [[1.0]])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("Hund", r"texts: str was given, .* Use \[text\]\."),
        (None, r"texts: NoneType was given, .* Use \[text\]\."),
        (["Hund", None], r"texts\[1\]: a text must be a str, but this is NoneType\."),
        ([b"Hund"], r"texts\[0\]: a text must be a str, but this is bytes\."),
        (
            ["", "a\udce4"],
            r"texts\[1\]: character 2 is half of a surrogate pair, .* Give whole characters",
        ),
    ],
)
def test_what_are_no_texts(given: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        list_of_texts(given)


def test_texts_are_read_once() -> None:
    assert list_of_texts(iter(["Hund", "😀"])) == ["Hund", "😀"]  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", " ", "\t \u3000", "\r", "\u2028\x85\v"])
def test_a_blank_text_has_nothing_to_search_and_stays(tiny_tokenizer: Tokenizer, text: str) -> None:
    plan = cut(tiny_tokenizer, text)
    assert plan.sources == []
    translation = assemble(plan, [], 3, tiny_tokenizer)
    assert translation.text == text
    (only,) = translation.hypotheses
    assert (only.score, only.log_prob, only.pieces, only.alignment) == (0, 0, (), ())
    assert not only.truncated
    assert only.weights is None


def test_white_space_at_the_ends_is_not_searched(tiny_tokenizer: Tokenizer) -> None:
    plan = cut(tiny_tokenizer, "\t Hund  ")
    src = tuple(tiny_tokenizer.encode("Hund"))
    assert plan.sources == [src]
    found = [[hypothesis(-1, src, [[1.0] * (len(src) + 1)] * (len(src) + 1))]]
    assert assemble(plan, found, 1, tiny_tokenizer).text == "\t Hund  "


def test_alignment_leaves_out_both_ends_of_sentence(tiny_tokenizer: Tokenizer) -> None:
    plan = cut(tiny_tokenizer, "Hund rot")
    (src,) = plan.sources
    rows = torch.zeros(3, len(src) + 1)
    rows[0, 1], rows[0, -1] = 0.3, 0.7  # most of it on EOS: the best real piece counts
    rows[1, 0] = 1.0
    rows[2, 1] = 1.0  # of the target's EOS
    found = [[hypothesis(-1, src[:2], rows.tolist())]]
    (only,) = assemble(plan, found, 1, tiny_tokenizer).hypotheses
    assert only.alignment == (1, 0)
    assert only.token_log_probs == (-0.5, -1.5)  # that of EOS is left out
    assert only.weights is not None
    assert only.weights.equal(rows)


def test_whoever_wants_no_alignment_gets_none_and_else_the_same(tiny_tokenizer: Tokenizer) -> None:
    plan = cut(tiny_tokenizer, "Hund rot")
    (src,) = plan.sources
    found = [[hypothesis(-1, src[:2], torch.ones(3, len(src) + 1).tolist())]]
    full, bare = (assemble(plan, found, 1, tiny_tokenizer, aligned=a) for a in (True, False))
    (aligned,), (plain,) = full.hypotheses, bare.hypotheses
    assert (len(aligned.alignment), plain.alignment, plain.word_alignment) == (2, (), ())
    assert aligned.word_sources == (((0, 4), (5, 8)),)
    assert replace(aligned, alignment=(), word_alignment=(), word_sources=()) == plain


def test_parts_are_joined_with_their_separators_sums_and_offsets(
    tiny_tokenizer: Tokenizer,
) -> None:
    plan = cut(tiny_tokenizer, "  " + SENTENCES + "\n")
    sources = plan.sources
    assert len(sources) >= 3
    found = []
    for number, src in enumerate(sources):
        weights = torch.zeros(2, len(src) + 1)
        weights[0, len(src) - 1] = 1.0
        found.append([hypothesis(-1.5 - 4 * number, (src[0],), weights.tolist())])
    translation = assemble(plan, found, 1, tiny_tokenizer)

    ends = list(itertools.accumulate(len(src) for src in sources))
    (only,) = translation.hypotheses
    assert only.alignment == tuple(end - 1 for end in ends)
    assert len(translation.source_pieces) == ends[-1]
    assert translation.source_pieces[: ends[0]] == tuple(map(tiny_tokenizer.piece, sources[0]))
    assert only.score == sum(one[0].score for one in found)
    assert only.log_prob == sum(one[0].log_prob for one in found)
    assert only.token_log_probs == (-0.5,) * len(sources)
    words = [len(tiny_tokenizer.decode(src).split()) for src in sources]
    assert only.word_alignment == tuple(end - 1 for end in itertools.accumulate(words))
    assert only.truncated, "one part was"
    assert only.weights is None
    assert only.translation.startswith("  ")
    assert only.translation.endswith("\n")
    assert (
        only.translation.split()
        == "  ".join(tiny_tokenizer.decode(src[:1]) for src in sources).split()
    )


def test_translations_of_one_text_differ(tiny_tokenizer: Tokenizer) -> None:
    """Spelt in other pieces it is the same text, and only the best of them stays."""
    plan = cut(tiny_tokenizer, "rot")
    width = len(plan.sources[0]) + 1
    spelt = [tuple(i for c in text for i in tiny_tokenizer.byte_ids(c)) for text in (" Hund", " a")]
    whole = tuple(tiny_tokenizer.encode("Hund"))
    rest = tuple(tiny_tokenizer.encode("Mann"))
    outputs = [(-1.0, whole), (-1.5, spelt[0]), (-2.0, rest), (-2.5, spelt[1])]
    found = [hypothesis(s, y, [[1.0] * width] * (len(y) + 1)) for s, y in outputs]
    translation = assemble(plan, [found], 3, tiny_tokenizer)
    assert [h.translation for h in translation.hypotheses] == ["Hund", "Mann", "a"]
    assert [h.score for h in translation.hypotheses] == [-1.0, -2.0, -2.5]


def test_joined_texts_differ_too(tiny_tokenizer: Tokenizer) -> None:
    """Parts "a" or "a b" and "b c" or "c" give "a b c" twice: the better one stays."""
    plan = Plan(((5, 6), " ", (7,)))
    parts = []
    for texts, width in ((("a", "a b"), 3), (("b c", "c"), 2)):
        outputs = [tuple(tiny_tokenizer.encode(text)) for text in texts]
        parts.append(
            [
                hypothesis(-1.0 - place, y, [[1.0] * width] * (len(y) + 1))
                for place, y in enumerate(outputs)
            ]
        )
    translation = assemble(plan, parts, 3, tiny_tokenizer)
    found = [(h.translation, h.score) for h in translation.hypotheses]
    assert found[0] == ("a b c", -2.0)
    assert sorted(found[1:]) == [("a b b c", -3.0), ("a c", -3.0)]


def test_a_part_without_any_translation_is_an_error(tiny_tokenizer: Tokenizer) -> None:
    with pytest.raises(
        RequestError, match=r"constraints, avoid, min_words: no translation meets all"
    ):
        assemble(Plan(((5, 6),)), [()], 1, tiny_tokenizer)


numbers = st.integers(-9, 0).map(float)  # sums of whole numbers are exact, and ties are frequent


@given(st.lists(st.lists(numbers, min_size=1, max_size=4), max_size=4), st.integers(1, 6))
def test_best_combinations_are_those_of_all(parts: list[list[float]], count: int) -> None:
    lists = [[scored(x) for x in sorted(part, reverse=True)] for part in parts]
    every = sorted(
        (sum(h.score for h in choice) for choice in itertools.product(*lists)), reverse=True
    )
    found = best_combinations(lists, count)
    assert [sum(h.score for h in choice) for choice in found] == every[:count]
    assert len({tuple(map(id, choice)) for choice in found}) == len(found)


def test_the_mean_is_over_all_pieces_and_ends_of_all_parts(tiny_tokenizer: Tokenizer) -> None:
    """Two lines of 3 pieces and 1 piece with their ends: (2 * -4.5 + 2 * -1.5) / (4 + 2)."""
    plan = cut(tiny_tokenizer, "der Hund läuft.\n10 Hunde.")
    found = [
        [hypothesis(-4.5, (5, 6, 7), [[1.0]] * 4)],
        [hypothesis(-1.5, (5,), [[1.0]] * 2)],
    ]
    (one,) = assemble(plan, found, 1, tiny_tokenizer, aligned=False).hypotheses
    assert one.mean_log_prob == -2.0


def test_the_mean_of_nothing_is_0(tiny_tokenizer: Tokenizer) -> None:
    (one,) = assemble(cut(tiny_tokenizer, " "), [], 1, tiny_tokenizer).hypotheses
    assert one.mean_log_prob == 0
