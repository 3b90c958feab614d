"""Scores of a corpus: those of sacrebleu, to the last digit."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import sacrebleu
from sacrebleu.significance import PairedTest, _bootstrap_resample, estimate_ci

from training.metrics.names import Metric
from training.metrics.rouge import rouge_l, rouge_n
from training.validation.corpus_scores import Score, length_ratio, score_corpus

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
    scores = score_corpus(
        SYSTEM, [REFERENCES], tokenizer="13a", metrics=["bleu", "chrf"], bootstrap=bootstrap
    )
    pairs: list[tuple[Score, sacrebleu.BLEU | sacrebleu.CHRF]]
    pairs = [(scores["bleu"], sacrebleu.BLEU()), (scores["chrf"], sacrebleu.CHRF())]
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
    ratio = length_ratio(SYSTEM, [REFERENCES], tokenizer="13a", bootstrap=200)
    assert ratio.value == bleu.corpus_score(SYSTEM, [REFERENCES]).ratio
    statistics = bleu._extract_corpus_statistics(SYSTEM, [REFERENCES])
    draws: list[Any] = list(_bootstrap_resample(statistics, bleu, 200)[1])
    mean, half_width = estimate_ci(np.array([draw.ratio for draw in draws]))
    assert ratio.interval is not None
    assert ratio.interval.mean == pytest.approx(mean)
    assert ratio.interval.half_width == pytest.approx(half_width)
    assert ratio.signature == "nrefs:1|bs:200|seed:12345|case:mixed|tok:13a|ref:closest"
    alone = length_ratio(SYSTEM, [REFERENCES], tokenizer="13a", bootstrap=0)
    assert (alone.value, alone.interval) == (ratio.value, None)


def test_blank_references() -> None:
    everything: list[Metric] = ["bleu", "chrf", "rouge_1", "rouge_2", "rouge_l"]
    scores = score_corpus(["a", ""], [["", ""]], metrics=everything, tokenizer="13a", bootstrap=10)
    assert length_ratio(["a", ""], [["", ""]], tokenizer="13a", bootstrap=10).value == 0
    assert [scores[name].value for name in everything if name != "chrf"] == [0, 0, 0, 0]


def test_the_paired_bootstrap_is_that_of_sacrebleu() -> None:
    systems: list[tuple[str, Sequence[str]]] = [("one", BASELINE), ("other", SYSTEM)]
    metrics = {"BLEU": sacrebleu.BLEU(), "chrF2": sacrebleu.CHRF()}
    test = PairedTest(systems, metrics, [REFERENCES], test_type="bs", n_samples=250)
    expected: dict[str, Any] = dict(test()[1])
    both: list[Metric] = ["bleu", "chrf"]
    scores = score_corpus(
        SYSTEM, [REFERENCES], tokenizer="13a", metrics=both, bootstrap=250, baseline=BASELINE
    )
    assert scores["bleu"].p_value == expected["BLEU"][1].p_value
    assert scores["chrf"].p_value == expected["chrF2"][1].p_value
    assert scores["bleu"].p_value is not None
    assert scores["bleu"].p_value < 0.05
    alone = score_corpus(SYSTEM, [REFERENCES], tokenizer="13a", metrics=both, bootstrap=250)["bleu"]
    assert (scores["bleu"].value, scores["bleu"].interval) == (alone.value, alone.interval)


def test_a_system_does_not_differ_from_itself() -> None:
    everything: list[Metric] = ["bleu", "chrf", "rouge_1", "rouge_2", "rouge_l"]
    scores = score_corpus(
        SYSTEM,
        [REFERENCES],
        metrics=everything,
        tokenizer="13a",
        bootstrap=50,
        baseline=list(SYSTEM),
    )
    assert [score.p_value for score in scores.values()] == [1.0] * 5


class Rouge(sacrebleu.CHRF):
    """ROUGE-1 as sacrebleu would bootstrap it: a mean of sums over lines."""

    def __init__(self) -> None:
        super().__init__()
        self.num_refs = 1

    def _compute_score_from_stats(self, stats: list[int]) -> Any:
        return sacrebleu.metrics.chrf.CHRFScore(float(stats[0]) / stats[1], 6, 0, 2)

    def _extract_corpus_statistics(self, hypotheses: Any, references: Any) -> Any:
        pairs = zip(hypotheses, references[0], strict=True)
        return [[100 * rouge_n(one, other, 1), 1] for one, other in pairs]


def test_rouge_is_the_mean_of_the_lines_bootstrapped_as_sacrebleu_does() -> None:
    three: list[Metric] = ["rouge_1", "rouge_2", "rouge_l"]
    scores = score_corpus(
        SYSTEM, [REFERENCES], tokenizer="13a", metrics=three, bootstrap=250, baseline=BASELINE
    )
    pairs = list(zip(SYSTEM, REFERENCES, strict=True))
    means = [
        100 * np.mean([rouge_n(*pair, 1) for pair in pairs]),
        100 * np.mean([rouge_n(*pair, 2) for pair in pairs]),
        100 * np.mean([rouge_l(*pair) for pair in pairs]),
    ]
    assert [score.value for score in scores.values()] == pytest.approx(means)
    systems: list[tuple[str, Sequence[str]]] = [("one", BASELINE), ("other", SYSTEM)]
    test = PairedTest(systems, {"": Rouge()}, [REFERENCES], test_type="bs", n_samples=250)
    signatures, results = test()
    expected: Any = results[next(iter(signatures))][1]
    found = scores["rouge_1"]
    assert found.interval is not None
    assert found.interval.mean == pytest.approx(expected.mean, rel=1e-5)
    assert found.interval.half_width == pytest.approx(expected.ci, rel=1e-4)
    assert found.p_value == pytest.approx(expected.p_value, abs=1e-9)
    assert "bs:250|seed:12345" in found.signature


def test_several_references_as_sacrebleu_counts_them() -> None:
    references = [REFERENCES, noisy(SYSTEM, 5, 0.9), lines(6)]
    everything: list[Metric] = ["bleu", "chrf", "rouge_2"]
    scores = score_corpus(
        SYSTEM,
        references,
        metrics=everything,
        tokenizer="13a",
        bootstrap=100,
        baseline=BASELINE,
    )
    systems: list[tuple[str, Sequence[str]]] = [("one", BASELINE), ("other", SYSTEM)]
    metrics = {"BLEU": sacrebleu.BLEU(), "chrF2": sacrebleu.CHRF()}
    test = PairedTest(systems, metrics, references, test_type="bs", n_samples=100)
    expected: dict[str, Any] = dict(test()[1])
    for ours, theirs in (("bleu", "BLEU"), ("chrf", "chrF2")):
        assert scores[ours].value == expected[theirs][1].score
        assert scores[ours].p_value == expected[theirs][1].p_value
    rows = zip(SYSTEM, zip(*references, strict=True), strict=True)
    best = [max(rouge_n(line, right, 2) for right in three) for line, three in rows]
    assert scores["rouge_2"].value == pytest.approx(100 * np.mean(best))
    alone = score_corpus(SYSTEM, [REFERENCES], metrics=everything, tokenizer="13a", bootstrap=0)
    for name in everything:
        assert scores[name].signature.startswith("nrefs:3|bs:100|seed:12345|")
        assert name == "chrf" or scores[name].value > alone[name].value
    ratio = length_ratio(SYSTEM, references, tokenizer="13a", bootstrap=0)
    assert ratio.value == sacrebleu.corpus_bleu(SYSTEM, references).ratio
    assert ratio.signature == "nrefs:3|case:mixed|tok:13a|ref:closest"


def test_lengths_are_counted_in_the_words_of_the_tokenizer() -> None:
    ratio = length_ratio(["你好"], [["你好吗。"]], tokenizer="zh", bootstrap=0)
    assert ratio.value == 0.5
    assert "tok:zh" in ratio.signature


def test_equal_scores_of_different_outputs_do_not_differ() -> None:
    """For which sacrebleu by itself reports the lowest p that there is."""
    everything: list[Metric] = ["bleu", "rouge_l"]
    scores = score_corpus(
        ["x", "y"],
        [["a", "b"]],
        metrics=everything,
        tokenizer="13a",
        bootstrap=9,
        baseline=["z", ""],
    )
    assert [scores[name].p_value for name in everything] == [1, 1]
