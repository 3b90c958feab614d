"""Traffic: what a package that carries it must have, gaps, the parts, and where it is absent."""

import csv
import datetime
import math
import sys
import zipfile
from pathlib import Path

import pytest

from training.config.train_config import load_config
from training.demo.traffic import BEFORE, TEST, WEEK, circles, filled, main
from training.vectors.run_windows import windows_of_table

CONFIG = Path(__file__).parents[3] / "configs" / "traffic.yaml"
FIRST = datetime.datetime(2018, 6, 1)
HOURS = 40 * 24
GAPS = (3, 200, 201)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The archive of a package with a table of 40 days, which would not survive being imported."""
    data = tmp_path / "packages" / "autots" / "datasets" / "data"
    data.mkdir(parents=True)
    (data.parents[1] / "__init__.py").write_text("raise ImportError('needs pandas')\n")
    rows = ["datetime,clouds_all,traffic_volume"]
    for hour in range(HOURS):
        time = FIRST + datetime.timedelta(hours=hour)
        rows.append(f"{time:%Y-%m-%d %H:%M:%S},40,{'' if hour in GAPS else hour}")
    with zipfile.ZipFile(data / "traffic_hourly.zip", "w") as archive:
        archive.writestr("traffic_hourly.csv", "\n".join(rows) + "\n")
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    monkeypatch.delitem(sys.modules, "autots", raising=False)
    return data / "traffic_hourly.zip"


def test_tables_are_those_that_the_config_reads(package: Path, tmp_path: Path) -> None:
    assert main([str(tmp_path / "data")]) == 0
    tables = {}
    for name in ("traffic", "test"):
        with (tmp_path / "data" / f"{name}.csv").open() as file:
            tables[name] = list(csv.DictReader(file))
    first = (datetime.datetime.fromisoformat(TEST) - FIRST) // datetime.timedelta(hours=1)
    assert [int(row["vehicles"]) for row in tables["test"]] == list(range(first - BEFORE, HOURS))
    expected = list(range(first))
    for gap, known in zip(GAPS, (2, 200 - WEEK, 201 - WEEK), strict=True):
        expected[gap] = known
    assert [int(row["vehicles"]) for row in tables["traffic"]] == expected
    windows = load_config(CONFIG).data.windows
    assert windows is not None
    assert windows.window == BEFORE
    pairs = windows_of_table(tmp_path / "data" / "test.csv", windows)
    # Each day of the test is forecast once, from its first hour on.
    forecast = [vehicles for target in pairs.targets for (vehicles,) in target.tolist()]
    assert forecast == list(range(first, HOURS))


def test_a_gap_is_filled_by_what_was_known_by_then() -> None:
    rows = [
        {"datetime": f"2018-06-{day:02} {hour:02}:00:00", "traffic_volume": str(24 * day + hour)}
        for day in range(1, 16)
        for hour in range(24)
    ]
    for place in (5, WEEK + 7, 2 * WEEK + 7):
        rows[place]["traffic_volume"] = ""
    vehicles = [one.vehicles for one in filled(rows)]
    assert vehicles[5] == vehicles[4]
    assert vehicles[2 * WEEK + 7] == vehicles[WEEK + 7] == vehicles[7]


def test_hours_lie_on_the_circles_of_day_and_week() -> None:
    monday, later = (
        [float(number) for number in circles(f"2018-07-0{day} {hour}:00:00")]
        for day, hour in ((2, "00"), (5, "12"))
    )
    assert monday == [0, 1, 0, 1]
    # Thursday noon: half of a day, and 3.5 days of 7.
    assert later == pytest.approx([0, -1, 0, -1], abs=1e-4)
    six, _, morning, _ = (float(number) for number in circles("2018-07-02 06:00:00"))
    assert (six, morning) == pytest.approx((1, math.sin(2 * math.pi / 28)), abs=1e-4)


def test_an_absent_package_is_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "autots", None)  # as if it were absent, wherever this runs
    assert main([str(tmp_path / "data")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        "the package autots, which has the data, is not installed. Install it: "
        "pip install --no-deps autots==1.0.4"
    )
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("content", [None, b"", b"no archive", "datetime,speed\n1,2\n"])
def test_another_version_of_the_package_is_a_line(
    content: bytes | str | None,
    package: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    package.unlink()
    if isinstance(content, bytes):
        package.write_bytes(content)
    elif content is not None:
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("traffic_hourly.csv", content)
    assert main([str(tmp_path / "data")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "traffic_hourly.zip: " in line
    assert line.endswith("pip install --no-deps autots==1.0.4")
