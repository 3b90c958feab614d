"""Minimum Bayes risk by hand."""

import builtins
import sys
from collections.abc import Callable
from typing import Any

import pytest
import sacrebleu

from model.errors import RequestError
from model.translation.mbr import chrf, expected_utilities, mbr_order


def common(candidate: str, reference: str) -> float:
    """The share of the reference's words that the candidate has."""
    return sum(word in candidate.split() for word in reference.split()) / len(reference.split())


def test_by_hand() -> None:
    candidates = ["a b", "a c", "d e f a"]
    # a b: (1 + 1/2 + 1/4) / 3.  a c: (1/2 + 1 + 1/4) / 3.  d e f a: (1/2 + 1/2 + 1) / 3.
    assert expected_utilities(candidates, common) == pytest.approx([1.75 / 3, 1.75 / 3, 2 / 3])
    assert mbr_order(candidates, common) == [2, 0, 1]


def test_equal_candidates_count_as_often_as_they_were_drawn() -> None:
    # a b: (1 + 1 + 1/4) / 3.  d e f a: (1/2 + 1/2 + 1) / 3.
    assert mbr_order(["d e f a", "a b", "a b"], common) == [1, 2, 0]


def test_each_pair_is_compared_once() -> None:
    calls: list[tuple[str, str]] = []

    def utility(candidate: str, reference: str) -> float:
        calls.append((candidate, reference))
        return 0.0

    assert mbr_order(["a", "b", "a", "a"], utility) == [0, 1, 2, 3]
    assert sorted(calls) == [("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")]


def test_chrf_is_that_of_sacrebleu() -> None:
    utility = chrf()
    for candidate, reference in (("der Hund", "der Hund"), ("ein Hund", "der Hund schläft")):
        expected = sacrebleu.sentence_chrf(candidate, [reference]).score
        assert utility(candidate, reference) == pytest.approx(expected)


def test_without_sacrebleu_the_message_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[..., Any] = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name.startswith("sacrebleu"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.delitem(sys.modules, "sacrebleu.metrics.chrf")
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(RequestError, match=r"mbr: chrF needs sacrebleu.* pip install sacrebleu"):
        chrf()
