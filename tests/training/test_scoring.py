"""Scores of a corpus: those of sacrebleu, to the last digit."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import sacrebleu
from sacrebleu.significance import PairedTest, _bootstrap_resample, estimate_ci

from training.scoring import Score, score_corpus

WORDS = ["the", "a", "dog", "man", "woman", "runs", "sleeps", "sees", "small", "house", "."]


def lines(seed: int, count: int = 40) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randint(0, 9))) for _ in range(count)]


def noisy(references: list[str], seed: int, kept: float) -> list[str]:
    rng = random.Random(seed)
    return [
        " ".join(word if rng.random() < kept else rng.choice(WORDS) for word in line.split())
        for line in references
    ]


REFERENCES = lines(1)
SYSTEM, BASELINE = noisy(REFERENCES, 2, 0.9), noisy(REFERENCES, 3, 0.6)
SYSTEM[3] = ""


@pytest.mark.parametrize("bootstrap", [0, 2, 300])
def test_scores_and_intervals_are_those_of_sacrebleu(bootstrap: int) -> None:
    scores = score_corpus(SYSTEM, REFERENCES, bootstrap=bootstrap)
    pairs: list[tuple[Score, sacrebleu.BLEU | sacrebleu.CHRF]]
    pairs = [(scores.bleu, sacrebleu.BLEU()), (scores.chrf, sacrebleu.CHRF())]
    for score, metric in pairs:
        expected = metric.corpus_score(SYSTEM, [REFERENCES], n_bootstrap=max(bootstrap, 1))
        assert score.value == expected.score
        assert score.signature == str(metric.get_signature())
        assert score.p_value is None
        if not bootstrap:
            assert score.interval is None
            continue
        assert score.interval is not None
        assert score.interval.mean == pytest.approx(expected._mean)
        assert score.interval.half_width == pytest.approx(expected._ci)
        assert f"bs:{bootstrap}|seed:12345" in score.signature


def test_length_ratio_and_its_interval_on_the_same_draws() -> None:
    bleu = sacrebleu.BLEU()
    ratio = score_corpus(SYSTEM, REFERENCES, bootstrap=200).length_ratio
    assert ratio.value == bleu.corpus_score(SYSTEM, [REFERENCES]).ratio
    statistics = bleu._extract_corpus_statistics(SYSTEM, [REFERENCES])
    draws: list[Any] = list(_bootstrap_resample(statistics, bleu, 200)[1])
    mean, half_width = estimate_ci(np.array([draw.ratio for draw in draws]))
    assert ratio.interval is not None
    assert ratio.interval.mean == pytest.approx(mean)
    assert ratio.interval.half_width == pytest.approx(half_width)
    assert score_corpus(SYSTEM, REFERENCES, bootstrap=0).length_ratio.interval is None


def test_blank_references() -> None:
    scores = score_corpus(["a", ""], ["", ""], bootstrap=10)
    assert scores.length_ratio.value == 0
    assert scores.bleu.value == 0


def test_the_paired_bootstrap_is_that_of_sacrebleu() -> None:
    systems: list[tuple[str, Sequence[str]]] = [("one", BASELINE), ("other", SYSTEM)]
    metrics = {"BLEU": sacrebleu.BLEU(), "chrF2": sacrebleu.CHRF()}
    test = PairedTest(systems, metrics, [REFERENCES], test_type="bs", n_samples=250)
    expected: dict[str, Any] = dict(test()[1])
    scores = score_corpus(SYSTEM, REFERENCES, bootstrap=250, baseline=BASELINE)
    assert scores.bleu.p_value == expected["BLEU"][1].p_value
    assert scores.chrf.p_value == expected["chrF2"][1].p_value
    assert scores.bleu.p_value is not None
    assert scores.bleu.p_value < 0.05
    assert scores.length_ratio.p_value is None
    alone = score_corpus(SYSTEM, REFERENCES, bootstrap=250)
    assert (scores.bleu.value, scores.bleu.interval) == (alone.bleu.value, alone.bleu.interval)


def test_a_system_does_not_differ_from_itself() -> None:
    scores = score_corpus(SYSTEM, REFERENCES, bootstrap=50, baseline=list(SYSTEM))
    assert scores.bleu.p_value == scores.chrf.p_value == 1.0
