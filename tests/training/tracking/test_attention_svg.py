"""The attention of a sample in the report: squares in their places, labels that are whole."""

from xml.etree import ElementTree

import pytest

from training.tracking.attention_svg import attention_svg
from training.tracking.run_record import AttentionRow

ATTENTION = AttentionRow(
    source_pieces=["▁acht", "▁Euro", "</s>"],
    target_pieces=["▁€", "8"],
    weights=[[0.1, 0.8, 0.001], [0.4, 0.0, 0.6]],
)


def squares(figure: ElementTree.Element) -> dict[str, tuple[float, float, float]]:
    """Column and row in units of a square, and strength, of each title."""
    frame, *others = figure.iter("rect")
    return {
        square.findtext("title", ""): (
            (float(square.get("x", "")) - float(frame.get("x", ""))) / 16,
            (float(square.get("y", "")) - float(frame.get("y", ""))) / 16,
            float(square.get("fill-opacity", "")),
        )
        for square in others
    }


def test_a_square_is_as_strong_as_its_weight() -> None:
    figure = ElementTree.fromstring(attention_svg(ATTENTION, label="a"))

    assert squares(figure) == {
        "␣€ from ␣acht: 0.100": pytest.approx((0, 0, 0.12), abs=0.01),
        "␣€ from ␣Euro: 0.800": pytest.approx((1, 0, 1.0), abs=0.01),
        "8 from ␣acht: 0.400": pytest.approx((0, 1, 0.5), abs=0.01),
        "8 from </s>: 0.600": pytest.approx((2, 1, 0.75), abs=0.01),
    }
    assert [e.text for e in figure.iter("text")] == ["␣acht", "␣Euro", "</s>", "␣€", "8"]


def test_labels_have_room() -> None:
    long = "▁Donaudampfschifffahrtsgesellschaftskapitän"
    pieces = AttentionRow(source_pieces=[long], target_pieces=["語" * 20], weights=[[1.0]])
    figure = ElementTree.fromstring(attention_svg(pieces, label="a"))

    frame = next(figure.iter("rect"))
    assert float(frame.get("x", "")) >= 20 * 11
    assert float(frame.get("y", "")) >= 0.55 * 11 * len(long)


def test_pieces_are_text_and_cannot_turn_the_letters_around() -> None:
    pieces = AttentionRow(
        source_pieces=["<script>", '"'], target_pieces=["\u202e\n"], weights=[[0.0, 0.0]]
    )
    figure = ElementTree.fromstring(attention_svg(pieces, label='<b>"'))

    assert figure.get("aria-label") == '<b>"'
    assert [e.text for e in figure.iter("text")] == ["<script>", '"', "\ufffd\ufffd"]
