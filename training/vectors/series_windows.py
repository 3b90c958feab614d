"""Windows of series: what is known up to a time, and what comes after it.

A window never reads a step of its horizon, a training window no step from the split on, and a
window of the dev set forecasts none before it.
"""

# Shapes: C columns, w `window`, h `horizon`.

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from model.errors import DataError
from model.vectors.frame_files import Frames
from model.vectors.series_table import read_series
from training.config.windows_config import WindowsConfig

Part = Literal["train", "dev"]


def starts(rows: int, split: int | None, part: Part, config: WindowsConfig) -> range:
    """The first rows of all windows of a part; window i reads [i, i + w) and forecasts h more.

    Args:
        split: the first row of the dev set; None if the parts have files of their own.
    """
    whole = config.window + config.horizon
    if split is None:
        return range(0, rows - whole + 1, config.stride)
    if part == "train":
        return range(0, split - whole + 1, config.stride)
    return range(max(0, split - config.window), rows - whole + 1, config.stride)


def window_pairs(
    path: Path, config: WindowsConfig, part: Part
) -> Iterator[tuple[Frames, Frames, str]]:
    """The pairs of all series of a .csv or .parquet file: (w, C), (h, targets), and where.

    Raises:
        DataError: see `read_series`; a series is shorter than a window with its horizon.
    """
    whole, places = config.window + config.horizon, list(config.places)
    for name, values, times in read_series(path, config.series_window):
        if len(values) < whole:
            raise DataError(
                f"{path}: series {name!r} has {len(values):,} rows, but data.windows.window and "
                f"horizon are {whole:,} together. Lower them, or leave the series out."
            )
        split = _split(times, path, config) if config.split else None
        for start in starts(len(values), split, part, config):
            middle = start + config.window
            target = values[middle : middle + config.horizon, places]
            yield values[start:middle], target, f"{path}, series {name!r}, row {start + 1}"


def _split(times: Any, path: Path, config: WindowsConfig) -> int:
    """The first place in `times` that is not before `config.split`."""
    import pyarrow

    try:
        split = pyarrow.scalar(config.split).cast(times.type).as_py()
    except pyarrow.ArrowException:
        raise DataError(
            f"data.windows.split: {config.split!r} is no {times.type}, which {config.time!r} of "
            f"{path} holds. Write it as it stands there."
        ) from None
    return len([time for time in times.to_pylist() if time < split])
