"""Report: the measurements of a command, as a table for people and as JSON for programs."""

import argparse
import json
from collections.abc import Mapping, Sequence

from model.cli.command import STREAM, open_output
from model.cli.paths import Place

_ERRORS = "backslashreplace"  # for a path that is not text; JSON has the same escape


def add_report_argument(parser: argparse.ArgumentParser) -> None:
    """Add --json."""
    parser.add_argument(
        "--json",
        metavar="FILE",
        help="write the figures as JSON too; - is standard output, in place of the table",
    )


def report_places(json_name: str | None) -> list[Place]:
    """What `write_report` writes, for `refuse_overwriting`."""
    return [("--json", json_name), ("", STREAM)]


def write_report(text: str, figures: Mapping[str, object], json_name: str | None) -> None:
    """Write `text` to standard output, and `figures` to the file named by --json.

    Raises:
        DataError: the file cannot be written, or the disk is full.
    """
    if json_name is not None:
        with open_output(json_name) as output:
            content = json.dumps(figures, indent=2, ensure_ascii=False)
            output.write(f"{content}\n".encode(errors=_ERRORS))
    if json_name != STREAM:
        with open_output(STREAM) as output:
            output.write(text.encode(errors=_ERRORS))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a table with the first column aligned left and all others aligned right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = []
    for row in (header, *rows):
        first, *others = zip(row, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]
        lines.append("  ".join(cells).rstrip() + "\n")
    return "".join(lines)
