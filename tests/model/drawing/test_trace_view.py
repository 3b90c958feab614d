"""Heat maps of units: letters and colours by hand, and the whole view of a trace."""

import io
from collections.abc import Sequence

import pytest
import torch
from rich.console import Console

from model.drawing.trace_view import TraceView, unit_map
from model.network.trace import LayerTrace, Trace
from model.translation.text_trace import TextTrace

PIECES = ("▁a", "Haus", "</s>")
# Three steps of two units.
SHARES = torch.tensor([[0.0, 1.0], [0.5, 0.05], [0.95, 0.3]])
SIGNS = torch.tensor([[-2.0, 2.0], [0.1, -0.4], [1.0, -1.2]])


def lines_of(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def test_shares_are_tenths() -> None:
    assert lines_of(unit_map("forget", SHARES, PIECES, in_colour=False).plain) == [
        "forget 0-1",
        "",
        "",
        "",
        "",
        " H<",
        " a/",
        "␣us",
        "as>",
        " +@",
        "@ -",
    ]


def test_signs_are_sevenths_of_the_largest() -> None:
    lines = lines_of(unit_map("cell", SIGNS, PIECES, in_colour=False).plain)
    assert lines[0] == "cell ±2.00"
    assert lines[-2:] == ["N p", "P-n"]


def test_two_units_share_a_line_of_colours() -> None:
    picture = unit_map("cell", SIGNS, PIECES, in_colour=True)
    assert picture.plain.splitlines()[-1] == "▀▀▀"
    cells = [str(span.style) for span in picture.spans if "color" in str(span.style)]
    assert cells[0] == "color(51) on color(226)"  # -2 above 2: the ends of the scale
    assert cells[1].startswith("color(16) ")  # 0.1, about zero
    assert len(cells) == 3


def test_an_odd_unit_is_drawn_once_more_below_itself() -> None:
    picture = unit_map("hidden", SIGNS[:, :1], PIECES, in_colour=True)
    cells = [str(span.style) for span in picture.spans if "color" in str(span.style)]
    assert cells[0] == "color(51) on color(51)"


def test_nothing_but_zeros_is_drawn() -> None:
    lines = lines_of(unit_map("hidden", torch.zeros(3, 1), PIECES, in_colour=False).plain)
    assert lines[0] == "hidden ±0.00" and lines[-2:] == ["as>", ""]


def test_long_wide_and_steering_letters_take_one_cell_each() -> None:
    pieces = ("Donaudampfschiff", "語", "\x1b")
    lines = unit_map("input", SHARES, pieces, in_colour=False).plain.splitlines()
    assert "".join(line[0] for line in lines[1:9]) == "Donauda…"
    assert lines[8] == "…□\ufffd"


def layer(part: str, direction: str, steps: int, units: int) -> LayerTrace:
    return LayerTrace(
        part=part,  # type: ignore[arg-type]
        layer=1,
        direction=direction,  # type: ignore[arg-type]
        inputs=5,
        gates={"forget": torch.full((steps, units), 0.95)},
        hidden=torch.full((steps, units), -1.0),
        cell=torch.full((steps, units), 1.0),
        first_hidden=torch.zeros(units) if part == "encoder" else torch.ones(units),
        first_cell=None,
    )


@pytest.fixture
def found() -> TextTrace:
    layers = (
        layer("encoder", "forward", 3, 4),
        layer("encoder", "backward", 3, 4),
        layer("decoder", "forward", 2, 20),
    )
    return TextTrace(
        translation="b",
        truncated=False,
        source_pieces=PIECES,
        target_pieces=("▁b", "</s>"),
        trace=Trace(
            layers=layers,
            encoder_outputs=torch.zeros(3, 8),
            attention=torch.tensor([[0.8, 0.1, 0.1], [0.0, 0.0, 0.8]]),
            attentional=torch.zeros(2, 4),
        ),
    )


def printed(found: TextTrace, width: int, *, colours: bool) -> Sequence[str]:
    file = io.StringIO()
    console = Console(
        file=file,
        width=width,
        force_terminal=colours,
        color_system="256" if colours else None,
        highlight=False,
    )
    console.print(TraceView(found))
    return file.getvalue().splitlines()


def test_the_view_tells_each_layer_and_the_attention(found: TextTrace) -> None:
    lines = [line.rstrip() for line in printed(found, 200, colours=False)]
    assert lines[:2] == ["␣a Haus </s>", "-> ␣b </s>"]
    assert [line for line in lines if "layer 1" in line] == [
        "encoder, layer 1, forward: all 4 units, 3 steps from first to last, each reads 5 numbers; "
        "begins with zeros",
        "encoder, layer 1, backward: all 4 units, 3 steps from last to first, each reads 5 "
        "numbers; begins with zeros",
        "decoder, layer 1, forward: units 1 to 16 of 20, 2 steps from first to last, each reads 5 "
        "numbers; begins with what the encoder has found",
    ]
    assert lines.count("@@@         PPP         NNN") == 2 * 4
    assert lines.count("@@          PP          NN") == 16
    assert "0  .:-=+*#%@ 1     - Nn- +pP +" in lines
    assert "  ␣b @@...." in lines


def test_a_narrow_terminal_has_the_maps_one_below_the_other(found: TextTrace) -> None:
    lines = printed(found, 24, colours=False)
    assert max(map(len, lines)) <= 24
    assert not any("forget" in line and "cell" in line and "hidden" in line for line in lines)


def test_a_terminal_gets_colours(found: TextTrace) -> None:
    text = "\n".join(printed(found, 100, colours=True))
    assert "\x1b[38;5;51;48;5;51m▀" in text
    assert "PPP" not in text
