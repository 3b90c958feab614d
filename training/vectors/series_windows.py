"""Windows of series: what is known up to a time, and what comes after it.

A window never reads a step of its horizon, a training window no step from the split on, and a
window of the dev set forecasts none before it.
"""

# Shapes: T rows of a series, C columns, w `window`, h `horizon`.

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.errors import DataError
from model.io.compression import open_binary
from model.vectors.frame_files import Frames
from training.config.windows_config import WindowsConfig

Part = Literal["train", "dev"]


class Series(NamedTuple):
    """The rows of a series, in the order of time."""

    name: str
    values: Frames  # (T, C)
    split: int | None
    """The first row of the dev set, T if there is none; None without a split."""


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
    for name, values, split in read_series(path, config):
        if len(values) < whole:
            raise DataError(
                f"{path}: series {name!r} has {len(values):,} rows, but data.windows.window and "
                f"horizon are {whole:,} together. Lower them, or leave the series out."
            )
        for start in starts(len(values), split, part, config):
            middle = start + config.window
            target = values[middle : middle + config.horizon, places]
            yield values[start:middle], target, f"{path}, series {name!r}, row {start + 1}"


def read_series(path: Path, config: WindowsConfig) -> Iterator[Series]:
    """The series of a file, in the order of their first rows.

    Raises:
        DataError: the file cannot be read, a column is absent or holds no numbers, one is missing
            or not finite, or the time of a series does not increase.
    """
    table = _table(path)
    named = [*config.columns, *filter(None, (config.series, config.time))]
    for column in named:
        if column not in table.column_names:
            raise DataError(
                f"{path}: no column {column!r}, only {', '.join(table.column_names)}. Name another "
                "in data.windows."
            )
    values = np.stack([_numbers(table, column, path) for column in config.columns], axis=1)
    names = np.array([""] * len(values))
    if config.series:
        names = np.array([str(one) for one in table[config.series].to_pylist()])
    times = table[config.time].to_pylist() if config.time else []
    _, first, inverse = np.unique(names, return_index=True, return_inverse=True)
    for number in np.argsort(first, kind="stable"):
        rows = np.flatnonzero(inverse == number)
        split = None
        if config.time:
            own = [times[row] for row in rows]
            _check_order(own, rows, path, config.time)
            split = _split(own, table, path, config)
        yield Series(str(names[rows[0]]), values[rows], split)


def _table(path: Path) -> Any:
    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet

    readers = {".csv": pyarrow.csv.read_csv, ".parquet": pyarrow.parquet.read_table}
    if path.suffix not in readers:
        raise DataError(f"{path}: no table of series. Name a file that ends in .csv or .parquet.")
    with open_binary(path) as stream:
        try:
            return readers[path.suffix](stream)
        except (pyarrow.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise DataError(
                f"{path}: not {path.suffix}, or damaged ({reason}). Check it."
            ) from error


def _numbers(table: Any, column: str, path: Path) -> NDArray[np.float32]:
    import pyarrow

    try:
        given = table[column].cast(pyarrow.float64(), safe=False).to_numpy()
    except pyarrow.ArrowException:
        raise DataError(
            f"{path}: column {column!r} holds {table[column].type}, not numbers. Name another."
        ) from None
    with np.errstate(over="ignore"):
        values: NDArray[np.float32] = given.astype(np.float32)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise DataError(
            f"{path}: row {wrong[0] + 1}, column {column!r} is {given[wrong[0]]:g}, or missing. "
            "Fill it in, or leave the row out."
        )
    return values


def _check_order(times: list[Any], rows: NDArray[np.int64], path: Path, column: str) -> None:
    for place, time in enumerate(times):
        if time is None:
            raise DataError(
                f"{path}: row {rows[place] + 1}, column {column!r} has no time. Fill it in, or "
                "leave the row out."
            )
    for place, (before, after) in enumerate(pairwise(times), 1):
        if not before < after:
            raise DataError(
                f"{path}: row {rows[place] + 1}, column {column!r}: {after} does not come after "
                f"{before}. Sort each series by time, and give a time once."
            )


def _split(times: list[Any], table: Any, path: Path, config: WindowsConfig) -> int | None:
    """The first place in `times` that is not before `config.split`, if there is a split."""
    import pyarrow

    if not config.split:
        return None
    kind = table[config.time].type
    try:
        split = pyarrow.scalar(config.split).cast(kind).as_py()
    except pyarrow.ArrowException:
        raise DataError(
            f"data.windows.split: {config.split!r} is no {kind}, which {config.time!r} of {path} "
            "holds. Write it as it stands there."
        ) from None
    return len([time for time in times if time < split])
