"""dragoman-translate --windows: the forecast of hand-cut windows, its forms, and mistakes."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
from numpy.typing import NDArray

from model.checkpoint.checkpoint import load_checkpoint
from model.errors import CheckpointError, RequestError
from model.inspect import main as inspect
from model.pack import main as pack
from model.vector_transducer import VectorTransducer
from model.vectors.series_window import SeriesWindow
from model.vectors.vector_form import VectorForm
from tests.conftest import saved_run

HOURS = {"b": 9, "a": 6, "c": 40}
"""Rows of each series; that of a is one window."""


def rows(city: str) -> list[list[float]]:
    """sun and load of each hour of a city, at a level and with a rhythm of its own."""
    level = 1000 * ord(city)
    return [[hour % 5, level + hour**2 % (ord(city) % 10)] for hour in range(HOURS[city])]


def write_table(path: Path) -> Path:
    """Interleaved series, each in the order of time, which ends at another hour in each."""
    lines = ["load,hour,other,city,sun"]
    for hour in range(40):
        for city in HOURS:
            if hour < HOURS[city]:
                sun, load = rows(city)[hour]
                time = f"2024-10-{1 + hour // 24:02} {hour % 24:02}:00:00"
                lines.append(f"{load},{time},x,{city},{sun}")
    text = "\n".join(lines) + "\n"
    path.with_suffix(".csv").write_text(text)
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.csv.read_csv(path.with_suffix(".csv")), path)
    return path


def by_hand(run: Path) -> list[NDArray[np.float64]]:
    windows = [rows(city)[-6:] for city in HOURS]
    return VectorTransducer.load(run, device="cpu", precision="fp32").transduce(windows)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_forecast_is_that_of_windows_cut_by_hand(
    suffix: str, window_checkpoint: Path, tmp_path: Path, translate: Callable[..., Any]
) -> None:
    table = write_table(tmp_path / f"x{suffix}")
    result = translate(window_checkpoint, "", "--windows", str(table))
    assert result.status == 0
    found = list(map(json.loads, result.output.decode().splitlines()))
    assert [list(one) for one in found] == [["series", "after", "load"]] * 3
    assert [(one["series"], one["after"]) for one in found] == [
        ("b", "2024-10-01 08:00:00"),
        ("a", "2024-10-01 05:00:00"),
        ("c", "2024-10-02 15:00:00"),
    ]
    for one, forecast in zip(found, by_hand(window_checkpoint), strict=True):
        np.testing.assert_allclose(one["load"], forecast[:, 0], rtol=1e-8)


def test_a_pack_forecasts_into_a_table(
    window_checkpoint: Path, tmp_path: Path, translate: Callable[..., Any]
) -> None:
    model, output = tmp_path / "series.dragoman", tmp_path / "forecast.csv"
    assert pack([str(window_checkpoint), "--output", str(model), "--weights", "fp32"]) == 0
    table = write_table(tmp_path / "x.csv")
    result = translate(model, "", "--windows", str(table), "--output", str(output))
    assert (result.status, result.output) == (0, b"")
    with output.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == ["series", "after", "step", "load"]
    assert [(one["series"], one["step"]) for one in found] == [
        (city, step) for city in HOURS for step in "123"
    ]
    assert found[3]["after"] == "2024-10-01 05:00:00"
    expected = np.concatenate(by_hand(window_checkpoint))[:, 0]
    np.testing.assert_allclose([float(one["load"]) for one in found], expected, rtol=1e-8)


def with_window(run: Path, folder: Path, window: SeriesWindow | None) -> Path:
    """The network of the run with another form."""
    form = VectorForm(steps=3, scaled_by=(1,), window=window)
    return saved_run(folder, load_checkpoint(run).network, form, form.search)


def test_without_names_there_are_numbers_alone(
    window_checkpoint: Path, tmp_path: Path, translate: Callable[..., Any]
) -> None:
    window = SeriesWindow(columns=("sun", "load"), targets=("load",), window=6, horizon=3)
    run = with_window(window_checkpoint, tmp_path, window)
    lines = [f"{sun},{load}" for sun, load in rows("c")]
    (tmp_path / "x.csv").write_text("\n".join(["sun,load", *lines]) + "\n")
    found = json.loads(translate(run, "", "--windows", str(tmp_path / "x.csv")).output)
    assert list(found) == ["load"]
    np.testing.assert_allclose(found["load"], by_hand(window_checkpoint)[2][:, 0], rtol=1e-8)


def edited(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edited("sun", "rain"), "no column 'sun', only load, hour, other, city, rain."),
        (edited("98000,", "low,"), "column 'load' holds string, not numbers."),
        (edited("98000,", ","), "row 1, column 'load' is nan, or missing."),
        (edited(" 01:00", " 00:00"), "row 4, column 'hour': 2024-10-01 00:00:00 does not come"),
        (lambda text: text + "1,2024-10-01 00:00:00,x,d,1\n", "series 'd' has 1 rows, but the"),
        (lambda text: text.splitlines()[0] + "\n", "has no rows."),
        (edited(",x,a,", ",x,,"), "row 2, column 'city' has no name. Fill it in, or leave the row"),
        (edited("other", "load"), "2 columns 'load'. Rename all but one."),
    ],
)
def test_mistakes_in_a_table_are_a_line(
    change: Callable[[str], str],
    message: str,
    window_checkpoint: Path,
    tmp_path: Path,
    translate: Callable[..., Any],
) -> None:
    table = write_table(tmp_path / "x.csv")
    text = table.read_text()
    assert change(text) != text
    table.write_text(change(text))
    result = translate(window_checkpoint, "", "--windows", str(table))
    assert (result.status, result.output) == (2, b"")
    assert f"{table}: {message}" in result.mistake


@pytest.mark.parametrize("word", ["other", "x,a"])
def test_a_table_that_is_not_utf8_is_refused(
    word: str, window_checkpoint: Path, tmp_path: Path, translate: Callable[..., Any]
) -> None:
    table = write_table(tmp_path / "x.csv")
    table.write_bytes(table.read_bytes().replace(word.encode(), word.encode() + b"\xf6"))
    result = translate(window_checkpoint, "", "--windows", str(table))
    assert (result.status, result.output) == (2, b"")
    assert "not UTF-8" in result.mistake or "invalid UTF8" in result.mistake


def test_names_are_as_they_are_written(
    window_checkpoint: Path, tmp_path: Path, translate: Callable[..., Any]
) -> None:
    table = write_table(tmp_path / "x.csv")
    text = table.read_text()
    for city, name in (("b", "01"), ("a", "1"), ("c", "1e0")):
        text = text.replace(f",x,{city},", f",x,{name},")
    table.write_text(text)
    found = translate(window_checkpoint, "", "--windows", str(table)).output.splitlines()
    assert [json.loads(line)["series"] for line in found] == ["01", "1", "1e0"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--windows", "T", "--input", "T"], "--windows: it is all that is read. Leave --input"),
        (["T", "--windows", "T"], "--windows: it is all that is read. Leave FILE out"),
        (["--windows", "T", "--beam-size", "2"], "--beam-size: it is for text"),
        (["--windows", "T", "--min-length", "0"], "--min-length: it is for text"),
        (["--windows", "T", "--output", "x.npz"], "--output: .npz is not written. Name a file in"),
        (["--windows", "T", "--output", "T"], "--windows"),
        (["--windows", "x.tsv"], "x.tsv: no table of series. Name a file that ends in .csv or"),
        (["T"], "no file of vectors. Name one that ends in .npy, .npz, .jsonl, .ndjson, .parquet,"),
    ],
)
def test_mistakes_in_flags_are_a_line(
    flags: list[str],
    message: str,
    window_checkpoint: Path,
    tmp_path: Path,
    translate: Callable[..., Any],
) -> None:
    table = str(write_table(tmp_path / "x.csv"))
    given = [table if flag == "T" else flag for flag in flags]
    assert message in translate(window_checkpoint, "", *given).mistake


def test_what_knows_no_windows_forecasts_none(
    window_checkpoint: Path,
    vector_checkpoint: Path,
    tiny_checkpoint: Path,
    tmp_path: Path,
    translate: Callable[..., Any],
) -> None:
    table = str(write_table(tmp_path / "x.csv"))
    older = with_window(window_checkpoint, tmp_path, None)
    for run in (older, vector_checkpoint, tiny_checkpoint):
        assert "does not say what a window" in translate(run, "", "--windows", table).mistake
    # What is not known is not checked either.
    assert len(VectorTransducer.load(older, device="cpu").transduce([rows("b")])) == 1


def test_a_target_that_is_called_as_another_column_is_refused(
    window_checkpoint: Path, tmp_path: Path, translate: Callable[..., Any]
) -> None:
    window = SeriesWindow(columns=("x", "step"), targets=("step",), window=2, horizon=3)
    run = with_window(window_checkpoint, tmp_path, window)
    (tmp_path / "x.csv").write_text("x,step\n1,2\n3,5\n")
    flags = ["--windows", str(tmp_path / "x.csv")]
    assert list(json.loads(translate(run, "", *flags).output)) == ["step"]
    refused = translate(run, "", *flags, "--output", str(tmp_path / "y.csv"))
    assert "forecasts a column 'step'" in refused.mistake


def test_another_length_than_was_learned_is_refused(
    window_checkpoint: Path, translate: Callable[..., Any]
) -> None:
    transducer = VectorTransducer.load(window_checkpoint, device="cpu")
    for steps in (5, 7):
        message = f"sequences.1.: {steps} vectors, but this model has learned from windows of 6 "
        with pytest.raises(RequestError, match=message):
            transducer.transduce([rows("a"), rows("c")[:steps]])
    lines = f"{json.dumps(rows('a'))}\n{json.dumps(rows('b'))}\n"
    assert (
        "standard input, sequence 2: 9 vectors, but" in translate(window_checkpoint, lines).mistake
    )


def test_inspect_tells_what_a_window_is(
    window_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect([str(window_checkpoint)]) == 0
    told = capsys.readouterr().out
    assert "\nwindow      6 steps of sun, load; the next 3 of load\n" in told
    assert inspect([str(window_checkpoint), "--json", "-"]) == 0
    window = json.loads(capsys.readouterr().out)["tokenizer"]["window"]
    assert (window["window"], window["series"]) == (6, "city")


@pytest.mark.parametrize(
    ("columns", "targets", "horizon"),
    [
        ("sun", "sun", 3),
        ("sun load", "sun load", 3),
        ("sun load", "load", 4),
        ("load sun", "load", 3),
    ],
)
def test_a_window_that_does_not_fit_the_network_is_refused(
    columns: str, targets: str, horizon: int, window_checkpoint: Path, tmp_path: Path
) -> None:
    window = SeriesWindow(
        columns=tuple(columns.split()), targets=tuple(targets.split()), window=6, horizon=horizon
    )
    with pytest.raises(CheckpointError, match=r"vectors\.json: window does not fit 3 vectors of 1"):
        load_checkpoint(with_window(window_checkpoint, tmp_path, window))
