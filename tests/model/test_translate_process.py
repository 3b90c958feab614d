"""dragoman-translate as a process: pipes, signals and readers that go away."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE_S

Translate = Callable[..., Any]  # see conftest.py

TEXT = "der Hund läuft.\n\n10 Hunde\n"


def command(run: Path, *flags: str) -> list[str]:
    return [sys.executable, "-m", "model.translate", str(run), "--precision", "fp32", *flags]


def test_a_process_from_pipe_to_pipe(translate: Translate, tiny_checkpoint: Path) -> None:
    done = subprocess.run(command(tiny_checkpoint), input=TEXT.encode(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == translate(tiny_checkpoint, TEXT).output


@pytest.mark.parametrize("flags", [[], ["--line-buffered"]])
def test_a_process_answers_a_line_before_the_next_one_is_written(
    translate: Translate, tiny_checkpoint: Path, flags: list[str]
) -> None:
    expected = translate(tiny_checkpoint, TEXT).output.splitlines(keepends=True)
    with subprocess.Popen(
        command(tiny_checkpoint, *flags),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        watchdog = threading.Timer(PATIENCE_S, process.kill)  # then nothing more is read
        watchdog.start()
        try:
            for line, answer in zip(TEXT.splitlines(keepends=True), expected, strict=True):
                process.stdin.write(line.encode())
                process.stdin.flush()
                assert process.stdout.readline() == answer
            process.stdin.close()
            assert process.stdout.read() == b""
            assert process.wait(timeout=PATIENCE_S) == 0
        finally:
            watchdog.cancel()
            process.kill()


def test_a_process_that_is_told_to_end_leaves_nothing_behind(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.txt"
    output.write_text("earlier\n")
    with subprocess.Popen(
        command(tiny_checkpoint, "--output", str(output)),
        stdin=subprocess.PIPE,  # which says nothing: the command waits for lines
        stderr=subprocess.PIPE,
    ) as process:
        try:
            while len(list(tmp_path.iterdir())) < 2:
                assert process.poll() is None
                time.sleep(0.05)
            time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=PATIENCE_S) == 143
        finally:
            process.kill()
        assert process.stderr is not None
        assert len(process.stderr.read().splitlines()) == 1
    assert list(tmp_path.iterdir()) == [output]
    assert output.read_text() == "earlier\n"


def test_a_process_whose_reader_goes_away(tiny_checkpoint: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.txt"
    source.write_text((" " * 50 + "\n") * 20_000)
    process = subprocess.Popen(
        command(tiny_checkpoint, "--input", str(source)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == b" " * 50 + b"\n"
    process.stdout.close()
    errors = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait() == 141
    assert len(errors.splitlines()) == 1, errors
