"""Progress of a download: a bar on a terminal, or a line now and then in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

INTERVAL_S = 10.0


@contextmanager
def byte_progress(
    name: str, interval_s: float = INTERVAL_S
) -> Iterator[Callable[[int, int | None], None]]:
    """Show progress on stderr; yields a function for the bytes that are there and for all of them.

    Where stderr is no terminal, a plain line is written every `interval_s`.
    """
    shown = time.monotonic()

    def log(have: int, total: int | None) -> None:
        nonlocal shown
        if time.monotonic() - shown >= interval_s:
            shown = time.monotonic()
            whole = f" of {total / 1e6:,.1f}" if total else ""
            print(f"{name}: {have / 1e6:,.1f}{whole} MB", file=sys.stderr)

    if not sys.stderr.isatty():
        yield log
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(name, total=None)

        def show(have: int, total: int | None) -> None:
            progress.update(task, completed=have, total=total)

        yield show
