"""`dragoman-data`: fetch the public sets that the shipped configs name."""

if __name__ == "__main__":  # before the imports, which take seconds
    from training import commands

    commands.public_data()

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from model.cli.command import OK, command_parser, run_command
from model.errors import ConfigError
from training.corpora.catalogue import CATALOGUE, PublicSet, describe

NAME = "dragoman-data"
DESCRIPTION = """\
Fetch a public set that the configs name, from where it lies, into DIR/NAME. A download that stops
is taken up by the same command; checksums are verified; licence and attribution are printed, and
written to DIR/NAME/_about.txt. Without a connection it says what to get from where, and where to
put it.

For NAME `list`, describe the sets and stop.
"""

EXAMPLE = """\
examples:
  dragoman-data list
  dragoman-data tatoeba-de-en corpora
  DRAGOMAN_DATA=corpora dragoman-train configs/tatoeba_de_en.yaml --output runs/de-en
"""


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    command = command_parser(NAME, DESCRIPTION, EXAMPLE)
    names = ", ".join(public.name for public in CATALOGUE)
    command.add_argument("name", metavar="NAME", help=f"{names}, or list")
    command.add_argument(
        "directory",
        metavar="DIR",
        nargs="?",
        type=Path,
        help="folder of all sets (default: the variable DRAGOMAN_DATA)",
    )
    return command


def find(name: str) -> PublicSet:
    """Find a set by its name.

    Raises:
        ConfigError: there is none of this name.
    """
    for public in CATALOGUE:
        if public.name == name:
            return public
    known = ", ".join(public.name for public in CATALOGUE)
    raise ConfigError(f"{name!r} is no set. There are {known}; `{NAME} list` describes them.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""

    def command() -> int:
        arguments = parser().parse_args(argv)
        if arguments.name == "list":
            print("\n\n".join(map(describe, CATALOGUE)))
            return OK
        public = find(arguments.name)
        variable = os.environ.get("DRAGOMAN_DATA")
        if arguments.directory is None and not variable:
            raise ConfigError("DIR is missing. Give a folder, or set the variable DRAGOMAN_DATA.")
        print(describe(public), flush=True)
        print(_fetch(public, arguments.directory or Path(variable or "")))
        return OK

    return run_command(NAME, command)


def _fetch(public: PublicSet, base: Path) -> str:
    """Fetch a set.

    Raises:
        ConfigError: pooch, which only this command needs, is not installed.
        DataError: see `fetch_set`.
    """
    try:
        import pooch
    except ImportError as error:
        raise ConfigError(
            "pooch is not installed, with which files are fetched. `pip install pooch`, or install "
            "Dragoman with its extra `data`."
        ) from error
    from training.corpora.fetch import fetch_set

    pooch.get_logger().setLevel("WARNING")  # what it would say is said here
    return fetch_set(public, base)
