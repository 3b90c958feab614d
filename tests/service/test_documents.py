"""Documents: nothing of a text is lost, whatever it holds, and parts are joined in their order."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.translation import TextHypothesis, Translation
from service.documents import LONG, Document, Sentence, cut, has_words, is_long, whole

LINE = "Das ist ein Satz mit z. B. einer Abkürzung. "
CHARACTERS = "aBß.!?。 \u00a0\u2009\t\n\r\x0b\x85\u2028\x00\"”(»1…\U0001f600\u200d\u0301'"
WORDS = ["z. B. ", "Dr. X", "J. ", "A.\u00a0B. ", "“Ja.” ", "\n\n"]
AWKWARD = st.text(st.sampled_from(CHARACTERS)) | st.lists(st.sampled_from(WORDS)).map("".join)


def text_of(document: Document) -> str:
    return "".join(p.text if isinstance(p, Sentence) else p for p in document.parts)


def translation(*texts: str, score: float = -1.0) -> Translation:
    """Hypotheses of one piece each, each scored a little lower than the one before."""
    return Translation(
        hypotheses=tuple(
            TextHypothesis(
                translation=text,
                score=score - number,
                log_prob=2 * (score - number),
                pieces=(f"\u2581{text}",),
                alignment=(1,),
                token_log_probs=(score,),
                word_alignment=(0,),
                truncated=text == "cut",
                weights=None,
            )
            for number, text in enumerate(texts)
        ),
        source_pieces=("\u2581x", "y"),
    )


@settings(max_examples=300)
@given(AWKWARD, st.sampled_from(["de", "en", "ja", "fr", None, "qq"]))
def test_cutting_loses_nothing(text: str, language: str | None) -> None:
    for long in (text, text + LINE * 6 + text):
        assert text_of(cut(long, language)) == long


@given(st.text())
def test_cutting_loses_nothing_of_any_text(text: str) -> None:
    assert text_of(cut(text + "\n" + text * 50, "de")) == text + "\n" + text * 50


def test_a_line_that_is_long_is_cut_into_sentences() -> None:
    document = cut(LINE * 6, "de")
    assert document.sentences == [LINE.strip()] * 6
    assert document.parts[1::2] == (" ",) * 6
    assert cut("a. " * 3, "de").sentences == ["a. " * 3]  # short: as it is


def test_lines_are_kept_apart() -> None:
    assert cut(" Eins zwei\n\n drei.\r\n\tvier ", "de").parts == (
        " ",
        Sentence("Eins zwei"),
        "\n",
        "\n",
        " ",
        Sentence("drei."),
        "\r\n",
        "\t",
        Sentence("vier"),
        " ",
    )


def test_what_makes_the_library_panic_or_lose_text_is_cut_all_the_same() -> None:
    for text in (("Dr.\u00a0B. sieht. " * 30), (LINE * 20 + "\n\n") * 50):
        document = cut(text, "de")
        assert text_of(document) == text
        assert len(document.sentences) >= 30


def test_a_large_document_is_cut_in_time_that_grows_with_it() -> None:
    text = (LINE * 20 + "\n\n") * 800
    assert len(cut(text, "de").sentences) == 16_000
    assert len(cut("a" * 800_000, "de").sentences) == 1
    assert text_of(cut('("' * 400_000, "de")) == '("' * 400_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", False),
        (" \n\u3000", False),
        ("\U0001f600", False),
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f \U0001f44d\U0001f3fd", False),
        ("1\ufe0f\u20e3 #\u20e3", False),
        ("\U0001f1e9\U0001f1ea", False),
        ("1", True),
        ("a \U0001f600", True),
        ("...", True),
        ("日本語", True),
    ],
)
def test_what_has_words(text: str, words: bool) -> None:
    assert has_words(text) == words
    assert bool(whole(text).sentences) == words


def test_long_means_many_characters_or_several_lines() -> None:
    assert [is_long(t) for t in ("a" * LONG, "a" * (LONG + 1), "a\n", "a\nb")] == [
        False,
        True,
        False,
        True,
    ]


def test_parts_are_joined_in_their_order() -> None:
    document = cut("eins\n\n\U0001f600 \nzwei", "de")
    found = [translation("one"), translation("cut")]
    joined = document.join(found, 1)
    (best,) = joined.hypotheses
    assert best.translation == "one\n\n\U0001f600 \ncut"
    assert (best.score, best.log_prob, best.truncated) == (-2.0, -4.0, True)
    assert best.pieces == ("\u2581one", "\u2581cut")
    assert best.alignment == (1, 3)
    assert best.word_alignment == (0, 1)
    assert best.token_log_probs == (-1.0, -1.0)
    assert joined.source_pieces == ("\u2581x", "y") * 2
    assert document.beginning(found[:1]) == "one\n\n\U0001f600 \n"


def test_a_text_without_words_is_joined_to_itself() -> None:
    joined = whole("\U0001f600 ").join([], 3)
    assert joined.text == "\U0001f600 "
    assert (joined.hypotheses[0].score, joined.source_pieces) == (0.0, ())


@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=4),
    st.integers(1, 6),
    st.lists(st.floats(-5, -1), min_size=4, max_size=4),
)
def test_the_best_combinations_are_found(sizes: list[int], n_best: int, at: list[float]) -> None:
    document = cut("\n".join("abcd"[: len(sizes)]), "de")
    if len(sizes) == 1:
        document = Document((Sentence("a"), " "))
    found = [
        translation(*(f"{i}{j}" for j in range(size)), score=at[i]) for i, size in enumerate(sizes)
    ]
    every = itertools.product(*(each.hypotheses for each in found))
    scores = sorted((sum(h.score for h in chosen) for chosen in every), reverse=True)
    joined = document.join(found, n_best)
    assert [h.score for h in joined.hypotheses] == pytest.approx(scores[:n_best])
    assert len({h.translation for h in joined.hypotheses}) == len(joined.hypotheses)


def test_ten_thousand_sentences_are_joined() -> None:
    document = cut("a\n" * 10_000, "de")
    joined = document.join([translation("x", "y")] * 10_000, 4)
    assert joined.text == "x\n" * 10_000
    assert len(joined.hypotheses) == 4
