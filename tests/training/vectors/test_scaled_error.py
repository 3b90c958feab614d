"""MASE by hand, whatever the unit and level of a series; the seasonal naive forecast; no scale."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from model.errors import ConfigError
from training.vectors.scaled_error import (
    check_scale,
    check_season,
    mase,
    naive_error,
    scaled_errors,
    seasonal_naive,
)

Floats = NDArray[np.float64]


def column(*numbers: float) -> Floats:
    return np.array(numbers, np.float64)[:, None]


def test_mase_by_hand() -> None:
    windows = [column(1, 5, 2, 9), column(10, 0, 10, 2)]
    forecasts = [column(3, 9), column(10, 2)]
    targets = [column(4, 6), column(12, 2)]
    # Season 2: |2 - 1| and |9 - 5| are 2.5 in the mean; |10 - 10| and |2 - 0| are 1.
    assert [naive_error(window, 2).item() for window in windows] == [2.5, 1]
    errors = scaled_errors(forecasts, targets, windows, 2)
    assert errors.tolist() == [[(1 + 3) / 2 / 2.5], [(2 + 0) / 2 / 1]]
    score = mase(errors, 2, bootstrap=0)
    assert score.value == pytest.approx((0.8 + 1) / 2)
    assert score.interval is None
    # Season 1, the scale of the paper: 4, 3 and 7, then 10, 10 and 8.
    assert [naive_error(window, 1).item() for window in windows] == pytest.approx([14 / 3, 28 / 3])


def test_unit_and_level_of_a_series_do_not_count() -> None:
    generator = np.random.default_rng(0)
    windows, forecasts, targets = (
        [generator.normal(0, 1, (steps, 2)) for _ in range(5)] for steps in (9, 4, 4)
    )
    plain = scaled_errors(forecasts, targets, windows, 3)
    found, wanted, known = (
        [1000 * one - 77 for one in side] for side in (forecasts, targets, windows)
    )
    np.testing.assert_allclose(scaled_errors(found, wanted, known, 3), plain, rtol=1e-9)
    wrong = scaled_errors(found, wanted, windows, 3)
    assert not np.allclose(wrong, plain)


def test_the_naive_forecast_repeats_the_last_season() -> None:
    window = np.array([[1, 10], [2, 20], [3, 30], [4, 40]], np.float32)
    assert seasonal_naive(window, 5, 3).tolist() == [[2, 20], [3, 30], [4, 40], [2, 20], [3, 30]]
    assert seasonal_naive(window, 2, 1).tolist() == [[4, 40], [4, 40]]


def test_of_a_series_that_goes_on_as_it_was_the_naive_mase_is_about_one() -> None:
    """Its error of a step of the horizon is as large as that of a step of the window."""
    generator = np.random.default_rng(1)
    whole = [generator.normal(0, 1, (300, 1)) for _ in range(200)]
    windows, targets = [one[:290] for one in whole], [one[290:] for one in whole]
    naive = [seasonal_naive(window, 10, 12) for window in windows]
    score = mase(scaled_errors(naive, targets, windows, 12), 12, bootstrap=200)
    assert score.value == pytest.approx(1, abs=0.05)
    assert score.interval is not None
    assert score.interval.half_width == pytest.approx(0.04, abs=0.02)
    assert abs(score.interval.mean - score.value) < score.interval.half_width


def test_what_has_no_scale_is_left_out_and_told() -> None:
    windows = [np.array([[7, 1], [7, 2], [7, 3]]), np.array([[1, 1], [2, 1], [3, 1]])]
    targets = [np.array([[8, 5]]), np.array([[5, 1]])]
    errors = scaled_errors([np.array([[7.0, 4]])] * 2, targets, windows, 1)
    np.testing.assert_array_equal(errors, [[math.nan, 1], [2, math.nan]])
    score = mase(errors, 1, bootstrap=50)
    assert score.value == 1.5
    assert score.signature.endswith("without 2 of 4 series of windows, where that is 0")


@pytest.mark.parametrize("season", [0, 4, 5])
def test_a_season_must_fit_into_a_window(season: int) -> None:
    with pytest.raises(ConfigError, match=rf"--season {season}: the windows have 4 steps.*1 to 3"):
        check_season(season, 4)
    check_season(3, 4)


def test_a_window_without_a_scale_does_not_spoil_the_interval() -> None:
    score = mase(np.array([[math.nan], [2.0], [math.nan], [math.nan]]), 1, bootstrap=50)
    assert score.value == 2
    assert score.interval is not None
    assert (score.interval.mean, score.interval.half_width) == (2, 0)


def test_windows_that_all_repeat_themselves_are_refused() -> None:
    windows = [column(1, 2, 1, 2), column(5, 7, 5, 7)]
    check_scale(windows, 1)
    with pytest.raises(ConfigError, match="--season 2: every window repeats itself exactly"):
        check_scale(windows, 2)
