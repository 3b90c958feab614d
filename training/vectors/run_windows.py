"""Windows of a run: those that its config cuts, of its own tables or of another one."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from model.errors import ConfigError
from model.vectors.frame_files import Frames
from training.config.train_config import TrainConfig, load_config
from training.config.windows_config import WindowsConfig
from training.validation.dev_set import run_named
from training.vectors.series_windows import window_pairs


class WindowPairs(NamedTuple):
    """Windows (w, C), what comes after each (h, W), where it begins, and the places of W in C."""

    windows: list[Frames]
    targets: list[Frames]
    places: list[str]
    columns: tuple[int, ...]

    @property
    def known(self) -> list[Frames]:
        """(w, W) what the windows have of the columns that are forecast."""
        return [window[:, list(self.columns)] for window in self.windows]


def config_of_run(path: Path) -> tuple[TrainConfig, WindowsConfig]:
    """The config of the run that `path` is, or is a checkpoint of, and its windows.

    Raises:
        ConfigError: there is none, it is damaged, or it has no windows.
    """
    run = run_named(path)
    if run is None:
        raise ConfigError(
            f"--windows: {path} does not tell how windows are cut, as the config.yaml of its run "
            "does. Name the run."
        )
    config = load_config(run / "config.yaml")
    windows = config.data.windows
    if windows is None:
        raise ConfigError(
            f"--windows: {run} was not trained on windows of series (data.windows). Give --source "
            "and --reference."
        )
    return config, windows


def windows_of_table(table: Path, config: WindowsConfig) -> WindowPairs:
    """All windows of a table, whatever the split.

    Raises:
        DataError: see `window_pairs`.
    """
    pairs = list(window_pairs(table, replace(config, split=""), "train"))
    sources, targets, places = map(list, zip(*pairs, strict=True))
    return WindowPairs(sources, targets, places, config.places)
