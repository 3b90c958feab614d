"""Curves of a run as SVG: loss, quality, learning rate, gradient, speed and memory.

Colours are the classes c1 to c5 of the page that holds the drawing, so that they suit its theme.
"""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple, get_args

from training.metrics.names import LABELS, Metric
from training.tracking.elapsed import Elapsed, rough
from training.tracking.metrics_log import Line, series
from training.tracking.svg_text import SIZE, text_width

WIDTH, HEIGHT = 400, 230
TOP, RIGHT = 14, 8  # margins at least; those beside and below depend on the numbers
GAP = 6  # between the axes and their numbers
ROW = SIZE + 3  # height of a row of numbers
TICKS = 5
FEW = 40  # up to this number of points each is marked: a single point makes no line
MOST = 400  # buckets of steps that a curve is thinned to; each keeps its lowest and highest value


class Curve(NamedTuple):
    """A value of metrics.jsonl, drawn in a panel."""

    name: str
    label: str
    colour: int  # 1 to 5
    scale: float = 1.0
    thin: bool = False


class Panel(NamedTuple):
    """Curves over the same steps and in the same unit."""

    title: str
    curves: tuple[Curve, ...]
    from_zero: bool
    spikes: bool = False
    """Whether it marks the updates that stand out."""


class Mark(NamedTuple):
    """An update to point at, with a link to what the page says of it."""

    step: int
    label: str
    target: str  # id of an element of the page


Points = list[tuple[int, float]]

_METRICS: tuple[str, ...] = get_args(Metric)
PANELS = (
    Panel(
        "Loss, nats per target piece",
        (
            Curve("loss", "as optimised, single updates", 3, thin=True),
            Curve("nll", "train, single updates", 1, thin=True),
            Curve("mean_loss", "as optimised, mean between log lines", 3),
            Curve("mean_nll", "train, mean between log lines", 1),
            Curve("dev_loss", "dev", 2),
        ),
        False,
        spikes=True,
    ),
    Panel(
        "Quality on the dev set",
        tuple(Curve(f"dev_{name}", LABELS[name], 1 + i % 5) for i, name in enumerate(_METRICS)),
        False,
    ),
    Panel("Learning rate", (Curve("learning_rate", "learning rate", 1),), True),
    Panel(
        "Norm of the gradient", (Curve("gradient_norm", "before clipping", 1),), True, spikes=True
    ),
    Panel(
        "Pieces per second",
        (
            Curve("source_tokens_per_s", "source", 1),
            Curve("target_tokens_per_s", "target", 2),
        ),
        True,
    ),
    Panel("Memory of the process, GB", (Curve("memory_bytes", "memory", 1, 1e-9),), True),
)


def draw(
    panel: Panel,
    lines: Sequence[Line],
    *,
    elapsed: Elapsed | None = None,
    marks: Sequence[Mark] = (),
) -> str:
    """Draw a panel as an HTML figure with its title and legend.

    A panel without values, such as that of the dev set before the first validation, says so.

    Args:
        elapsed: puts the time below the steps.
        marks: updates to point at, if the panel marks any.
    """
    drawn = [(curve, points) for curve in panel.curves if (points := points_of(curve, lines))]
    keys = "".join(
        f'<span class="key c{curve.colour}{" thin" if curve.thin else ""}">'
        f"{escape(curve.label)}</span>"
        for curve, _ in drawn
        if len(panel.curves) > 1
    )
    caption = f"<figcaption><b>{escape(panel.title)}</b> {keys}</figcaption>"
    if not drawn:
        return f"<figure>{caption}<p>no values yet</p></figure>"
    shown = marks if panel.spikes else ()
    steps = [step for _, points in drawn for step, _ in points] + [mark.step for mark in shown]
    values = [value for _, points in drawn for _, value in points]
    frame = _frame(
        (min(steps), max(steps)),
        (min([0.0, *values]) if panel.from_zero else min(values), max(values)),
        elapsed,
    )
    body = _grid(frame) + "".join(_line(curve, points, frame) for curve, points in drawn)
    body += "".join(_marked(mark, frame) for mark in shown)
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" font-size="{SIZE}" role="img"'
    return f'<figure>{caption}<svg {box} aria-label="{escape(panel.title)}">{body}</svg></figure>'


