"""MASE, the mean absolute scaled error of forecasts, and the seasonal naive forecast beside it.

An error is scaled by how wrong the seasonal naive forecast is in what was known, so that series of
any unit and level count alike. Below 1, forecasts are better than that forecast of a step of what
was known; whether they are better than it on the same steps, its own MASE tells.
"""

# Shapes: N windows, w steps of a window, C its columns, h steps of a forecast, W numbers in each.

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.errors import ConfigError
from training.validation.corpus_scores import Score
from training.vectors.vector_scores import Vectors, draws, middle

Floats = NDArray[np.float64]


def check_season(season: int, window: int) -> None:
    """Check that windows of so many steps have a step that is a season after another.

    Raises:
        ConfigError: they have none.
    """
    if not 1 <= season < window:
        raise ConfigError(
            f"--season {season}: the windows have {window:,} steps, and each is compared with the "
            f"one a season before. Use 1 to {window - 1}."
        )


def seasonal_naive(window: Vectors, horizon: int, season: int) -> Floats:
    """The forecast (h, W) that repeats the last season of a window (w, W).

    Hyndman and Athanasopoulos (2021), Forecasting: Principles and Practice, section 5.2.
    """
    return window[-season:][np.arange(horizon) % season].astype(np.float64)


def naive_error(window: Vectors, season: int) -> Floats:
    """(W,) the mean of |y_t - y_(t-m)| within a window (w, W): what MASE divides by, m `season`.

    Hyndman and Koehler (2006), "Another look at measures of forecast accuracy", section 3, whose
    scale is that of season 1; with a season, section 5.8 of the book above.
    """
    wide = window.astype(np.float64)
    error: Floats = np.abs(wide[season:] - wide[:-season]).mean(axis=0)
    return error


def check_scale(windows: Sequence[Vectors], season: int) -> None:
    """Check that there is a window (w, W) that gives errors a scale.

    Raises:
        ConfigError: in all of them `naive_error` is 0.
    """
    if not any(naive_error(window, season).any() for window in windows):
        raise ConfigError(
            f"--season {season}: every window repeats itself exactly, so that MASE would divide by "
            "zero. Leave --season out, or give another one."
        )


def scaled_errors(
    forecasts: Sequence[Vectors],
    targets: Sequence[Vectors],
    windows: Sequence[Vectors],
    season: int,
) -> Floats:
    """(N, W) the mean of |e| / `naive_error` over the steps of each forecast (h, W).

    NaN where the naive error is 0, as that of what is constant: nothing is a share of it.

    Args:
        windows: (w, W) the columns that are forecast.
    """
    scales = np.array([naive_error(window, season) for window in windows])
    errors = np.array(
        [
            np.abs(one.astype(np.float64) - other).mean(axis=0)
            for one, other in zip(forecasts, targets, strict=True)
        ]
    )
    scaled: Floats = np.full_like(errors, np.nan)
    np.divide(errors, scales, out=scaled, where=scales > 0)
    return scaled


def mase(errors: Floats, season: int, *, bootstrap: int) -> Score:
    """The mean of `scaled_errors` (N, W), some of which are no NaN; see `check_scale`.

    Args:
        bootstrap: draws of the windows with a scale, for a 95 % interval; 0 for none.
    """
    signature = f"mean of |y - y*| / mean of |y_t - y_(t-{season})| in the window"
    left_out = int(np.isnan(errors).sum())
    if left_out:
        signature += f", without {left_out:,} of {errors.size:,} series of windows, where that is 0"
    scaled = errors[~np.isnan(errors).all(axis=1)]
    drawn = [float(np.nanmean(scaled[rows])) for rows in draws(len(scaled), bootstrap)]
    return Score(
        value=float(np.nanmean(scaled)),
        interval=middle(drawn) if drawn else None,
        signature=signature,
    )
