"""Progress on stderr: a bar on a terminal, lines in a log, nothing for what is soon done."""

import io
import os
import pty
import re
import sys

import pytest

from model.io.progress import bar_fits, line_progress


def test_a_short_job_leaves_nothing_behind(capsys: pytest.CaptureFixture[str]) -> None:
    with line_progress("dragoman-test", 3) as advance:
        for _ in range(3):
            advance(1)
    assert capsys.readouterr() == ("", "")


def test_a_log_has_plain_lines_and_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    with line_progress("dragoman-test", None, interval_s=0) as advance:
        advance(1200)
        advance(34)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" lines in ")[0] for line in lines] == [
        "dragoman-test: 1,200",
        "dragoman-test: 1,234",
        "dragoman-test: done: 1,234",
    ]
    assert all(line.endswith(" lines/s") and "\x1b" not in line for line in lines)


def test_a_log_tells_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    with line_progress("dragoman-test", 4000, interval_s=0) as advance:
        advance(1000)
        advance(3000)
    first, second, third = capsys.readouterr().err.splitlines()
    assert re.search(r" lines/s, 25\.0% of 4,000, 0:00:0\d left$", first)
    assert second.endswith(" lines/s") and third.endswith(" lines/s")


def test_a_failed_job_has_no_summary(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), line_progress("dragoman-test", None, interval_s=0):
        raise KeyboardInterrupt
    assert capsys.readouterr().err == ""


def test_a_terminal_has_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    master, terminal = pty.openpty()
    with open(terminal, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "120")
        assert bar_fits()
        with line_progress("dragoman-test", 8) as advance:
            advance(5)
        monkeypatch.undo()
        shown = ""
        while "5/8" not in shown:  # what was written may come in parts
            shown += os.read(master, 1 << 16).decode()
    os.close(master)
    assert "dragoman-test" in shown
    assert "5/8" in shown
    assert "lines/s" in shown


def test_no_bar_where_the_output_goes_to_the_same_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    master, terminal = pty.openpty()
    with open(terminal, "w") as screen:
        monkeypatch.setattr(sys, "stderr", screen)
        monkeypatch.setattr(sys, "stdout", screen)
        assert not bar_fits()
        assert bar_fits(to_file=True)
        monkeypatch.setattr(sys, "stdout", io.StringIO())
        assert bar_fits()
    os.close(master)
