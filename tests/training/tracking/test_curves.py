"""Curves of a run: an SVG whose lines go through the right points."""

from xml.etree import ElementTree

import pytest

from training.tracking.curves import (
    BOTTOM,
    HEIGHT,
    LEFT,
    PANELS,
    RIGHT,
    TOP,
    WIDTH,
    Curve,
    Panel,
    draw,
    points_of,
)
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


def test_lines_go_from_corner_to_corner() -> None:
    lines: list[Line] = [
        {"step": 0, "nll": 4.0},
        {"step": 50, "nll": 3.0},
        {"step": 50, "dev_loss": 2.0},
        {"step": 100, "nll": 2.0},
    ]

    left, right, top, bottom = LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM
    middle = (left + right) / 2, (top + bottom) / 2
    assert drawn(LOSSES, lines) == {
        "c1": [(left, top), middle, (right, bottom)],
        "c2": [(middle[0], bottom)],
    }


def test_a_panel_from_zero_shows_how_large_a_change_is() -> None:
    lines: list[Line] = [{"step": 0, "learning_rate": 4.0}, {"step": 1, "learning_rate": 3.0}]

    (_, first), (_, second) = drawn(RATE, lines)["c1"]
    assert first == TOP
    assert second == pytest.approx(TOP + (HEIGHT - TOP - BOTTOM) / 4, abs=0.1)


def test_numbers_at_the_axes_are_round() -> None:
    lines: list[Line] = [{"step": 7, "nll": 0.137}, {"step": 9007, "nll": 0.352}]

    texts = [element.text for element in parsed(LOSSES, lines).iter("text")]
    assert texts == ["0.15", "0.2", "0.25", "0.3", "0.35", "2,000", "4,000", "6,000", "8,000"]


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


def test_every_metric_of_a_validation_has_a_colour_of_its_own() -> None:
    quality = next(panel for panel in PANELS if panel.title.startswith("Quality"))

    assert [curve.name for curve in quality.curves] == [
        *("dev_bleu", "dev_chrf", "dev_rouge_1", "dev_rouge_2", "dev_rouge_l"),
    ]
    assert [curve.colour for curve in quality.curves] == [1, 2, 3, 4, 5]


def test_titles_are_text() -> None:
    panel = Panel('<b> & "', (Curve("nll", "<i>", 1),), False)
    figure = parsed(panel, [{"step": 1, "nll": 2.0}])

    assert figure.findtext("figcaption/b") == '<b> & "'
    assert not list(figure.iter("i"))
