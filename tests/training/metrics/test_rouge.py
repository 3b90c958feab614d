"""ROUGE by hand, by the example of the paper, and by exhaustive search."""

import itertools
import random

import pytest

from training.metrics.rouge import rouge_l, rouge_n, words


def f1(common: int, one: int, other: int) -> float:
    precision, recall = common / one, common / other
    return 2 * precision * recall / (precision + recall)


def test_words() -> None:
    assert words("Don't use GPT-4, über_alles!") == ["don", "t", "use", "gpt", "4", "über", "alles"]
    assert words(" .,$ _ ") == []
    assert words("用GPT-4翻译。") == ["用", "gpt", "4", "翻", "译"]
    assert words("カナ ไทย 2 ๑") == ["カ", "ナ", "ไ", "ท", "ย", "2", "๑"]
    assert words("회의는 열립니다") == ["회의는", "열립니다"]


def test_shared_words_and_pairs_by_hand() -> None:
    candidate, reference = "the cat the the sat", "The cat sat on the mat."
    assert rouge_n(candidate, reference, 1) == pytest.approx(f1(4, 5, 6))  # the twice, cat, sat
    assert rouge_n(candidate, reference, 2) == pytest.approx(f1(1, 4, 5))  # the cat
    assert rouge_n("a b", "b a", 1) == 1
    assert rouge_n("a b", "b a", 2) == 0


def test_nothing_to_share() -> None:
    for candidate, reference in (("", ""), ("", "a b"), ("a b", ""), ("a b", "c d"), ("a", "a.")):
        expected = float(candidate == "a")
        assert rouge_n(candidate, reference, 1) == rouge_l(candidate, reference) == expected
        assert rouge_n(candidate, reference, 2) == 0


def test_the_example_of_the_paper() -> None:
    """Lin 2004, section 3.1: S2 and S3 share a subsequence of 3 and of 2 with S1; S4 one of 2."""
    reference = "police killed the gunman"
    assert rouge_l("police kill the gunman", reference) == pytest.approx(0.75)
    assert rouge_l("the gunman kill police", reference) == pytest.approx(0.5)
    assert rouge_l("the gunman police killed", reference) == pytest.approx(0.5)
    assert rouge_n("police kill the gunman", reference, 2) == pytest.approx(1 / 3)
    assert rouge_n("the gunman kill police", reference, 2) == pytest.approx(1 / 3)


def test_the_longest_common_subsequence_is_that_of_an_exhaustive_search() -> None:
    rng = random.Random(1)
    for _ in range(60):
        one, other = (rng.choices("abc", k=rng.randint(1, 7)) for _ in range(2))
        shared = {
            chosen
            for length in range(len(one) + 1)
            for chosen in itertools.combinations(one, length)
        } & {
            chosen
            for length in range(len(other) + 1)
            for chosen in itertools.combinations(other, length)
        }
        longest = max(map(len, shared))
        expected = f1(longest, len(one), len(other)) if longest else 0.0
        assert rouge_l(" ".join(one), " ".join(other)) == pytest.approx(expected)
