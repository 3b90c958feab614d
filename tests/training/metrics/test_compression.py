"""Sentence compressions, measured by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.metrics.compression import compression, is_subsequence


def test_figures_by_hand() -> None:
    """Kept: "a cat here" of five words; in common with the reference: "a", "cat"."""
    found = compression(["A big cat sat here."], ["A cat, here"], ["a cat sat quietly."])
    assert found.token_f1 == pytest.approx(100 * 2 * 2 / (3 + 4))
    assert found.ratio == 3 / 5
    assert found.reference_ratio == 4 / 5
    assert found.subsequences == 100.0
    assert found.reference_subsequences == 0.0  # "quietly" is none of the source's


def test_f1_is_the_mean_over_lines_and_ratios_are_over_all_words() -> None:
    found = compression(["a b c d e f", "a b"], ["a b c", "b a"], ["a b c", "c"])
    assert found.token_f1 == 50.0
    assert found.ratio == 5 / 8
    assert found.reference_ratio == 4 / 8
    assert found.subsequences == 50.0
    assert found.reference_subsequences == 50.0


def test_a_word_counts_as_often_as_it_occurs() -> None:
    found = compression(["to be or not to be"], ["to to to"], ["to be to be"])
    assert found.token_f1 == pytest.approx(100 * 2 * 2 / (3 + 4))
    assert found.subsequences == 0.0


def test_lines_without_words() -> None:
    found = compression(["", "a"], ["", ""], ["", "a"])
    assert found.token_f1 == 50.0
    assert found.ratio == 0.0
    assert found.subsequences == 100.0
    assert compression(["..."], ["a"], ["b"]).ratio == 0.0


def test_it_is_one_line() -> None:
    assert compression(["a b c"], ["a c"], ["b a"]).describe() == (
        "token F1 50.0; 0.67 of the words of the source (reference 0.67); outputs that are "
        "subsequences: 100.0 % (reference 0.0 %)"
    )


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans())), st.text("abc", max_size=3))
def test_what_is_left_of_a_sentence_is_a_subsequence(
    marked: list[tuple[str, bool]], other: str
) -> None:
    source = [word for word, _ in marked]
    assert is_subsequence([word for word, kept in marked if kept], source)
    by_hand = other == "" or any(
        source[a] == other[0] and is_subsequence(list(other[1:]), source[a + 1 :])
        for a in range(len(source))
    )
    assert is_subsequence(list(other), source) == by_hand
