"""WindowsConfig: how series are cut into pairs of what is known and what comes after it."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from model.errors import ConfigError
from model.vectors.series_window import SeriesWindow


def with_text_of_split(data: Mapping[str, object]) -> dict[str, object]:
    """Turn `data.windows.split` into text: YAML reads a date as one, and a year as a number."""
    windows = data.get("windows")
    split = windows.get("split") if isinstance(windows, dict) else None
    if isinstance(windows, dict) and isinstance(split, datetime.date | int | float):
        return {**data, "windows": {**windows, "split": str(split)}}
    return dict(data)


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowsConfig:
    """Columns of a table of series, and the windows that are pairs."""

    columns: tuple[str, ...]
    """Numbers that are read in each step."""
    targets: tuple[str, ...] = ()
    """Columns that are to be forecast; left out: all of them."""
    window: int
    """Steps that are read."""
    horizon: int
    """Steps after them that are forecast."""
    stride: int = 1
    """Steps from one window to the next."""
    series: str = ""
    """Column that names the series of a row; left out: there is one series."""
    time: str = ""
    """Column of the time, which increases in each series; left out: rows are in order."""
    split: str = ""
    """The first time of the dev set: training windows end before it, horizon and all, and those of
    the dev set forecast from it on. Left out: `data.dev` has other files."""
    scale: Literal["window", "none"] = "window"
    """Bring each window to mean 0 and standard deviation 1 by its own numbers; what comes out is
    brought back."""

    def __post_init__(self) -> None:
        for name in ("window", "horizon", "stride"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"data.windows.{name}: {getattr(self, name)} is too small. Use 1 or more."
                )
        if not self.columns:
            raise ConfigError("data.windows.columns: none is named. Name one or more.")
        for name in ("columns", "targets"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ConfigError(f"data.windows.{name}: one is named twice. Name each once.")
        for column in self.targets:
            if column not in self.columns:
                raise ConfigError(
                    f"data.windows.targets: {column!r} is none of data.windows.columns. Add it."
                )
        if self.split and not self.time:
            raise ConfigError("data.windows.split: by which column? Name data.windows.time.")

    @property
    def places(self) -> tuple[int, ...]:
        """The place of each target among the columns."""
        return self.series_window.places

    @property
    def series_window(self) -> SeriesWindow:
        """What a checkpoint has to tell of it."""
        return SeriesWindow(
            columns=self.columns,
            targets=self.targets or self.columns,
            window=self.window,
            horizon=self.horizon,
            series=self.series,
            time=self.time,
        )
