"""Lines of a pipe: they come as they are, and none waits for one that has not been written."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from model.errors import DataError
from model.io.arrivals import arriving_windows
from model.io.lines import iter_raw_lines


@pytest.fixture
def pipe() -> Iterator[tuple[int, io.FileIO]]:
    """The end to read, and the end to write."""
    reader, writer = os.pipe()
    with open(reader, "rb", buffering=0), io.FileIO(writer, "w") as sink:
        yield reader, sink


def test_what_has_arrived_comes_while_the_pipe_is_open(pipe: tuple[int, io.FileIO]) -> None:
    reader, sink = pipe
    windows = arriving_windows(reader, "pipe", 100)
    sink.write(b"first\nsec")
    assert next(windows) == [b"first"]
    sink.write(b"ond\r\n\nfourth\nfif")
    assert next(windows) == [b"second", b"", b"fourth"]
    sink.write(b"th")
    sink.close()
    assert next(windows) == [b"fifth"]
    assert list(windows) == []


def test_no_window_is_larger_than_asked_for(pipe: tuple[int, io.FileIO]) -> None:
    reader, sink = pipe
    sink.write(b"a\nb\nc\nd\ne\n")
    windows = arriving_windows(reader, "pipe", 2)
    assert [next(windows) for _ in range(3)] == [[b"a", b"b"], [b"c", b"d"], [b"e"]]
    sink.close()
    assert list(windows) == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\xef\xbb\xbf",
        b"\xef\xbb\xbfa\x85\r\r\n\xff\x0c\n\rb",
        b"long" * 100_000 + b"\r\n" + b"short\n" * 50_000 + b"long" * 100_000,
    ],
)
def test_lines_are_those_of_a_buffered_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "in.txt"
    path.write_bytes(data)
    with path.open("rb") as stream:
        windows = list(arriving_windows(stream.fileno(), "file", 1000))
    assert all(windows)
    assert [line for window in windows for line in window] == list(
        iter_raw_lines(io.BytesIO(data), "file")
    )


def test_utf16_is_refused(pipe: tuple[int, io.FileIO]) -> None:
    reader, sink = pipe
    sink.write("Hund\n".encode("utf-16"))
    with pytest.raises(DataError, match=r"^pipe: looks like UTF-16"):
        next(arriving_windows(reader, "pipe", 100))


def test_what_cannot_be_read_is_reported() -> None:
    with open(os.devnull, "wb") as unreadable, pytest.raises(DataError, match="cannot be read"):
        next(arriving_windows(unreadable.fileno(), "pipe", 100))
