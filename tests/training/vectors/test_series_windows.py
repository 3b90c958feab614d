"""Windows of series: nothing of the horizon is seen, columns and times by definition, mistakes."""

import dataclasses
import datetime
import json
import random
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
import yaml

from model.checkpoint.checkpoint import load_checkpoint
from model.errors import ConfigError, DataError
from model.vector_transducer import VectorTransducer
from model.vectors.series_table import read_series
from model.vectors.vector_form import VectorForm
from model.vectors.window_scale import WindowScale
from training.config.windows_config import WindowsConfig, with_text_of_split
from training.data.corpus_report import CorpusReport
from training.train import main
from training.vectors.run_windows import windows_of_table
from training.vectors.series_windows import Part, starts, window_pairs
from training.vectors.vector_corpus import VectorCorpus, learned

SETTINGS = 10_000


def test_no_window_sees_its_horizon_and_no_training_the_dev_set() -> None:
    """Each row is its own number, so that a window shows which rows it has read."""
    draw = random.Random(1)
    counted = 0
    for _ in range(SETTINGS):
        config = WindowsConfig(
            columns=("x",),
            window=draw.randint(1, 12),
            horizon=draw.randint(1, 8),
            stride=draw.randint(1, 9),
        )
        rows = draw.randint(1, 60)
        split = draw.choice([None, draw.randint(0, rows)])
        values = np.arange(rows)
        forecast: dict[str, set[int]] = {"train": set(), "dev": set()}
        parts: tuple[Part, ...] = ("train", "dev")
        for part in parts:
            for start in starts(rows, split, part, config):
                middle = start + config.window
                seen, wanted = values[start:middle], values[middle : middle + config.horizon]
                assert len(seen) == config.window
                assert len(wanted) == config.horizon
                assert seen.max() < wanted.min()
                if split is not None:
                    assert wanted.max() < split if part == "train" else wanted.min() >= split
                forecast[part].update(wanted.tolist())
                counted += 1
        if split is not None:
            assert not forecast["train"] & forecast["dev"]
    assert counted > SETTINGS


def test_what_is_planted_in_the_horizon_changes_no_number_that_is_read() -> None:
    generator = np.random.default_rng(0)
    form = VectorForm(steps=3, scaled_by=(1,))
    report = CorpusReport(lines=1, dropped={}, examples={}, source_pieces=1, target_pieces=1)
    for _ in range(200):
        source = generator.normal(50, 9, (int(generator.integers(1, 9)), 2)).astype(np.float32)
        target = generator.normal(50, 9, (3, 1)).astype(np.float32)
        plain, planted = (
            learned(VectorCorpus(sources=[source], targets=[one], report=report), form)
            for one in (target, target + np.float32(1e9))
        )
        assert np.array_equal(plain.sources[0], planted.sources[0])
        back = WindowScale.of(source).restored(plain.targets[0].astype(np.float64), [1])
        np.testing.assert_allclose(back, target, rtol=1e-5, atol=1e-4)


def test_a_constant_window_is_zeros() -> None:
    constant = np.full((24, 1), 0.1, np.float32)
    assert not WindowScale.of(constant).scaled(constant, [0]).any()


def table(path: Path, hours: int = 40) -> None:
    """Two series, hour by hour, interleaved: load is 10 an hour, and 1000 above that in b."""
    begin = datetime.datetime(2024, 1, 1)
    lines = ["hour,city,load,sun"]
    for hour in range(hours):
        for city, level in (("a", 0), ("b", 1000)):
            time = begin + datetime.timedelta(hours=hour)
            lines.append(f"{time:%Y-%m-%d %H:%M:%S},{city},{level + 10 * hour},{hour % 24}")
    path.write_text("\n".join(lines) + "\n")


