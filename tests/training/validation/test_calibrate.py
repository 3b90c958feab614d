"""The table of the confidence against isotonic regression by its definition, and by hand."""

import random

import pytest

from training.validation.calibrate import BINS, IN_BIN, calibrate, expected_calibration_error


def isotonic(means: list[float], weights: list[int]) -> list[float]:
    """Weighted isotonic regression by the min-max formula (Barlow et al. 1972, theorem 1.4)."""

    def mean(start: int, end: int) -> float:
        total = sum(m * w for m, w in zip(means[start:end], weights[start:end], strict=True))
        return total / sum(weights[start:end])

    count = len(means)
    return [
        max(min(mean(a, b) for b in range(i + 1, count + 1)) for a in range(i + 1))
        for i in range(count)
    ]


@pytest.mark.parametrize("seed", range(20))
def test_the_confidence_is_the_isotonic_regression_of_bins_of_equal_count(seed: int) -> None:
    rng = random.Random(seed)
    bins = rng.randint(2, 6)
    scores = sorted(rng.uniform(-4, 0) for _ in range(bins * IN_BIN))
    qualities = [min(1.0, max(0.0, 0.8 + s / 5 + rng.gauss(0, 0.4))) for s in scores]
    cut = range(0, len(scores), IN_BIN)
    means = [sum(qualities[i : i + IN_BIN]) / IN_BIN for i in cut]
    expected = isotonic(means, [IN_BIN] * bins)

    shuffled = rng.sample(list(zip(scores, qualities, strict=True)), len(scores))
    table = calibrate([s for s, _ in shuffled], [q for _, q in shuffled], "chrf")

    for number, start in enumerate(cut):
        for score in scores[start : start + IN_BIN]:
            assert table.confidence(score) == pytest.approx(expected[number])
    assert sum(table.sentences) == len(scores)
    assert list(table.quality) == sorted(set(table.quality))


def test_falling_quality_joins_all_bins_by_their_weights() -> None:
    scores = [-3.0] * 60 + [-1.0] * 20
    table = calibrate(scores, [0.6] * 60 + [0.2] * 20, "rouge_l")
    assert (table.metric, table.bounds, table.sentences) == ("rouge_l", (), (80,))
    assert list(table.quality) == pytest.approx([0.5])


def test_equal_scores_are_in_one_bin() -> None:
    """Of 80 lines four bins of 20 would be made, of which three would be of one score."""
    scores = [-2.0] * 50 + [-1.0] * 30
    table = calibrate(scores, [0.0, 0.5] * 25 + [1.0] * 30, "chrf")
    assert (table.bounds, table.sentences) == ((-2.0,), (50, 30))
    assert table.quality == (0.25, 1.0)


def test_how_many_bins() -> None:
    def bins(count: int) -> int:
        scores = [float(i - count) for i in range(count)]
        return len(calibrate(scores, [i / count for i in range(count)], "chrf").quality)

    assert [bins(n) for n in (1, 2 * IN_BIN - 1, 2 * IN_BIN, 10_000)] == [1, 1, 2, BINS]


def test_perfect_and_worst_outputs_stay_within_0_to_1() -> None:
    assert calibrate([-1.0] * 33, [1.0] * 33, "chrf").quality == (1.0,)
    assert calibrate([0.0], [0.0], "chrf").quality == (0.0,)


def test_the_error_is_that_of_the_other_half() -> None:
    """Made from lines of 0.25 and 0.75; the others are 0.05 below the one and 0.15 above."""
    scores = [-2.0] * 80 + [-1.0] * 40
    qualities = [0.25, 0.2] * 40 + [0.75, 0.9] * 20
    error = expected_calibration_error(scores, qualities, "chrf")
    assert error == pytest.approx((40 * 0.05 + 20 * 0.15) / 60)


def test_errors_of_one_bin_cancel_and_those_of_two_do_not() -> None:
    scores = [-2.0] * 80
    assert expected_calibration_error(scores, [0.5, 0.3, 0.5, 0.7] * 20, "chrf") == pytest.approx(0)
    scores = [-2.0] * 80 + [-1.0] * 80
    qualities = [0.25, 0.35] * 40 + [0.75, 0.65] * 40
    assert expected_calibration_error(scores, qualities, "chrf") == pytest.approx(0.1)
