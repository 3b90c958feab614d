"""Error rates of symbols, against rates counted by hand and intervals drawn by NumPy."""

import numpy as np
import pytest

from training.validation.symbol_scores import symbol_scores

OUTPUTS = [line.split() for line in ("K AE T", "D AO G", "", "B ER N")]
ACCEPTED = [
    [line.split() for line in lines]
    for lines in (
        ["K AE T"],
        ["D AA G", "D AA G Z Z"],  # one substitution, of 3
        ["AH0"],  # one deletion, of 1
        ["B ER", "B ER N"],  # right
    )
]
BASELINE = [line.split() for line in ("K AE", "D AA G", "AH0", "")]  # edits 1, 0, 0, 2


def test_rates_are_those_counted_by_hand() -> None:
    scores = symbol_scores(OUTPUTS, ACCEPTED, bootstrap=0)
    assert scores["symbol_error_rate"].value == pytest.approx(100 * 2 / (3 + 3 + 1 + 3))
    assert scores["sequence_error_rate"].value == pytest.approx(100 * 2 / 4)
    assert scores["symbol_error_rate"].interval is None


def test_of_equally_near_sequences_the_shortest_counts() -> None:
    scores = symbol_scores([["A"]], [[["A", "B"], []]], bootstrap=0)
    assert scores["symbol_error_rate"].value == 100  # one edit, no symbol: as of one
    scores = symbol_scores([["A", "B"]], [[["A", "B", "C"], ["A"]]], bootstrap=0)
    assert scores["symbol_error_rate"].value == 100


def test_intervals_and_p_are_those_of_the_draws() -> None:
    draws = np.random.default_rng(12345).choice(4, size=(500, 4))
    edits, symbols = np.array([0, 1, 1, 0]), np.array([3, 3, 1, 3])
    rates = 100 * edits[draws].sum(1) / symbols[draws].sum(1)
    score = symbol_scores(OUTPUTS, ACCEPTED, bootstrap=500, baseline=BASELINE)["symbol_error_rate"]
    assert score.interval is not None
    assert score.interval.mean == pytest.approx(rates.mean())
    low, high = np.sort(rates)[[12, 487]]
    assert score.interval.half_width == pytest.approx((high - low) / 2, rel=0.05)
    theirs, length = np.array([1, 0, 0, 2]), np.array([3, 3, 1, 2])
    differences = np.abs(rates - 100 * theirs[draws].sum(1) / length[draws].sum(1))
    observed = abs(20 - 100 * 3 / 9)
    beyond = (differences - differences.mean() > observed).sum()
    assert score.p_value == pytest.approx((beyond + 1) / 501)
    same = symbol_scores(OUTPUTS, ACCEPTED, bootstrap=500, baseline=OUTPUTS)
    assert same["sequence_error_rate"].p_value == 1