def points_of(curve: Curve, lines: Sequence[Line]) -> Points:
    """Read steps and values, thinned so that every peak stays."""
    steps, values = series(lines, curve.name)
    points = [(step, curve.scale * value) for step, value in zip(steps, values, strict=True)]
    if len(points) <= 2 * MOST:
        return points
    thinned: Points = []
    for number in range(MOST):
        bucket = points[number * len(points) // MOST : (number + 1) * len(points) // MOST]
        ends = min(bucket, key=lambda p: p[1]), max(bucket, key=lambda p: p[1])
        thinned += sorted(set(ends))
    return thinned


class _Axis(NamedTuple):
    low: float
    high: float
    ticks: list[float]
    labels: list[str]

    def share(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)


class _Frame(NamedTuple):
    """Axes, the times below the steps, and the sides of the field between them."""

    across: _Axis
    up: _Axis
    times: list[str]
    left: float
    right: float
    bottom: float

    def x(self, step: float) -> float:
        return self.left + self.across.share(step) * (self.right - self.left)

    def y(self, value: float) -> float:
        return self.bottom - self.up.share(value) * (self.bottom - TOP)


def _frame(
    steps: tuple[float, float], values: tuple[float, float], elapsed: Elapsed | None
) -> _Frame:
    """Make axes whose numbers have room: at the sides, and beside each other."""
    up = _axis(*values, ticks=TICKS, whole=False)
    for count in range(TICKS, 0, -1):
        across = _axis(*steps, ticks=count, whole=True)
        times = _times(across, elapsed) if elapsed else []
        halves = [text_width(text) / 2 for text in (*across.labels, *times)]
        half = max(halves, default=0.0)
        left = max(GAP + max(map(text_width, up.labels), default=0.0), half)
        right = WIDTH - max(RIGHT, half)
        distance = (right - left) / (across.high - across.low)
        if len(across.ticks) < 2:
            break
        if distance * (across.ticks[1] - across.ticks[0]) >= 2 * half + GAP:
            break
    rows = 2 if elapsed else 1
    return _Frame(across, up, times, left, right, HEIGHT - GAP - rows * ROW)


def _times(across: _Axis, elapsed: Elapsed) -> list[str]:
    """The time at each step of the axis; nothing at those that were not reached."""
    reached = max(step for step, _ in elapsed.points)
    return [rough(elapsed.at(step)) if step <= reached else "" for step in across.ticks]


def _axis(low: float, high: float, *, ticks: int, whole: bool) -> _Axis:
    """Make an axis from `low` to `high`, or around them if equal, with ticks at round numbers.

    Args:
        ticks: about how many.
        whole: ticks at whole numbers only.
    """
    if low == high:
        low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    rough_size = max((high - low) / ticks, 1.0 if whole else 0.0)
    power = 10.0 ** math.floor(math.log10(rough_size))
    size = next(
        power * factor for factor in (1, 2, 5, 10) if power * factor >= rough_size * (1 - 1e-9)
    )
    first, last = math.ceil(low / size - 1e-9), math.floor(high / size + 1e-9)
    places = [size * number for number in range(first, last + 1)]
    return _Axis(low, high, places, [_number(place, size) for place in places])


def _number(value: float, size: float) -> str:
    """Write a tick, with as many decimals as the distance of two ticks needs."""
    largest = 1e12
    decimals = max(0, -math.floor(math.log10(size) + 1e-9))
    if decimals > 6 or abs(value) >= largest:
        return f"{value:.6g}"
    return f"{value:,.{decimals}f}"


def _grid(frame: _Frame) -> str:
    parts = []
    left, right = f'x1="{frame.left:.1f}"', f'x2="{frame.right:.1f}"'
    for value, label in zip(frame.up.ticks, frame.up.labels, strict=True):
        y, x = f"{frame.y(value):.1f}", f"{frame.left - GAP:.1f}"
        parts.append(f'<line class="grid" {left} {right} y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{x}" y="{y}" dy="4" text-anchor="end">{label}</text>')
    for row, labels in enumerate((frame.across.labels, frame.times), 1):
        y = f"{frame.bottom + row * ROW:.1f}"
        for step, label in zip(frame.across.ticks, labels, strict=False):  # there may be no times
            if label:
                x = f"{frame.x(step):.1f}"
                parts.append(f'<text x="{x}" y="{y}" text-anchor="middle">{label}</text>')
    return "".join(parts)


def _line(curve: Curve, points: Points, frame: _Frame) -> str:
    places = [(f"{frame.x(step):.1f}", f"{frame.y(value):.1f}") for step, value in points]
    path = " ".join(f"{x},{y}" for x, y in places)
    marks = "".join(
        f'<circle cx="{x}" cy="{y}" r="{1.5 if curve.thin else 2.5}"><title>{escape(curve.label)}, '
        f"step {step:,}: {value:,.6g}</title></circle>"
        for (x, y), (step, value) in zip(places, points, strict=True)
        if len(points) <= FEW
    )
    thin = " thin" if curve.thin else ""
    return f'<g class="c{curve.colour}{thin}"><polyline points="{path}"/>{marks}</g>'


def _marked(mark: Mark, frame: _Frame) -> str:
    """A triangle above the field that points at the step."""
    x = frame.x(mark.step)
    shape = f"M{x - 4:.1f} {TOP - 11} h8 l-4 8 z"
    return (
        f'<a href="#{escape(mark.target)}"><path class="mark" d="{shape}">'
        f"<title>{escape(mark.label)}</title></path></a>"
    )
