"""Progress of a training: a bar on a terminal, plain lines elsewhere."""

import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from time import monotonic
from types import TracebackType
from typing import NamedTuple, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

WINDOW_SECONDS = 30.0
REFRESHES_PER_S = 2  # drawing takes a few milliseconds of the core that trains


class Rates(NamedTuple):
    """Speed while training; pauses do not count. Tokens are pieces without padding."""

    updates_per_s: float
    source_tokens_per_s: float
    target_tokens_per_s: float


class _Mark(NamedTuple):
    """Sums from the start up to one step."""

    seconds: float = 0.0  # without pauses
    updates: int = 0
    source_tokens: int = 0
    target_tokens: int = 0
    loss: float = 0.0  # nats over all the pieces of `loss_tokens`
    loss_tokens: int = 0  # target pieces of the steps whose loss is finite


class TrainingProgress:
    """Shows step, loss, learning rate, speed and time left; a context manager.

    On a terminal a bar is redrawn in place; elsewhere every `log_every` steps, and the last step,
    print one line. Loss (a mean per target piece) and speed are those of the last 30 seconds of
    training, or of the last step if it took longer. Time spent in `paused` does not count as
    training, but the time left assumes that pauses keep their share.
    """

    def __init__(
        self, *, max_steps: int, start_step: int, log_every: int, stream: TextIO | None = None
    ) -> None:
        """Start at `start_step` of `max_steps`; show on `stream`, or on stderr if None.

        Args:
            max_steps: 0 if it is not known yet; see `plan`.
        """
        self._max_steps = max_steps
        self._ends_at: float | None = None
        self._step = start_step
        self._log_every = log_every
        self._stream = sys.stderr if stream is None else stream
        self._learning_rate = 0.0
        self._started = monotonic()
        self._paused_seconds = 0.0
        self._marks = deque([_Mark()])
        self._live = _live(self, self._stream) if self._stream.isatty() else None

    def __enter__(self) -> Self:
        self._started = monotonic()
        if self._live:
            self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def plan(self, max_steps: int, *, ends_at: float | None) -> None:
        """Take `max_steps` as the last step from now on.

        Args:
            ends_at: time of `time.monotonic` at which it is due, if that decides.
        """
        self._max_steps, self._ends_at = max_steps, ends_at

    def update(
        self,
        step: int,
        *,
        loss: float,
        learning_rate: float,
        source_tokens: int,
        target_tokens: int,
    ) -> None:
        """Count a step: its mean loss in nats per target piece, and its pieces.

        A loss that is not finite, from an update that was skipped, stays out of the mean.
        """
        self._step = step
        self._learning_rate = learning_rate
        last = self._marks[-1]
        finite = isfinite(loss)
        mark = _Mark(
            seconds=monotonic() - self._started - self._paused_seconds,
            updates=last.updates + 1,
            source_tokens=last.source_tokens + source_tokens,
            target_tokens=last.target_tokens + target_tokens,
            loss=last.loss + loss * target_tokens if finite else last.loss,
            loss_tokens=last.loss_tokens + target_tokens if finite else last.loss_tokens,
        )
        self._marks.append(mark)
        while len(self._marks) > 2 and self._marks[1].seconds <= mark.seconds - WINDOW_SECONDS:
            self._marks.popleft()
        if self._live is None and (step % self._log_every == 0 or step == self._max_steps):
            self.message("  ".join(self._words()))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Exclude the time inside, such as that of a validation, from the speed."""
        began = monotonic()
        try:
            yield
        finally:
            self._paused_seconds += monotonic() - began

    def message(self, text: str) -> None:
        """Print a line; a bar stays below it."""
        if self._live:
            self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=self._stream, flush=True)

    @property
    def recent(self) -> Rates:
        """Mean speed in the last 30 seconds of training."""
        return _rates(self._marks[0], self._marks[-1])

    @property
    def totals(self) -> Rates:
        """Mean speed since the start."""
        return _rates(_Mark(), self._marks[-1])

    def bar(self) -> Table:
        """Draw the present bar."""
        words = [word for word in self._words() if not word.startswith("lr")]  # room for the bar
        row = Table.grid(padding=(0, 1), expand=True)
        row.add_column(ratio=1)
        for _ in words:
            row.add_column(no_wrap=True)
        row.add_row(ProgressBar(total=self._max_steps or None, completed=self._step), *words)
        return row

    def _words(self) -> list[str]:
        rates, first, last = self.recent, self._marks[0], self._marks[-1]
        loss_tokens = last.loss_tokens - first.loss_tokens
        loss = f"{(last.loss - first.loss) / loss_tokens:.3f}" if loss_tokens else "-"
        digits = 1 if rates.updates_per_s >= 1 else 2
        return [
            f"step {self._step:,}/{self._max_steps:,}"
            if self._max_steps
            else f"step {self._step:,}",
            f"loss {loss}",
            f"lr {self._learning_rate:.1e}",
            f"{rates.updates_per_s:.{digits}f} updates/s",
            f"{rates.source_tokens_per_s:,.0f}+{rates.target_tokens_per_s:,.0f} tokens/s",
            f"eta {self._time_left(rates.updates_per_s)}",
        ]

    def _time_left(self, updates_per_s: float) -> str:
        if self._ends_at is not None:
            return _clock(max(self._ends_at - monotonic(), 0.0))
        if not updates_per_s:
            return "-:--:--"
        training = self._marks[-1].seconds
        share = (training + self._paused_seconds) / training
        return _clock((self._max_steps - self._step) / updates_per_s * share)


def _clock(time_left: float) -> str:
    seconds = round(time_left)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _live(progress: TrainingProgress, terminal: TextIO) -> Live:
    return Live(
        get_renderable=progress.bar,
        console=Console(file=terminal, force_terminal=True),
        refresh_per_second=REFRESHES_PER_S,
        redirect_stdout=False,  # it may be a file, and stays one
        redirect_stderr=terminal is sys.stderr,  # so that warnings do not cut the bar in two
    )


def _rates(first: _Mark, last: _Mark) -> Rates:
    seconds = last.seconds - first.seconds
    if not seconds:  # no step yet
        return Rates(0.0, 0.0, 0.0)
    return Rates(
        updates_per_s=(last.updates - first.updates) / seconds,
        source_tokens_per_s=(last.source_tokens - first.source_tokens) / seconds,
        target_tokens_per_s=(last.target_tokens - first.target_tokens) / seconds,
    )
