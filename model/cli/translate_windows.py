"""dragoman-translate --windows: what comes after the last row of each series of a table."""

# Shapes: w rows of a window, C columns, h steps of a forecast, W targets.

import argparse
import csv
import io
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.checkpoint.checkpoint import Checkpoint
from model.cli.command import OK, STREAM, load_model, open_output, refuse_output
from model.cli.translate_vectors import nine_digits, refuse_text_flags, transduced
from model.errors import CheckpointError, ConfigError, DataError
from model.io.compression import plain_suffix
from model.io.progress import line_progress
from model.vector_transducer import VectorTransducer
from model.vectors.frame_files import Frames
from model.vectors.series_table import read_series
from model.vectors.series_window import SeriesWindow
from model.vectors.vector_form import VectorForm

Write = Callable[["Window", NDArray[np.float64]], str]


class Window(NamedTuple):
    """The last rows of a series, and what is told of it: its name and its last time, if any."""

    rows: Frames  # (w, C)
    place: str
    told: dict[str, str | int]


def translate_windows(name: str, arguments: argparse.Namespace) -> int:
    """Forecast what comes after each series of the table --windows, in the order of the table.

    It is written as a table if --output ends in .csv, else as JSON, a series a line.

    Raises:
        ConfigError: a flag is given that does not go with it, or a target is called as a name is.
        CheckpointError: the model does not say what a window is.
        DataError: the table cannot be read, see `read_series`, or a series is too short.
        RequestError: a forecast is not finite.
    """
    _check_flags(arguments)
    as_csv = plain_suffix(Path(arguments.output)) == ".csv"
    model = load_model(name, arguments)
    form, window = _form(model.checkpoint)
    _check_names(window, as_csv)
    last = last_windows(Path(arguments.windows), window)
    transducer = VectorTransducer(model.network, form, device=model.device, dtype=model.dtype)
    to_file = arguments.output != STREAM
    with (
        open_output(arguments.output) as output,
        line_progress(name, len(last), to_file=to_file) as advance,
    ):
        given = ((one.rows, one.place) for one in last)
        forecasts = transduced(transducer, given, advance)
        if as_csv:
            output.write(_csv([[*last[0].told, "step", *window.targets]]).encode())
        write = partial(_rows if as_csv else _line, window.targets)
        for one, forecast in zip(last, forecasts, strict=True):
            output.write(write(one, forecast).encode())
            output.flush()
    return OK


def last_windows(table: Path, window: SeriesWindow) -> list[Window]:
    """The last window of each series of a table.

    Raises:
        DataError: see `read_series`; a series is shorter than a window.
    """
    return list(_last_windows(table, window))


def _last_windows(table: Path, window: SeriesWindow) -> Iterator[Window]:
    for name, values, times in read_series(table, window):
        if len(values) < window.window:
            raise DataError(
                f"{table}: series {name!r} has {len(values):,} rows, but the window that the model "
                f"reads is {window.window:,}. Add the rows before them, or leave the series out."
            )
        told: dict[str, str | int] = {"series": name} if window.series else {}
        if times is not None:
            after = times[-1].as_py()
            told["after"] = after if isinstance(after, int) else str(after)
        yield Window(values[-window.window :], f"{table}, series {name!r}", told)


def _check_flags(arguments: argparse.Namespace) -> None:
    refuse_text_flags(arguments)
    for flag, given in (
        ("FILE", arguments.files),
        ("--input", arguments.input),
        ("--field", arguments.field),
    ):
        if given:
            raise ConfigError(f"--windows: it is all that is read. Leave {flag} out.")
    others = (".npy", ".npz", ".parquet", ".tsv")
    refuse_output(arguments.output, others, "a file in .jsonl or .csv")


def _form(checkpoint: Checkpoint) -> tuple[VectorForm, SeriesWindow]:
    form = checkpoint.vocabulary
    if not isinstance(form, VectorForm) or form.window is None:
        raise CheckpointError(
            f"--windows: {checkpoint.path} does not say what a window of series is: it was not "
            "trained on any (data.windows), or by a Dragoman that did not store it. Name another "
            "model, or train it anew."
        )
    return form, form.window


def _check_names(window: SeriesWindow, as_csv: bool) -> None:
    names = {"series": window.series, "after": window.time, "step": as_csv}
    for target in window.targets:
        if names.get(target):
            raise ConfigError(
                f"--windows: the model forecasts a column {target!r}, as another of the output is "
                "called. Rename it in the table and in data.windows, and train anew."
            )


def _line(targets: tuple[str, ...], window: Window, forecast: NDArray[np.float64]) -> str:
    """A line of JSON: the forecast (h, W), a field for each target."""
    columns = [list(map(nine_digits, column)) for column in forecast.T]
    fields = {**window.told, **dict(zip(targets, columns, strict=True))}
    return json.dumps(fields, ensure_ascii=False) + "\n"


def _rows(targets: tuple[str, ...], window: Window, forecast: NDArray[np.float64]) -> str:
    """Rows of the table: a step of the forecast (h, W) in each."""
    told = window.told.values()
    return _csv([[*told, step, *map(nine_digits, row)] for step, row in enumerate(forecast, 1)])


def _csv(rows: list[list[object]]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    return written.getvalue()