CONFIG = WindowsConfig(
    columns=("sun", "load"),
    targets=("load",),
    window=6,
    horizon=3,
    series="city",
    time="hour",
    split="2024-01-02 06:00:00",
)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_windows_of_two_series_by_definition(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    table(path)
    if suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.csv.read_csv(path), tmp_path / "x.parquet")
        path = tmp_path / "x.parquet"
    train, dev = (list(window_pairs(path, CONFIG, part)) for part in ("train", "dev"))
    # 40 hours, split at 30: 22 windows end before it, and 8 forecast from it on; in both series.
    assert (len(train), len(dev)) == (44, 16)
    source, target, where = train[1]
    assert source.tolist() == [[hour % 24, 10 * hour] for hour in range(1, 7)]
    assert target.tolist() == [[70], [80], [90]]
    assert where.endswith("series 'a', row 2")
    assert train[-1][1].tolist() == [[1270], [1280], [1290]]
    assert dev[0][1].tolist() == [[300], [310], [320]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": ("load", "wind")}, "no column 'wind', only hour, city, load, sun"),
        ({"columns": ("load", "city")}, "column 'city' holds string, not numbers"),
        ({"window": 50}, "series 'a' has 40 rows, but data.windows.window and horizon are 53"),
        ({"split": "soon"}, "data.windows.split: 'soon' is no timestamp"),
        ({"series": ""}, "row 2, column 'hour': 2024-01-01 00:00:00 does not come after"),
    ],
)
def test_mistakes_are_named(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    table(tmp_path / "x.csv")
    config = dataclasses.replace(CONFIG, **{"targets": (), **changes})  # type: ignore[arg-type]
    with pytest.raises(DataError, match=message):
        list(window_pairs(tmp_path / "x.csv", config, "train"))


def test_missing_numbers_are_named_by_row_and_column(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("load\n1\n\n3\n".replace("\n\n", "\nnan\n"))
    config = WindowsConfig(columns=("load",), window=1, horizon=1)
    with pytest.raises(DataError, match=r"row 2, column 'load' is nan, or missing"):
        list(read_series(tmp_path / "x.csv", config.series_window))


def test_a_table_without_rows_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("load\n")
    config = WindowsConfig(columns=("load",), window=1, horizon=1)
    with pytest.raises(DataError, match=r"x\.csv: has no rows"):
        windows_of_table(tmp_path / "x.csv", config)


def test_a_time_that_is_missing_is_named_also_if_it_is_the_only_one(tmp_path: Path) -> None:
    table(tmp_path / "x.csv")
    with (tmp_path / "x.csv").open("a") as file:
        file.write(",c,5,6\n")
    with pytest.raises(DataError, match="row 81, column 'hour' has no time"):
        list(read_series(tmp_path / "x.csv", CONFIG.series_window))


def test_large_whole_numbers_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(f"load\n{2**53 + 1}\n3\n")
    config = WindowsConfig(columns=("load",), window=1, horizon=1)
    (series,) = read_series(tmp_path / "x.csv", config.series_window)
    assert series.values[:, 0].tolist() == [2.0**53, 3.0]


@pytest.mark.parametrize(
    ("written", "split"),
    [
        ("2024-10-01 00:00:00", "2024-10-01 00:00:00"),
        ("2024-10-01", "2024-10-01"),
        ("90", "90"),
        ("'soon'", "soon"),
    ],
)
def test_a_split_is_text_however_yaml_reads_it(written: str, split: str) -> None:
    data = yaml.safe_load(f"windows: {{split: {written}}}")
    assert with_text_of_split(data) == {"windows": {"split": split}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": 0}, "data.windows.window: 0 is too small"),
        ({"columns": ()}, "data.windows.columns: none"),
        ({"targets": ("x",)}, "'x' is none of data.windows.columns"),
        ({"time": ""}, "data.windows.split: by which column"),
        ({"columns": ("load", "load")}, "data.windows.columns: one is named twice"),
    ],
)
def test_settings_are_checked(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(CONFIG, **changes)  # type: ignore[arg-type]


def test_a_training_on_series(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table(tmp_path / "x.csv")
    config = {
        "data": {
            "data_dir": str(tmp_path),
            "train": [{"files": "x.csv"}],
            "dev": {"files": "x.csv"},
            "windows": {
                "columns": ["sun", "load"],
                "targets": ["load"],
                "window": 6,
                "horizon": 3,
                "series": "city",
                "time": "hour",
                "split": "2024-01-02 06:00:00",
            },
        },
        "source": {"kind": "vectors", "width": 2},
        "target": {"kind": "vectors", "width": 1, "length": 3},
        "model": {"embedding_size": 4, "encoder_size": 8, "decoder_size": 8, "dropout": 0.0},
        "optimizer": {"learning_rate": 0.02, "warmup_steps": 2},
        "run": {"max_steps": 40, "eval_every": 40, "batch_tokens": 500, "device": "cpu"},
    }
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps(config))
    assert main([str(path), "--output", str(tmp_path / "run")]) == 0
    checkpoint = load_checkpoint(tmp_path / "run")
    assert checkpoint.vectors.scaled_by == (1,)
    assert checkpoint.vectors.window == CONFIG.series_window
    assert "- Window: 6 steps of sun, load; the next 3 of load\n" in checkpoint.card
    # What was learned at one level holds at any other, since a window is scaled by itself.
    window = np.array([[hour, 10 * hour] for hour in range(6)], np.float64)
    higher = window + np.array([0, 5000])
    low, high = VectorTransducer.load(tmp_path / "run", device="cpu").transduce([window, higher])
    np.testing.assert_allclose(high - low, 5000, atol=0.1)
    assert main([str(path), "--output", str(tmp_path / "b"), "source.width=3"]) == 2
    assert "source.width: 3, but by data.windows.columns it is 2" in capsys.readouterr()[1]
    for split, mistake in (
        ("''", "data.dev: its series are those of data.train"),
        ("2020-01-01 00:00:00", "data: there is no pair for train in the files. Move data.windows"),
    ):
        changed = [str(path), "--output", str(tmp_path / "b"), f"data.windows.split={split}"]
        assert main(changed) == 2
        assert mistake in capsys.readouterr()[1]
