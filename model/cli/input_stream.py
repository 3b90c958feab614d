"""Input stream: what a command reads once, from files and pipes, in windows of lines."""

import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from model.cli.command import STREAM
from model.io.arrivals import arriving_windows
from model.io.compression import open_binary
from model.io.lines import iter_raw_lines, read_raw_lines
from model.translator import windows


class StreamWindow(NamedTuple):
    """Lines of one of several inputs."""

    raws: list[bytes]
    name: str
    """Name of the input, for messages."""
    before: int
    """Number of lines of all inputs before it."""


def stream_windows(names: Sequence[str], size: int) -> Iterator[StreamWindow]:
    """The lines of inputs, one after the other, as `input_windows` gives those of each.

    Raises:
        DataError: as `input_windows`, when it is that input's turn.
    """
    count = 0
    for name in names:
        before = count
        for raws in input_windows(name, size):
            yield StreamWindow(raws, "standard input" if name == STREAM else name, before)
            count += len(raws)


def is_stream(name: str) -> bool:
    """Whether a file can be read or written only once, as pipes and devices can."""
    path = Path(name)
    return name == STREAM or (path.exists() and not path.is_file() and not path.is_dir())


def input_windows(name: str, size: int) -> Iterator[list[bytes]]:
    """The lines of a file, or of standard input for `-`, not decoded, in lists of `size`.

    Those of a pipe or a terminal are in shorter lists if it is slow: see `arriving_windows`.

    Raises:
        DataError: it cannot be read, or is damaged.
    """
    if name == STREAM:
        stream, told = sys.stdin.buffer, "standard input"
        if isinstance(stream, io.BufferedReader):
            return arriving_windows(stream.fileno(), told, size)
        # A program that calls the command may have put something else in its place.
        return windows(iter_raw_lines(stream, told), size)
    path = Path(name)
    if is_stream(name) and path.suffix not in (".gz", ".zst"):
        return _pipe_windows(path, size)
    return windows(read_raw_lines(path), size)


def _pipe_windows(path: Path, size: int) -> Iterator[list[bytes]]:
    with open_binary(path) as stream:
        yield from arriving_windows(stream.fileno(), str(path), size)
