"""EventFile: one of TensorBoard's files, with every event in it when `add` returns.

torch's SummaryWriter hands the events to a thread. On a full disk that thread prints a traceback of
its own, and the caller may hear of it one event too late.
"""

from pathlib import Path
from time import time, time_ns
from typing import Any


class EventFile:
    """A new file in a folder, written front to back. Errors of the file system are the caller's."""

    def __init__(self, folder: Path, *, first_step: int) -> None:
        """TensorBoard then hides what earlier files say of `first_step` and of later ones."""
        from tensorboard.compat.proto.event_pb2 import (  # type: ignore[import-untyped]
            Event,
            SessionLog,
        )
        from tensorboard.summary.writer.record_writer import (  # type: ignore[import-untyped]
            RecordWriter,
        )

        self._event = Event
        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads the files in the order of their names.
        self._records = RecordWriter((folder / f"events.out.tfevents.{time_ns()}").open("xb"))
        self._write(Event(step=first_step, file_version="brain.Event:2"))
        self._write(Event(step=first_step, session_log=SessionLog(status=SessionLog.START)))

    def add(self, step: int, summary: Any) -> None:
        """Append what torch.utils.tensorboard.summary makes of a value of `step`."""
        self._write(self._event(step=step, summary=summary))

    def close(self) -> None:
        """Close the file."""
        self._records.close()

    def _write(self, event: Any) -> None:
        event.wall_time = time()
        self._records.write(event.SerializeToString())
        self._records.flush()
