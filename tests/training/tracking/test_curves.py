"""Curves of a run: an SVG whose lines go through the right points."""

from itertools import pairwise
from xml.etree import ElementTree

import pytest

from training.metrics.names import SUMMARY, SYMBOLS, TRANSLATION, VECTORS
from training.tracking.curves import (
    HEIGHT,
    PANELS,
    TOP,
    WIDTH,
    Curve,
    Mark,
    Panel,
    draw,
    points_of,
)
from training.tracking.elapsed import Elapsed
from training.tracking.metrics_log import Line

LOSSES = Panel("Loss", (Curve("nll", "train", 1), Curve("dev_loss", "dev", 2)), False)
RATE = Panel("Rate", (Curve("learning_rate", "rate", 1),), True)

Places = list[tuple[float, float]]


def parsed(panel: Panel, lines: list[Line]) -> ElementTree.Element:
    return ElementTree.fromstring(draw(panel, lines))


def drawn(panel: Panel, lines: list[Line]) -> dict[str, Places]:
    """The points of the line of each colour."""
    found = {}
    for group in parsed(panel, lines).iter("g"):
        line = group.find("polyline")
        assert line is not None
        places = [place.split(",") for place in line.get("points", "").split()]
        found[group.get("class", "")] = [(float(x), float(y)) for x, y in places]
    return found


def field(figure: ElementTree.Element) -> tuple[float, float, float]:
    """Left and right end of the grid, and the height of its lowest line."""
    grid = [line for line in figure.iter("line") if line.get("class") == "grid"]
    left, right = ({float(line.get(side, "")) for line in grid} for side in ("x1", "x2"))
    assert len(left) == len(right) == 1
    return left.pop(), right.pop(), max(float(line.get("y1", "")) for line in grid)


def extents(figure: ElementTree.Element) -> list[tuple[str, float, float, float]]:
    """Text, first and last column, and baseline of each label, with ordinary digits of 0.6 em."""
    found = []
    for element in figure.iter("text"):
        text, x = element.text or "", float(element.get("x", ""))
        width = 11 * sum(0.6 if letter.isalnum() else 0.35 for letter in text)
        ends = (
            (x - width, x)
            if element.get("text-anchor") == "end"
            else (
                x - width / 2,
                x + width / 2,
            )
        )
        found.append((text, *ends, float(element.get("y", ""))))
    return found


def test_lines_go_from_corner_to_corner() -> None:
    lines: list[Line] = [
        {"step": 0, "nll": 4.0},
        {"step": 50, "nll": 3.0},
        {"step": 50, "dev_loss": 2.0},
        {"step": 100, "nll": 2.0},
    ]

    left, right, bottom = field(parsed(LOSSES, lines))
    found = drawn(LOSSES, lines)
    middle = ((left + right) / 2, (TOP + bottom) / 2)
    assert found["c1"][::2] == [(left, TOP), (right, bottom)]
    assert found["c1"][1] == pytest.approx(middle, abs=0.1)
    assert found["c2"] == [(found["c1"][1][0], bottom)]


def test_a_panel_from_zero_shows_how_large_a_change_is() -> None:
    lines: list[Line] = [{"step": 0, "learning_rate": 4.0}, {"step": 1, "learning_rate": 3.0}]

    (_, first), (_, second) = drawn(RATE, lines)["c1"]
    _, _, bottom = field(parsed(RATE, lines))
    assert first == TOP
    assert second == pytest.approx(TOP + (bottom - TOP) / 4, abs=0.1)


def test_numbers_at_the_axes_are_round() -> None:
    lines: list[Line] = [{"step": 7, "nll": 0.137}, {"step": 9007, "nll": 0.352}]

    texts = [element.text for element in parsed(LOSSES, lines).iter("text")]
    assert texts == ["0.15", "0.20", "0.25", "0.30", "0.35", "2,000", "4,000", "6,000", "8,000"]


@pytest.mark.parametrize(
    ("steps", "values", "label"),
    [
        ((0, 1_000_000), (0.0, 1_000_000.0), "1,000,000"),
        ((0, 100), (0.0, 0.00005), "0.00001"),
        ((0, 100), (-13.0, -12.0), "-12.4"),
        ((1, 2), (0.0, 1.0), "2"),
        ((123_456_789, 987_654_321), (1e-9, 3e-9), "1e-09"),
        ((999_999, 1_000_001), (-1e15, 1e15), "1,000,000"),
    ],
)
@pytest.mark.parametrize("hours", [None, 0.001, 9.0, 12345.0])
def test_numbers_at_the_axes_are_whole_and_apart(
    steps: tuple[int, int], values: tuple[float, float], label: str, hours: float | None
) -> None:
    lines: list[Line] = [
        {"step": step, "nll": value} for step, value in zip(steps, values, strict=True)
    ]
    time = None
    if hours is not None:
        total = 3600 * hours
        time = Elapsed(
            points=[(steps[1], total)], total=total, validation=None, started=0.0, ended=total
        )
    labels = extents(ElementTree.fromstring(draw(LOSSES, lines, elapsed=time)))

    assert label in [text for text, *_ in labels]
    for _, first, last, y in labels:
        assert 0 <= first < last <= WIDTH and 8 <= y <= HEIGHT - 2
    lowest = max(y for *_, y in labels if y < HEIGHT - 40)
    for row in {y for *_, y in labels if y > lowest}:
        across = sorted((first, last) for _, first, last, y in labels if y == row)
        assert all(last < first for (_, last), (first, _) in pairwise(across))


