"""Report: what a command has measured, as a table for people and as JSON for programs."""

import argparse
import json
from collections.abc import Mapping, Sequence

from model.cli.command import STREAM, open_output

_ERRORS = "backslashreplace"  # of a path that is no text; in JSON it is the very escape


def add_report_argument(parser: argparse.ArgumentParser) -> None:
    """--json."""
    parser.add_argument(
        "--json",
        metavar="FILE",
        help="write the figures as JSON too; - is standard output, in place of the table",
    )


def write_report(text: str, figures: Mapping[str, object], json_name: str | None) -> None:
    """`text` to standard output, `figures` to the file that --json named.

    Raises:
        DataError: the file cannot be written, or the disk is full.
    """
    if json_name is not None:
        with open_output(json_name) as output:
            told = json.dumps(figures, indent=2, ensure_ascii=False)
            output.write(f"{told}\n".encode(errors=_ERRORS))
    if json_name != STREAM:
        with open_output(STREAM) as output:
            output.write(text.encode(errors=_ERRORS))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines with the first column to the left and every other one to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = []
    for row in (header, *rows):
        first, *others = zip(row, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]
        lines.append("  ".join(cells).rstrip() + "\n")
    return "".join(lines)
