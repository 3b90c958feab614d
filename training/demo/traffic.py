"""Hourly traffic on a motorway, from a package that carries it, as a table to forecast.

    pip install --no-deps autots==1.0.4
    python -m training.demo.traffic FOLDER

writes traffic.csv and test.csv into FOLDER: two years of westbound traffic on Interstate 94 between
Minneapolis and St Paul ("Metro Interstate Traffic Volume", UCI Machine Learning Repository, CC BY
4.0, as the package autots has it), hour by hour, with the place of the hour in day and week. The
first table ends where the test begins; the second begins two weeks earlier, because forecasts are
made from those. docs/vectors.md trains on them.
"""

import argparse
import csv
import datetime
import importlib.util
import io
import math
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from model.cli.command import OK, command_parser, run_command
from model.errors import DataError
from model.io.compression import ZIP_DAMAGE
from model.io.lines import atomic_output

PACKAGE, VERSION = "autots", "1.0.4"
PLACE = "datasets/data/traffic_hourly.zip"
WEEK = 7 * 24
"""Hours of a week."""
BEFORE = 2 * WEEK
"""Hours of test.csv before the first that is forecast: `window` of the config."""
TEST = "2018-07-01 00:00:00"
"""The first hour that is forecast in the test."""


class Hour(NamedTuple):
    """A row: an hour of local time, as in 2018-07-01 00:00:00, and the vehicles in it.

    The other columns are the place of the hour on the circle of a day, and on that of a week.
    """

    hour: str
    vehicles: str
    day_sine: str
    day_cosine: str
    week_sine: str
    week_cosine: str


def packaged_table(package: str = PACKAGE) -> list[dict[str, str]]:
    """The table as the package has it, which is not imported, so that it needs no other packages.

    Raises:
        DataError: it is not installed, or has no such table.
    """
    install = f"Install it: pip install --no-deps {PACKAGE}=={VERSION}"
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise DataError(f"the package {package}, which has the data, is not installed. {install}")
    path = Path(spec.submodule_search_locations[0]) / PLACE
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read(archive.namelist()[0]).decode()
    except (*ZIP_DAMAGE, IndexError) as error:
        raise DataError(f"{path}: no table of traffic can be read ({error}). {install}") from error
    rows = list(csv.DictReader(io.StringIO(text)))
    if not rows or not {"datetime", "traffic_volume"} <= rows[0].keys():
        raise DataError(f"{path}: has no columns datetime and traffic_volume. {install}")
    return rows


def filled(rows: Iterable[dict[str, str]]) -> list[Hour]:
    """The hours, where none is missing: one that was not counted is as it was a week before.

    In the first week it is as the hour before. Both are known at that time, so that nothing of what
    comes later gets into a window.
    """
    hours: list[Hour] = []
    for row in rows:
        vehicles = row["traffic_volume"]
        if not vehicles:
            vehicles = hours[-WEEK if len(hours) >= WEEK else -1].vehicles
        hours.append(Hour(row["datetime"], vehicles, *circles(row["datetime"])))
    return hours


def circles(hour: str) -> list[str]:
    """Sine and cosine of an hour in its day, and in its week from Monday on."""
    time = datetime.datetime.fromisoformat(hour)
    turns = (time.hour / 24, (24 * time.weekday() + time.hour) / WEEK)
    angles = [2 * math.pi * turn for turn in turns]
    return [f"{function(angle):.4f}" for angle in angles for function in (math.sin, math.cos)]


def write_table(path: Path, hours: Iterable[Hour]) -> None:
    """Write a .csv file with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Hour._fields)
    writer.writerows(hours)
    with atomic_output(path) as output:
        output.write(text.getvalue().encode())


def _write(arguments: argparse.Namespace) -> int:
    folder = Path(arguments.folder)
    rows = packaged_table()
    hours = filled(rows)
    test = sum(one.hour < TEST for one in hours)
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in (("traffic", hours[:test]), ("test", hours[test - BEFORE :])):
        write_table(folder / f"{name}.csv", part)
        print(f"{name}: {len(part):,} hours, {part[0].hour} to {part[-1].hour}")
    print(f"filled in: {sum(not row['traffic_volume'] for row in rows):,} hours")
    return OK


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = command_parser("python -m training.demo.traffic", __doc__.splitlines()[0], "")
    parser.add_argument("folder", metavar="FOLDER", help="where the tables are written")
    return run_command(parser.prog, lambda: _write(parser.parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