def test_steps_have_no_fractions() -> None:
    lines: list[Line] = [{"step": 1, "nll": 1.0}, {"step": 3, "nll": 2.0}]

    assert [e.text for e in parsed(LOSSES, lines).iter("text")][-3:] == ["1", "2", "3"]


def test_time_stands_below_its_step() -> None:
    lines: list[Line] = [{"step": 0, "nll": 1.0}, {"step": 400, "nll": 2.0}]
    time = Elapsed(
        points=[(100, 30.0), (400, 7230.0)], total=7230.0, validation=None, started=0.0, ended=1.0
    )
    figure = ElementTree.fromstring(draw(LOSSES, lines, elapsed=time))

    below: dict[str, list[str]] = {}
    for element in figure.iter("text"):
        if element.get("text-anchor") == "middle":
            below.setdefault(element.get("x", ""), []).append(element.text or "")
    assert list(below.values()) == [
        ["0", "0 s"],
        ["100", "30 s"],
        ["200", "40 min"],
        ["300", "80 min"],
        ["400", "2.0 h"],
    ]


def test_steps_that_were_not_reached_have_no_time() -> None:
    time = Elapsed(points=[(50, 30.0)], total=30.0, validation=None, started=0.0, ended=1.0)
    figure = ElementTree.fromstring(draw(LOSSES, [{"step": 50, "nll": 1.0}], elapsed=time))

    texts = [e.text for e in figure.iter("text") if e.get("text-anchor") == "middle"]
    assert texts == ["30", "40", "50", "60", "70", "18 s", "24 s", "30 s"]


def test_single_updates_are_thin_beside_their_mean_and_the_key_says_so() -> None:
    lines: list[Line] = [
        {"step": 50, "nll": 4.25, "mean_nll": 4.5},
        {"step": 100, "nll": 5.0, "mean_nll": 4.0},
    ]
    loss = PANELS[0]
    figure = parsed(loss, lines)
    assert {key.get("class"): key.text for key in figure.iter("span")} == {
        "key c1 thin": "train, single updates",
        "key c1": "train, mean between log lines",
    }
    found = drawn(loss, lines)
    assert found["c1 thin"][1][1] == TOP and found["c1"][1][1] > TOP

    older = drawn(loss, [{"step": 50, "nll": 4.25}, {"step": 100, "nll": 5.0}])
    assert set(older) == {"c1 thin"}


def test_a_mark_points_at_its_step_and_links_to_its_text() -> None:
    lines: list[Line] = [{"step": 50, "nll": 4.0}, {"step": 100, "nll": 2.0}]
    panel = LOSSES._replace(spikes=True)
    mark = Mark(75, 'loss <"9">', "spike-75")
    figure = ElementTree.fromstring(draw(panel, lines, marks=[mark]))

    left, right, _ = field(figure)
    (link,) = figure.iter("a")
    assert link.get("href") == "#spike-75" and link.findtext("path/title") == 'loss <"9">'
    shape = link.find("path")
    assert shape is not None
    start = float(shape.get("d", "").split()[0][1:])
    assert start + 4 == pytest.approx((left + right) / 2, abs=0.1)
    early = draw(panel, lines, marks=[mark._replace(step=0)])
    assert '"M' in early and f"M{left - 4:.1f}" in early  # before the first line of the metrics
    assert "<a" not in draw(LOSSES, lines, marks=[mark])


def test_one_point_alone_shows() -> None:
    figure = parsed(LOSSES, [{"step": 50, "nll": 4.25}])

    (circle,) = figure.iter("circle")
    assert circle.findtext("title") == "train, step 50: 4.25"


def test_a_value_of_zero_alone_shows() -> None:
    assert len(drawn(RATE, [{"step": 0, "learning_rate": 0.0}])["c1"]) == 1


def test_only_curves_that_there_are_have_a_key() -> None:
    figure = parsed(LOSSES, [{"step": 50, "nll": 4.25}])

    assert [key.text for key in figure.iter("span")] == ["train"]
    assert [key.get("class") for key in figure.iter("span")] == ["key c1"]


@pytest.mark.parametrize("lines", [[], [{"step": 1, "nll": None}], [{"step": 1, "other": 2}]])
def test_a_panel_without_values_says_so(lines: list[Line]) -> None:
    figure = parsed(LOSSES, lines)

    assert figure.findtext("p") == "no values yet"
    assert figure.find("svg") is None


def test_a_long_run_is_thinned_and_keeps_its_peaks() -> None:
    lines: list[Line] = [{"step": step, "nll": 2.0} for step in range(100_000)]
    lines[55_555]["nll"], lines[77_777]["nll"] = 9.0, 1.0

    points = points_of(LOSSES.curves[0], lines)
    assert len(points) <= 800
    assert (55_555, 9.0) in points and (77_777, 1.0) in points
    assert points == sorted(points)


@pytest.mark.parametrize("together", [TRANSLATION + SUMMARY, SYMBOLS, VECTORS])
def test_every_metric_of_a_validation_has_a_colour_of_its_own(together: tuple[str, ...]) -> None:
    quality = next(panel for panel in PANELS if panel.title.startswith("Quality"))
    colours = {curve.name.removeprefix("dev_"): curve.colour for curve in quality.curves}

    assert set(colours) == {*TRANSLATION, *SUMMARY, *SYMBOLS, *VECTORS}
    assert len({colours[name] for name in together}) == len(together)
    assert set(colours.values()) <= {1, 2, 3, 4, 5}


def test_titles_are_text() -> None:
    panel = Panel('<b> & "', (Curve("nll", "<i>", 1),), False)
    figure = parsed(panel, [{"step": 1, "nll": 2.0}])

    assert figure.findtext("figcaption/b") == '<b> & "'
    assert not list(figure.iter("i"))
