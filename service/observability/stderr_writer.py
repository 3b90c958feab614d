"""Stderr writer: a thread writes what the process prints on standard error, so nothing else waits.

Whoever reads standard error may be slow, stuck or gone, and a file of it may be on a full disk.
Then lines are dropped and counted; the server goes on.
"""

import io
import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TextIO, cast

STDERR = 2
"""Its descriptor."""
QUEUE_BYTES = 1024**2
"""Bytes that wait to be written; what comes then is dropped. A write that comes while nothing waits
is taken whatever its length."""
BATCH_BYTES = select.PIPE_BUF
"""Up to this many bytes go into a pipe in one piece, also where several processes write to it."""
EXIT_S = 2.0
"""Seconds that an exit waits for what is not written yet."""
ERROR_S = 0.1
"""Seconds that an error waits to be written, as it may be the last line before a crash."""


class StderrWriter(io.TextIOBase):
    """A text stream whose `write` returns at once: a thread of its own writes to `descriptor`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._begun = ""  # a line whose end is still to come
        self._queue: SimpleQueue[bytes | threading.Event] = SimpleQueue()
        self._waiting = 0  # bytes in the queue and in the hands of the thread
        self._dropped = 0
        self._count: Callable[[int], None] | None = None
        self._stuck = False
        # Reentrant: a finalizer may warn on standard error at any allocation.
        self._lock = threading.RLock()
        threading.Thread(target=self._run, name="stderr", daemon=True).start()

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, text: str) -> int:
        """Queue the lines that are complete; where there is no room, drop and count them."""
        with self._lock:
            whole, newline, self._begun = (self._begun + text).rpartition("\n")
            if len(self._begun) > BATCH_BYTES:  # one that long need not stay in one piece
                whole, newline, self._begun = whole + newline + self._begun, "", ""
            if whole or newline:
                self._put((whole + newline).encode("utf-8", "backslashreplace"))
        return len(text)

    def _put(self, lines: bytes) -> None:
        if self._waiting and self._waiting + len(lines) > QUEUE_BYTES:
            self._drop(lines.count(b"\n"))
        else:
            self._waiting += len(lines)
            self._queue.put(lines)

    def count_dropped(self, count: Callable[[int], None]) -> None:
        """Call `count` with the number of lines dropped so far, then with that of each loss."""
        with self._lock:
            self._count = count
            count(self._dropped)

    def drain(self, timeout_s: float) -> bool:
        """Wait until what is queued now is written or dropped; False if the time was too short."""
        reached = threading.Event()
        self._queue.put(reached)
        return reached.wait(timeout_s)

    def drain_error(self) -> None:
        """Wait for an error to be written, but not again while nothing is read."""
        if not self._stuck:
            self._stuck = not self.drain(ERROR_S)

    def end(self) -> None:
        """Wait for what is not written yet. If nobody reads it, nothing else waits for that."""
        if self._begun:
            self.write("\n")
        if not self.drain(EXIT_S):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._descriptor)
            os.close(null)

    def _run(self) -> None:
        torn = False  # whether the reader has got a line without its end
        for batch in self._batches():
            data = b"\n" + batch if torn else batch
            written = _write(self._descriptor, data)
            if written:
                torn = written < len(data) and data[written - 1 : written] != b"\n"
            with self._lock:
                self._waiting -= len(batch)
                self._stuck = False
                if written < len(data):
                    self._drop(batch.count(b"\n", max(0, written - len(data) + len(batch))))

    def _batches(self) -> Iterator[bytes]:
        """What is written next, without end: as much as fits into a batch, at least one write."""
        batch: list[bytes] = []
        while True:
            if batch and self._queue.empty():
                yield b"".join(batch)
                batch = []
            item = self._queue.get()
            full = isinstance(item, bytes) and sum(map(len, batch)) + len(item) > BATCH_BYTES
            if batch and (full or isinstance(item, threading.Event)):
                yield b"".join(batch)
                batch = []
            if isinstance(item, threading.Event):
                item.set()
            else:
                batch.append(item)

    def _drop(self, lines: int) -> None:
        self._dropped += lines
        if self._count is not None:
            self._count(lines)


def _write(descriptor: int, data: bytes) -> int:
    """Write `data`, however long that takes; returns the number of bytes before a failure."""
    written = 0
    while written < len(data):
        try:
            written += os.write(descriptor, data[written:])
        except BlockingIOError:  # whoever else has this pipe may have said that it must not wait
            select.select([], [descriptor], [])
        except OSError:
            break
    return written


@contextmanager
def threaded_stderr() -> Iterator[StderrWriter]:
    """Write all that Python prints on standard error through a `StderrWriter`.

    At the end everything is written, unless that takes longer than `EXIT_S`.
    """
    _open_standard_descriptors()
    before = sys.stderr  # None, if it was closed
    writer = StderrWriter(STDERR)
    sys.stderr = cast(TextIO, writer)
    try:
        yield writer
    except Exception:
        sys.excepthook(*sys.exc_info())
        sys.exit(1)
    finally:
        writer.end()
        sys.stderr = before


def _open_standard_descriptors() -> None:
    """Open those that the process was started without, on nothing.

    Otherwise the next socket would get the number of standard error, and the log with it.
    """
    for descriptor in range(STDERR + 1):
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            assert null == descriptor
            os.set_inheritable(null, True)
