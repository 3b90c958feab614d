"""Curves of a run as SVG: loss, quality, learning rate, gradient, speed and memory.

Colours are the classes c1 to c5 of the page that holds the drawing, so that they suit its theme.
"""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from training.metrics.names import LABELS
from training.tracking.metrics_log import Line, series

WIDTH, HEIGHT = 520, 240
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 10, 26  # margins, for the numbers
TICKS = 5
FEW = 40  # up to this number of points each is marked: a single point makes no line
MOST = 400  # buckets of steps that a curve is thinned to; each keeps its lowest and highest value


class Curve(NamedTuple):
    """A value of metrics.jsonl, drawn in a panel."""

    name: str
    label: str
    colour: int  # 1 to 5
    scale: float = 1.0


class Panel(NamedTuple):
    """Curves over the same steps and in the same unit."""

    title: str
    curves: tuple[Curve, ...]
    from_zero: bool


Points = list[tuple[int, float]]

_METRICS = [name for name in LABELS if name not in ("loss", "length_ratio")]
PANELS = (
    Panel(
        "Loss, nats per target piece",
        (
            Curve("loss", "train, as optimised", 3),
            Curve("nll", "train", 1),
            Curve("dev_loss", "dev", 2),
        ),
        False,
    ),
    Panel(
        "Quality on the dev set",
        tuple(Curve(f"dev_{name}", LABELS[name], i) for i, name in enumerate(_METRICS, 1)),
        False,
    ),
    Panel("Learning rate", (Curve("learning_rate", "learning rate", 1),), True),
    Panel("Norm of the gradient", (Curve("gradient_norm", "before clipping", 1),), True),
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


def draw(panel: Panel, lines: Sequence[Line]) -> str:
    """Draw a panel as an HTML figure with its title and legend.

    A panel without values, such as that of the dev set before the first validation, says so.
    """
    drawn = [(curve, points) for curve in panel.curves if (points := points_of(curve, lines))]
    keys = "".join(
        f'<span class="key c{curve.colour}">{escape(curve.label)}</span>'
        for curve, _ in drawn
        if len(panel.curves) > 1
    )
    caption = f"<figcaption><b>{escape(panel.title)}</b> {keys}</figcaption>"
    if not drawn:
        return f"<figure>{caption}<p>no values yet</p></figure>"
    steps = [step for _, points in drawn for step, _ in points]
    values = [value for _, points in drawn for _, value in points]
    across = _axis(min(steps), max(steps))
    up = _axis(min([0.0, *values]) if panel.from_zero else min(values), max(values))
    body = _grid(across, up) + "".join(_line(curve, points, across, up) for curve, points in drawn)
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(panel.title)}"'
    return f"<figure>{caption}<svg {box}>{body}</svg></figure>"


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

    def share(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)


def _axis(low: float, high: float) -> _Axis:
    """Make an axis from `low` to `high`, or around them if equal, with ticks at round numbers."""
    if low == high:
        low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    rough = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    size = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first, last = math.ceil(low / size - 1e-9), math.floor(high / size + 1e-9)
    return _Axis(low, high, [size * number for number in range(first, last + 1)])


def _grid(across: _Axis, up: _Axis) -> str:
    parts = []
    for value in up.ticks:
        y = f"{_y(up, value):.1f}"
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y}" dy="4" text-anchor="end">{value:,.6g}</text>')
    for value in across.ticks:
        x = f"{_x(across, value):.1f}"
        parts.append(f'<text x="{x}" y="{HEIGHT - 8}" text-anchor="middle">{value:,.12g}</text>')
    return "".join(parts)


def _line(curve: Curve, points: Points, across: _Axis, up: _Axis) -> str:
    places = [(f"{_x(across, step):.1f}", f"{_y(up, value):.1f}") for step, value in points]
    path = " ".join(f"{x},{y}" for x, y in places)
    marks = "".join(
        f'<circle cx="{x}" cy="{y}" r="2.5"><title>{escape(curve.label)}, '
        f"step {step:,}: {value:,.6g}</title></circle>"
        for (x, y), (step, value) in zip(places, points, strict=True)
        if len(points) <= FEW
    )
    return f'<g class="c{curve.colour}"><polyline points="{path}"/>{marks}</g>'


def _x(axis: _Axis, value: float) -> float:
    return LEFT + axis.share(value) * (WIDTH - LEFT - RIGHT)


def _y(axis: _Axis, value: float) -> float:
    return HEIGHT - BOTTOM - axis.share(value) * (HEIGHT - TOP - BOTTOM)
