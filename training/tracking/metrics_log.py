"""Metrics of a run: JSON lines in metrics.jsonl, and the event files of TensorBoard.

Not by torch's SummaryWriter, which hands the events to a thread: on a full disk that thread prints
a traceback of its own, and the caller may get the error one event too late.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from time import time, time_ns
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from model.errors import CheckpointError
from model.io.lines import atomic_output


class EventFile:
    """A new file in a folder, written front to back. Raises the errors of the file system."""

    def __init__(self, folder: Path, *, first_step: int) -> None:
        """Open the file; TensorBoard then hides values of earlier files from `first_step` on."""
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
        """Append a summary of `step`, made by torch.utils.tensorboard.summary."""
        self._write(self._event(step=step, summary=summary))

    def close(self) -> None:
        """Close the file."""
        self._records.close()

    def _write(self, event: Any) -> None:
        event.wall_time = time()
        self._records.write(event.SerializeToString())
        self._records.flush()


Line = dict[str, object]


class MetricsLog:
    """Writes RUN/metrics.jsonl and RUN/tensorboard; a context manager.

    A killed and resumed run reads as one run: what was logged after the step that is resumed from
    is dropped from the lines and hidden from TensorBoard.
    """

    def __init__(self, run: Path, *, resume_step: int | None) -> None:
        """Continue the log of `run` after `resume_step`, or start a new one if that is None.

        Raises:
            CheckpointError: the log is damaged, or the file system refused.
            DataError: the file system refused.
        """
        self._path = run / "metrics.jsonl"
        kept: list[Line] = []
        if resume_step is not None and self._path.exists():
            kept = [line for line in read_metrics(self._path) if _step(line) <= resume_step]
        with atomic_output(self._path) as file:
            file.writelines(_line(values) for values in kept)
        with _refusals(self._path):
            self._events = EventFile(
                run / "tensorboard", first_step=0 if resume_step is None else resume_step + 1
            )

    def log(self, step: int, values: Mapping[str, float | str]) -> None:
        """Append the `values` of `step`; they survive a kill of the process after this.

        A number that is not finite becomes null. TensorBoard gets the numbers: those named dev_x
        as "dev/x", old_dev_x as "old_dev/x", others as "train/x".

        Raises:
            CheckpointError: the file system refused, for instance because it is full.
        """
        # Takes seconds, and `dragoman-train --help` does not need it.
        from torch.utils.tensorboard.summary import scalar

        with _refusals(self._path):
            # Opened for each line, so that nothing is left to write, and to fail, at the end.
            with self._path.open("ab") as file:
                file.write(_line({"step": step, "time": round(time(), 3), **values}))
            for name, value in values.items():
                if not isinstance(value, str):
                    self._events.add(step, scalar(_tag(name), value))  # type: ignore[no-untyped-call]

    def show(self, step: int, number: int, text: str, picture: NDArray[np.uint8] | None) -> None:
        """Write a sample for TensorBoard: `text`, and `picture` (height, width, 3), if any.

        Raises:
            CheckpointError: the file system refused.
        """
        from torch.utils.tensorboard.summary import image
        from torch.utils.tensorboard.summary import text as markdown

        # Markdown takes indented text as it is.
        quoted = "\n".join(f"    {line}" for line in text.splitlines())
        with _refusals(self._path):
            shown = [markdown(f"samples/{number}", quoted)]  # type: ignore[no-untyped-call]
            if picture is not None:
                name = f"attention/{number}"
                shown.append(image(name, picture, dataformats="HWC"))  # type: ignore[no-untyped-call]
            for summary in shown:
                self._events.add(step, summary)

    def close(self) -> None:
        """Close TensorBoard's file.

        Raises:
            CheckpointError: the file system refused.
        """
        with _refusals(self._path):
            self._events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def read_metrics(path: Path) -> list[Line]:
    """Read the lines of a metrics.jsonl, without an incomplete last one.

    Raises:
        CheckpointError: another line is not a JSON object with a step.
    """
    *complete, _ = path.read_bytes().split(b"\n")
    return [_parse(raw, f"{path}, line {number}") for number, raw in enumerate(complete, 1)]


def series(lines: Iterable[Line], name: str) -> tuple[list[int], list[float]]:
    """Collect the steps whose lines have a finite number `name`, and these numbers."""
    points = [(_step(line), line.get(name)) for line in lines]
    numbers = [(step, value) for step, value in points if isinstance(value, int | float)]
    return [step for step, _ in numbers], [value for _, value in numbers]


def _parse(raw: bytes, where: str) -> Line:
    try:
        line = json.loads(raw)
    except ValueError:
        line = None
    if not isinstance(line, dict) or not isinstance(line.get("step"), int):
        raise CheckpointError(f"{where}: not a JSON object with a step. Remove the line.")
    return line


def _step(line: Line) -> int:
    step = line["step"]
    assert isinstance(step, int)
    return step


def _line(values: Mapping[str, object]) -> bytes:
    plain = {
        name: None if isinstance(value, float) and not isfinite(value) else value
        for name, value in values.items()
    }
    return json.dumps(plain, ensure_ascii=False).encode() + b"\n"


def _tag(name: str) -> str:
    for set_name in ("old_dev", "dev"):
        if name.startswith(f"{set_name}_"):
            return f"{set_name}/{name[len(set_name) + 1 :]}"
    return f"train/{name}"


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"{path.parent}: the metrics cannot be written: {error.strerror}. Make room or mend "
            "the directory, then resume."
        ) from error
