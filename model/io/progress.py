"""Progress of a long job over lines: a bar on a terminal, or a line now and then in a log."""

import datetime
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

INTERVAL_S = 10.0


def bar_fits(*, to_file: bool = False) -> bool:
    """Tell whether a bar can be shown: stderr is a terminal, and the output goes elsewhere.

    Args:
        to_file: whether the output goes to a file, not to stdout.
    """
    return sys.stderr.isatty() and (to_file or not sys.stdout.isatty())


@contextmanager
def line_progress(
    name: str, total: int | None, interval_s: float = INTERVAL_S, *, to_file: bool = False
) -> Iterator[Callable[[int], None]]:
    """Show progress on stderr; yields a function to be called with the number of lines just done.

    Where no bar fits, a plain line is written every `interval_s`, with the time left if the total
    is known. A job that took at least that long ends with a summary; a shorter one leaves no trace.

    Args:
        name: the command.
        total: lines in all; None if unknown.
        to_file: whether the output goes to a file, not to stdout.
    """
    start = shown = time.monotonic()
    done = 0

    def log(word: str) -> None:
        seconds = max(time.monotonic() - start, 1e-6)
        rate = f"{done / seconds:,.1f} lines/s"
        left = ""
        if total is not None and 0 < done < total:
            rest = datetime.timedelta(seconds=round(seconds * (total - done) / done))
            left = f", {done / total:.1%} of {total:,}, {rest} left"
        print(f"{name}: {word}{done:,} lines in {seconds:,.0f} s, {rate}{left}", file=sys.stderr)

    def count(lines: int) -> None:
        nonlocal done, shown
        done += lines
        if time.monotonic() - shown >= interval_s:
            shown = time.monotonic()
            log("")

    def count_in_bar(lines: int) -> None:
        nonlocal done
        done += lines
        show(lines)

    if bar_fits(to_file=to_file):
        with _bar(name, total) as show:
            yield count_in_bar
    else:
        yield count
    if time.monotonic() - start >= interval_s:
        log("done: ")


@contextmanager
def _bar(name: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a rich bar with lines, lines/s and, if the total is known, the time left."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("lines  {task.fields[rate]:,.1f} lines/s"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(name, total=total, rate=0.0)

        def show(lines: int) -> None:
            progress.update(task, advance=lines, rate=progress.tasks[0].speed or 0.0)

        yield show
