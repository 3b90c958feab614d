"""The input of a stream: named pipes answer line by line, files come in full windows."""

import os
from pathlib import Path

from model.cli.input_stream import input_windows, is_stream


def test_a_named_pipe_is_read_as_its_lines_arrive(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert is_stream(str(path))
    writer = os.open(path, os.O_RDWR)  # opening it for writing alone would wait for the reader
    try:
        windows = input_windows(str(path), 100)
        os.write(writer, b"first\nsec")
        assert next(windows) == [b"first"]
        os.write(writer, b"ond\nthird\n")
        assert next(windows) == [b"second", b"third"]
    finally:
        os.close(writer)
    assert list(windows) == []


def test_a_file_comes_in_full_windows(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_bytes(b"a\nb\nc")
    assert not is_stream(str(path))
    assert list(input_windows(str(path), 2)) == [[b"a", b"b"], [b"c"]]
