"""Arrivals: the lines of a slow pipe, in windows that do not wait for what is still to come."""

import io
import os
import select
import time
from collections import deque
from collections.abc import Iterator

from model.io.lines import iter_raw_lines

WAIT_S = 0.05
"""Seconds that the first line of a window waits for more: unnoticed by who types or reads, and many
times what a fast writer, such as `cat`, needs for the next line."""

_CHUNK = 1 << 16  # bytes: what a pipe holds on Linux


def arriving_windows(descriptor: int, name: str, size: int) -> Iterator[list[bytes]]:
    """The lines of a pipe, terminal or file, as `iter_raw_lines` gives them, in lists.

    A list ends when it has `size` lines, or when no complete line is there and its first one has
    waited for `WAIT_S`.

    Args:
        descriptor: open for reading, and read by nobody else.
        name: name of the input, for messages.

    Raises:
        DataError: as `iter_raw_lines`.
    """
    arriving = _Arriving(descriptor)
    window: list[bytes] = []
    deadline = 0.0
    for line in iter_raw_lines(arriving, name):
        if not window:
            deadline = time.monotonic() + WAIT_S
        window.append(line)
        # After the last line there are no more, so nothing is left when the loop ends.
        if len(window) == size or not arriving.has_more(deadline):
            yield window
            window = []


class _Arriving:
    """The lines of a descriptor, with their endings.

    A buffered file cannot be asked whether it has a complete line, hence the buffer here.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: deque[bytes] = deque()
        self._begun: list[bytes] = []  # the line that is not complete, in pieces
        self._ended = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """Wait for the next line.

        Raises:
            OSError: the descriptor cannot be read.
        """
        while not self._lines:
            if self._ended:
                raise StopIteration
            self._receive(None)
        return self._lines.popleft()

    def has_more(self, deadline: float) -> bool:
        """Whether a complete line is there, or arrives before `deadline` (of `time.monotonic`)."""
        while not self._lines and not self._ended:
            try:
                if not self._receive(max(0.0, deadline - time.monotonic())):
                    return False
            except OSError:  # met again, and reported, when the next line is asked for
                return False
        return bool(self._lines)

    def _receive(self, seconds: float | None) -> bool:
        """Read once, when something arrives within `seconds`; None waits for it."""
        if not select.select([self._descriptor], [], [], seconds)[0]:
            return False
        chunk = os.read(self._descriptor, _CHUNK)
        for part in io.BytesIO(chunk):  # which, unlike bytes.splitlines, splits at LF only
            self._begun.append(part)
            if part.endswith(b"\n"):
                self._complete()
        if not chunk:
            self._ended = True
            if self._begun:
                self._complete()
        return True

    def _complete(self) -> None:
        self._lines.append(b"".join(self._begun))
        self._begun.clear()
