"""Progress: a redrawn bar on a terminal, plain lines elsewhere, speed without pauses."""

import io
import math
import os
import re
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

import pytest

from training.tracking.progress_bar import TrainingProgress


class Clock:
    """Time that passes when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("training.tracking.progress_bar.monotonic", clock)
    return clock


def plain_progress(
    *, max_steps: int = 3000, start_step: int = 0, log_every: int = 50
) -> tuple[TrainingProgress, io.StringIO]:
    stream = io.StringIO()
    progress = TrainingProgress(
        max_steps=max_steps, start_step=start_step, log_every=log_every, stream=stream
    )
    return progress, stream


def steps(
    progress: TrainingProgress,
    clock: Clock,
    numbers: range,
    *,
    seconds: float = 0.5,
    loss: float = 4.0,
) -> None:
    for number in numbers:
        clock.now += seconds
        progress.update(
            number, loss=loss, learning_rate=7.5e-4, source_tokens=825, target_tokens=905
        )


def test_a_line_every_so_many_steps_says_everything(clock: Clock) -> None:
    progress, stream = plain_progress()
    with progress:
        steps(progress, clock, range(1, 120))

    # 2,900 steps remain at 2 a second.
    assert stream.getvalue().splitlines() == [
        "step 50/3,000  loss 4.000  lr 7.5e-04  2.0 updates/s  1,650+1,810 tokens/s  eta 0:24:35",
        "step 100/3,000  loss 4.000  lr 7.5e-04  2.0 updates/s  1,650+1,810 tokens/s  eta 0:24:10",
    ]


def test_the_last_step_has_a_line(clock: Clock) -> None:
    progress, stream = plain_progress(max_steps=7, start_step=4)
    with progress:
        steps(progress, clock, range(5, 8), seconds=4000)

    assert stream.getvalue() == (
        "step 7/7  loss 4.000  lr 7.5e-04  0.00 updates/s  0+0 tokens/s  eta 0:00:00\n"
    )


def test_hours_are_not_cut_into_days(clock: Clock) -> None:
    progress, stream = plain_progress(max_steps=101, log_every=1)
    with progress:
        steps(progress, clock, range(1, 2), seconds=3601)

    assert stream.getvalue().endswith("eta 100:01:40\n")


def test_pauses_do_not_slow_the_rates_but_keep_their_share_of_the_time_left(clock: Clock) -> None:
    progress, stream = plain_progress(max_steps=1000, log_every=100)
    with progress:
        steps(progress, clock, range(1, 100))
        with progress.paused():
            clock.now += 50
        steps(progress, clock, range(100, 101))

    assert progress.totals == pytest.approx((2.0, 1650.0, 1810.0))
    assert progress.recent == pytest.approx((2.0, 1650.0, 1810.0))
    # 100 steps took 100 seconds, half of them paused; 900 steps remain.
    assert stream.getvalue().endswith("2.0 updates/s  1,650+1,810 tokens/s  eta 0:15:00\n")


def test_an_error_inside_a_pause_ends_it(clock: Clock) -> None:
    progress, _ = plain_progress()
    with progress:
        with pytest.raises(KeyboardInterrupt), progress.paused():
            clock.now += 50
            raise KeyboardInterrupt
        steps(progress, clock, range(1, 3))

    assert progress.totals.updates_per_s == pytest.approx(2.0)


def test_recent_speed_forgets_what_is_older_than_thirty_seconds(clock: Clock) -> None:
    progress, _ = plain_progress()
    with progress:
        steps(progress, clock, range(1, 11), seconds=10)
        steps(progress, clock, range(11, 131), seconds=0.25)

    assert progress.recent.updates_per_s == pytest.approx(4.0)
    assert progress.totals.updates_per_s == pytest.approx(130 / 130)


def test_recent_speed_of_slow_steps_is_that_of_the_last(clock: Clock) -> None:
    progress, _ = plain_progress()
    with progress:
        steps(progress, clock, range(1, 4), seconds=50)
        steps(progress, clock, range(4, 5), seconds=100)

    assert progress.recent.updates_per_s == pytest.approx(0.01)


def test_there_is_no_speed_before_the_first_step() -> None:
    progress, _ = plain_progress()
    with progress:
        assert progress.totals == (0.0, 0.0, 0.0)


def test_loss_is_the_mean_over_pieces_without_skipped_updates(clock: Clock) -> None:
    progress, stream = plain_progress(log_every=4)
    with progress:
        for step, (loss, tokens) in enumerate(
            [(4.0, 300), (math.nan, 1000), (2.0, 100), (math.inf, 50)], start=1
        ):
            clock.now += 1
            progress.update(
                step, loss=loss, learning_rate=1e-3, source_tokens=10, target_tokens=tokens
            )

    assert "  loss 3.500  " in stream.getvalue()


def test_nothing_but_skipped_updates_shows_no_loss(clock: Clock) -> None:
    progress, stream = plain_progress(log_every=1)
    with progress:
        steps(progress, clock, range(1, 2), loss=math.nan)

    assert "  loss -  " in stream.getvalue()


def test_messages_are_lines_between(clock: Clock) -> None:
    progress, stream = plain_progress(log_every=1)
    with progress:
        progress.message("dev [bold]BLEU[/bold] 12.3")
        steps(progress, clock, range(1, 2))

    assert stream.getvalue().splitlines()[0] == "dev [bold]BLEU[/bold] 12.3"
    assert stream.getvalue().count("\n") == 2


def shown_on_a_terminal(write: Callable[[TextIO], None]) -> str:
    """What `write` writes to a terminal."""
    reader, terminal = os.openpty()
    chunks: list[bytes] = []

    def read() -> None:
        with suppress(OSError):  # how Linux says that the other end is closed
            while chunk := os.read(reader, 4096):
                chunks.append(chunk)

    thread = threading.Thread(target=read)
    thread.start()
    with os.fdopen(terminal, "w", encoding="utf-8") as stream:
        write(stream)
    thread.join()
    os.close(reader)
    return b"".join(chunks).decode()


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_shows_a_bar_with_messages_above(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, columns: int
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.delenv("NO_COLOR", raising=False)

    def train(terminal: TextIO) -> None:
        progress = TrainingProgress(max_steps=3000, start_step=0, log_every=1, stream=terminal)
        with progress:
            progress.message("dev [bold]BLEU[/bold] 12.3 " + "x" * columns)
            steps(progress, clock, range(1, 1501))

    output = shown_on_a_terminal(train)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output)
    assert "dev [bold]BLEU[/bold] 12.3 " + "x" * columns + "\r\n" in text  # in one line
    last = text.rstrip().rpartition("\r")[2]
    bar, _, words = last.partition(" ")
    assert words == "step 1,500/3,000 loss 4.000 2.0 updates/s 1,650+1,810 tokens/s eta 0:12:30"
    assert set(bar) <= set("━╸╺") and len(last) == columns
    assert text.count("step 1,500/3,000") == 1  # not a line for each step
    assert output.rstrip().endswith("\x1b[?25h")  # the cursor is back


def test_a_bar_leaves_stdout_alone_and_keeps_warnings_above(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")

    def train(terminal: TextIO) -> None:
        monkeypatch.setattr("sys.stderr", terminal)
        with TrainingProgress(max_steps=3000, start_step=0, log_every=1):
            print("a result")
            print("a warning", file=sys.stderr)

    output = shown_on_a_terminal(train)

    assert capsys.readouterr().out == "a result\n"
    assert "\x1b[2Ka warning\r\n" in output  # the bar was erased first
