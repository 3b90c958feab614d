"""Changes of sentences: counted and sorted as a plain loop over sacrebleu's scores does it."""

import random

import pytest
import sacrebleu

from model.decoding.confidence import QualityMetric
from training.metrics.rouge import rouge_l
from training.validation.sentence_changes import Change, compare_sentences

WORDS = ["the", "a", "dog", "man", "woman", "runs", "sleeps", "sees", "small", "house"]


def lines(seed: int) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randint(0, 6))) for _ in range(60)]


OURS, THEIRS, FIRST, SECOND = lines(1), lines(2), lines(3), lines(4)
OURS[:9] = THEIRS[:9]
OURS[20:30] = FIRST[20:30]


def best(metric: QualityMetric, text: str, right: list[str]) -> float:
    if metric == "rouge_l":
        return max(100 * rouge_l(text, one) for one in right)
    score: float = sacrebleu.sentence_chrf(text, right).score
    return score


@pytest.mark.parametrize("metric", ["chrf", "rouge_l"])
def test_the_greatest_changes_first(metric: QualityMetric) -> None:
    changes = compare_sentences(OURS, THEIRS, [FIRST, SECOND], None, metric=metric, show=7)
    rows = list(zip(OURS, THEIRS, FIRST, SECOND, strict=True))
    scored = [(best(metric, a, [c, d]), best(metric, b, [c, d])) for a, b, c, d in rows]
    differences = [ours - theirs for ours, theirs in scored]
    assert changes.better == sum(one > 0 for one in differences)
    assert changes.worse == sum(one < 0 for one in differences)
    assert changes.equal == sum(one == 0 for one in differences)
    assert changes.identical == sum(a == b for a, b, _, _ in rows) < changes.equal

    def check(found: list[Change], order: list[int]) -> None:
        assert [change.line - 1 for change in found] == order[:7]
        for change in found:
            row = change.line - 1
            assert (change.score, change.baseline_score) == pytest.approx(scored[row])
            assert (change.output, change.baseline_output) == (OURS[row], THEIRS[row])
            assert change.references == [FIRST[row], SECOND[row]]

    check(changes.gains, sorted(range(60), key=lambda row: -differences[row]))
    check(changes.losses, sorted(range(60), key=lambda row: differences[row]))


def test_no_more_than_there_are() -> None:
    changes = compare_sentences(
        ["a dog", "b", "c"], ["a", "b", "c d"], [["a dog", "b", "c"]], None, metric="chrf", show=9
    )
    assert [change.line for change in changes.gains] == [1, 3]
    assert changes.losses == []
    assert (changes.better, changes.worse, changes.equal, changes.identical) == (2, 0, 1, 1)
    assert "lose" not in changes.describe()


def test_sources_are_shown_if_known_and_control_characters_escaped() -> None:
    texts = (["a dog"], ["a\x1b"], [["a dog"]])
    known = compare_sentences(*texts, ["ein Hund"], metric="chrf", show=1).describe()
    assert "  source     ein Hund\n  reference  a dog\n  baseline   a\\x1b\n" in known
    assert "source" not in compare_sentences(*texts, None, metric="chrf", show=1).describe()
