"""Series tables: the series of a .csv or .parquet file, row by row, checked."""

# Shapes: T rows of a series, C columns.

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.errors import DataError
from model.io.compression import open_binary
from model.vectors.frame_files import Frames
from model.vectors.series_window import SeriesWindow


class Series(NamedTuple):
    """The rows of a series, in the order of time."""

    name: str
    """Empty if the table has no column of names."""
    values: Frames  # (T, C)
    times: Any
    """A pyarrow.ChunkedArray (T,) of the column of times; None if there is none."""


def read_series(path: Path, window: SeriesWindow) -> Iterator[Series]:
    """The series of a file, in the order of their first rows.

    Raises:
        DataError: the file cannot be read or has no rows, a column is absent or holds no numbers,
            one is missing or not finite, a row does not name its series, or the time of a series
            does not increase.
    """
    table = _table(path, window.series)
    columns = _column_names(table, path)
    for column in (*window.columns, *filter(None, (window.series, window.time))):
        if column not in columns:
            raise DataError(
                f"{path}: no column {column!r}, only {', '.join(columns)}. Add it, or "
                "train with another in data.windows."
            )
        if columns.count(column) > 1:
            raise DataError(
                f"{path}: {columns.count(column)} columns {column!r}. Rename all but one."
            )
    if not table.num_rows:
        raise DataError(f"{path}: has no rows. Name a table that has some.")
    values = np.stack([_numbers(table, column, path) for column in window.columns], axis=1)
    names = [""] * len(values)
    if window.series:
        names = _names(table, window.series, path)
    numbers: dict[str, int] = {}
    series = np.array([numbers.setdefault(name, len(numbers)) for name in names])
    for name, number in numbers.items():
        rows = np.flatnonzero(series == number)
        times = table[window.time].take(rows) if window.time else None
        if times is not None:
            _check_order(times.to_pylist(), rows, path, window.time)
        yield Series(name, values[rows], times)


def _table(path: Path, series: str) -> Any:
    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet

    # Names as they are written: 01 and 1 are two series, which a column of integers would join.
    as_text = pyarrow.csv.ConvertOptions(column_types={series: pyarrow.string()})
    readers = {
        ".csv": partial(pyarrow.csv.read_csv, convert_options=as_text),
        ".parquet": pyarrow.parquet.read_table,
    }
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


def _column_names(table: Any, path: Path) -> list[str]:
    try:
        return list(table.column_names)
    except UnicodeDecodeError:
        raise DataError(f"{path}: its first row is not UTF-8. Convert the file.") from None


def _names(table: Any, column: str, path: Path) -> list[str]:
    """The name of the series of each row."""
    import pyarrow

    try:
        names: list[str] = table[column].cast(pyarrow.string()).to_pylist()
    except pyarrow.ArrowException:
        raise DataError(
            f"{path}: column {column!r} holds {table[column].type}, no names. Name another."
        ) from None
    for row, name in enumerate(names, 1):
        if not name:
            raise DataError(
                f"{path}: row {row}, column {column!r} has no name. Fill it in, or leave the row "
                "out."
            )
    return names


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
