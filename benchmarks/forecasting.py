"""Forecasts of a model, a linear model and the seasonal naive one, of the same windows, by MASE.

    python -m benchmarks.forecasting RUN --windows TABLE --season N

RUN was trained with data.windows; TABLE is a later one with the same columns. The linear model is
ridge regression from all numbers of a window, brought to one scale by the window itself as RUN
does, to all numbers that come after it. It learns from the windows that RUN has learned from, and
the dev set decides how much its weights are held down, by MASE.
"""

# Shapes: N windows, w steps of a window, C its columns, h steps of a forecast, W numbers in each.

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from model.cli.command import OK, command_parser, run_command
from model.cli.report import table
from model.vector_transducer import VectorTransducer
from model.vectors.frame_files import Frames
from model.vectors.window_scale import WindowScale
from training.config.train_config import TrainConfig
from training.config.windows_config import WindowsConfig
from training.vectors.run_windows import WindowPairs, config_of_run, windows_of_table
from training.vectors.scaled_error import (
    Floats,
    check_season,
    mase,
    scaled_errors,
    seasonal_naive,
)
from training.vectors.vector_corpus import read_corpora
from training.vectors.vector_scores import draws, middle

PENALTIES = (0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
"""Of the squares of the weights, beside the squared errors of all windows."""
ROUNDING = 1e-6
"""Singular values below this share of the largest are rounding alone: a scaled window has mean 0,
so that its numbers depend on one another."""
DRAWS = 1000


class Linear(NamedTuple):
    """A linear model of windows: (w C + 1, h W) weights, the last row a constant."""

    weights: Floats
    columns: tuple[int, ...]
    scaled: bool
    """Whether windows are brought to one scale by themselves."""

    def forecast(self, windows: list[Frames]) -> list[Floats]:
        """The forecasts (h, W) for windows (w, C)."""
        scales = [_scale(window, self.scaled) for window in windows]
        found = _inputs(windows, scales) @ self.weights
        return [
            scale.restored(one.reshape(-1, len(self.columns)), self.columns)
            for scale, one in zip(scales, found, strict=True)
        ]


def fitted(pairs: WindowPairs, penalty: float, *, scaled: bool) -> Linear:
    """The least squares of the pairs, with `penalty` times the squared weights; no constant's."""
    scales = [_scale(window, scaled) for window in pairs.windows]
    inputs = _inputs(pairs.windows, scales)
    outputs = np.array(
        [
            scale.scaled(target, pairs.columns).ravel()
            for scale, target in zip(scales, pairs.targets, strict=True)
        ],
        np.float64,
    )
    held = np.sqrt(penalty) * np.eye(inputs.shape[1])[:-1]
    weights = np.linalg.lstsq(
        np.concatenate([inputs, held]),
        np.concatenate([outputs, np.zeros((len(held), outputs.shape[1]))]),
        rcond=ROUNDING,
    )[0]
    return Linear(weights, pairs.columns, scaled)


def _scale(window: Frames, scaled: bool) -> WindowScale:
    width = window.shape[1]
    return WindowScale.of(window) if scaled else WindowScale(np.zeros(width), np.ones(width))


def _inputs(windows: list[Frames], scales: list[WindowScale]) -> Floats:
    """(N, w C + 1) the numbers of each window, and a 1."""
    rows = [
        scale.scaled(window, range(window.shape[1])).ravel()
        for scale, window in zip(scales, windows, strict=True)
    ]
    return np.column_stack([np.array(rows, np.float64), np.ones(len(rows))])


def trained_pairs(config: TrainConfig, windows: WindowsConfig) -> tuple[WindowPairs, WindowPairs]:
    """The windows of the training, and of the dev set."""
    train = read_corpora(config.data.train, config, "train", most=config.model.max_length)
    dev = read_corpora([config.data.dev], config, "dev", most=None)
    learned, chosen = (
        WindowPairs(one.sources, one.targets, [], windows.places) for one in (train, dev)
    )
    return learned, chosen


def best_linear(
    learned: WindowPairs, chosen: WindowPairs, season: int, *, scaled: bool
) -> tuple[float, Linear]:
    """The penalty whose model has the lowest MASE on `chosen`, and that model."""

    def quality(model: Linear) -> float:
        forecasts = model.forecast(chosen.windows)
        errors = scaled_errors(forecasts, chosen.targets, chosen.known, season)
        return mase(errors, season, bootstrap=0).value

    models = {penalty: fitted(learned, penalty, scaled=scaled) for penalty in PENALTIES}
    return min(models.items(), key=lambda item: quality(item[1]))


def _compare(arguments: argparse.Namespace) -> int:
    season: int = arguments.season
    config, windows = config_of_run(arguments.run)
    check_season(season, windows.window)
    pairs = windows_of_table(arguments.windows, windows)
    learned, chosen = trained_pairs(config, windows)
    penalty, linear = best_linear(learned, chosen, season, scaled=windows.scale == "window")
    transducer = VectorTransducer.load(arguments.run, device="cpu", threads=1)
    forecasts = {
        "the model": transducer.transduce(pairs.windows, pairs.places),
        f"linear, penalty {penalty:g}": linear.forecast(pairs.windows),
        f"seasonal naive, {season}": [
            seasonal_naive(window, windows.horizon, season) for window in pairs.known
        ],
    }
    errors = {
        name: scaled_errors(found, pairs.targets, pairs.known, season)
        for name, found in forecasts.items()
    }
    print(
        f"{len(pairs.windows):,} windows of {arguments.windows}; linear: {len(learned.windows):,}"
    )
    print(comparison(errors, season, _absolute(forecasts, pairs)))
    return OK


def _absolute(forecasts: dict[str, list[Floats]], pairs: WindowPairs) -> dict[str, float]:
    """The mean absolute error of each, in the unit of the table."""
    return {
        name: float(
            np.mean([np.abs(f - y).mean() for f, y in zip(found, pairs.targets, strict=True)])
        )
        for name, found in forecasts.items()
    }


def comparison(errors: dict[str, Floats], season: int, absolute: dict[str, float]) -> str:
    """A table: MASE of each, and how much that of the first is above it in the same windows."""
    first, *_ = errors.values()
    rows = []
    for name, own in errors.items():
        score = mase(own, season, bootstrap=DRAWS)
        apart = [
            float(np.nanmean(first[drawn]) - np.nanmean(own[drawn]))
            for drawn in draws(len(own), DRAWS)
        ]
        difference = middle(apart)
        assert score.interval is not None
        rows.append(
            [
                name,
                f"{score.value:.3f} ± {score.interval.half_width:.3f}",
                f"{difference.mean:+.3f} ± {difference.half_width:.3f}",
                f"{absolute[name]:,.1f}",
            ]
        )
    return table(["", "MASE", "the first minus this", "mean absolute error"], rows)


def main(argv: list[str] | None = None) -> int:
    """Print the table."""
    parser = command_parser("python -m benchmarks.forecasting", __doc__.splitlines()[0], "")
    parser.add_argument("run", metavar="RUN", type=Path)
    parser.add_argument("--windows", metavar="TABLE", type=Path, required=True)
    parser.add_argument("--season", metavar="N", type=int, required=True)
    return run_command(parser.prog, lambda: _compare(parser.parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
