"""Dates in every form to ISO 8601, numbers to words and words to numbers, a letter at a time.

    python -m training.demo.rewrites FOLDER

writes train, dev and test pairs into FOLDER, as NAME.source and NAME.target. docs/symbols.md trains
on them.
"""

import argparse
import datetime
import random
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from model.cli.command import OK, command_parser, run_command
from model.io.lines import atomic_output
from training.demo.lexicon import MONTHS
from training.demo.wording import english_number, english_ordinal, german_number

FIRST, LAST = datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)
MOST = 9999
"""The largest number."""
HELD_OUT = 5
"""One date and one number in so many are for dev and test alone, in each of their forms."""
SIZES = {"train": 40_000, "dev": 500, "test": 2_000}


class Rewrite(NamedTuple):
    """What is read and what is written for it."""

    source: str
    target: str


def _ordinal(day: int) -> str:
    ending = "th" if 10 < day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


_GERMAN, _ENGLISH = (tuple(month[side] for month in MONTHS) for side in range(2))
DATE_FORMS: tuple[Callable[[datetime.date], str], ...] = (
    lambda date: f"{date.day}.{date.month}.{date.year}",
    lambda date: f"{date.day:02}.{date.month:02}.{date.year}",
    lambda date: f"{date.day}. {_GERMAN[date.month - 1]} {date.year}",
    lambda date: f"{date.month}/{date.day}/{date.year}",  # as in the United States
    lambda date: f"{date.year}/{date.month:02}/{date.day:02}",
    lambda date: f"{_ENGLISH[date.month - 1]} {date.day}, {date.year}",
    lambda date: f"{_ENGLISH[date.month - 1][:3]} {date.day}, {date.year}",
    lambda date: f"{date.day} {_ENGLISH[date.month - 1]} {date.year}",
    lambda date: f"{_ordinal(date.day)} of {_ENGLISH[date.month - 1]} {date.year}",
    lambda date: f"the {english_ordinal(date.day)} of {_ENGLISH[date.month - 1]}, {date.year}",
    lambda date: f"{date.year} {_ENGLISH[date.month - 1][:3]} {date.day:02}",
)
"""Each form tells day, month and year, and no two forms of different dates are alike."""
NUMBER_FORMS: tuple[Callable[[int], Rewrite], ...] = (
    lambda number: Rewrite(str(number), english_number(number)),
    lambda number: Rewrite(english_number(number), str(number)),
    lambda number: Rewrite(german_number(number), str(number)),
)


def is_held_out(value: int) -> bool:
    """Whether a number, or the day of a date (days since 0001-01-01), is not for training."""
    return random.Random(value).randrange(HELD_OUT) == 0


def rewrites(seed: str, *, held_out: bool) -> Iterator[Rewrite]:
    """Pairs without end, as many dates as numbers, of values that training has or has not."""
    draw = random.Random(seed)
    while True:
        day = draw.randint(FIRST.toordinal(), LAST.toordinal())
        if is_held_out(day) == held_out:
            date = datetime.date.fromordinal(day)
            yield Rewrite(draw.choice(DATE_FORMS)(date), date.isoformat())
        number = int((MOST + 1) ** draw.random()) if draw.random() < 0.2 else draw.randint(0, MOST)
        if is_held_out(number) == held_out:
            yield draw.choice(NUMBER_FORMS)(number)


def _write(arguments: argparse.Namespace) -> int:
    folder = Path(arguments.folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in SIZES.items():
        pairs = list(islice(rewrites(f"1 {name}", held_out=name != "train"), count))
        for side in Rewrite._fields:
            with atomic_output(folder / f"{name}.{side}") as output:
                output.write("".join(f"{getattr(pair, side)}\n" for pair in pairs).encode())
        print(f"{name}: {count:,} pairs")
    return OK


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = command_parser("python -m training.demo.rewrites", __doc__.splitlines()[0], "")
    parser.add_argument("folder", metavar="FOLDER", help="where the pairs are written")
    return run_command(parser.prog, lambda: _write(parser.parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
