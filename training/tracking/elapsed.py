"""Elapsed time of a run: of all its visits together, without the pauses between them.

What a killed run did after its last checkpoint is computed again, and counts once: as in
metrics.jsonl, a run that was killed and resumed reads as one that was not.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from training.tracking.metrics_log import Line, series
from training.tracking.run_record import Visit


@dataclass(frozen=True, kw_only=True, slots=True)
class Elapsed:
    """Seconds of training and validation."""

    points: list[tuple[int, float]]
    """Step and seconds until then, of each line of the metrics."""
    total: float
    validation: float | None
    """The part of `total` for validations; None if the run did not record it."""
    started: float
    """Seconds since 1970, as is `ended`."""
    ended: float

    def at(self, step: float) -> float:
        """Seconds until `step`, between two lines by interpolation."""
        points = [(0, 0.0), *self.points]
        after = bisect_right(points, step, key=lambda point: point[0])
        if after == len(points):
            return points[-1][1]
        (step_0, seconds_0), (step_1, seconds_1) = points[after - 1 : after + 1]
        return seconds_0 + (step - step_0) / (step_1 - step_0) * (seconds_1 - seconds_0)


def elapsed(lines: Sequence[Line], visits: Sequence[Visit]) -> Elapsed | None:
    """Add up the time of a run; None if its lines or visits do not tell."""
    times = [_time(line) for line in lines]
    if not visits or not times or None in times:
        return None
    known = [time for time in times if time is not None]
    begun = [visit["time"] for visit in visits]
    before = [0.0]  # seconds of all earlier visits
    for visit, later in pairwise(visits):
        before.append(before[-1] + _left(visit, later, known) - visit["time"])
    points = []
    for line, time in zip(lines, known, strict=True):
        number = max(bisect_right(begun, time) - 1, 0)
        steps, _ = series([line], "step")
        points.append((steps[0], before[number] + time - begun[number]))
    saved = visits[-1].get("saved")
    ended = max([known[-1], begun[-1], *([saved["time"]] if saved else [])])
    _, validations = series(lines, "dev_seconds")
    return Elapsed(
        points=points,
        total=before[-1] + ended - begun[-1],
        validation=sum(validations) if validations else None,
        started=begun[0],
        ended=ended,
    )


def _left(visit: Visit, later: Visit, times: Sequence[float]) -> float:
    """When `visit` had the state from which `later` went on."""
    saved = visit.get("saved")
    if saved and saved["step"] == later["step"]:
        return saved["time"]
    # Older records do not tell; the lines after that state are gone from the metrics.
    return max((t for t in times if visit["time"] <= t < later["time"]), default=visit["time"])


def _time(line: Line) -> float | None:
    time = line.get("time")
    return time if isinstance(time, int | float) else None


def clock(seconds: float) -> str:
    """Write seconds as h:mm:ss."""
    whole = round(seconds)
    return f"{whole // 3600:,}:{whole // 60 % 60:02}:{whole % 60:02}"


def rough(seconds: float) -> str:
    """Write seconds in a few letters, for an axis."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 100 else f"{hours:,.0f} h"
