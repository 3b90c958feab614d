"""Attention pictures: shades in text, colours on a terminal, a PNG."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import colormaps
from matplotlib.image import imread
from numpy.typing import NDArray
from rich.cells import cell_len
from rich.console import Console

from model.drawing.attention_plot import (
    AttentionHeatMap,
    attention_image,
    attention_text,
    save_attention,
)

SOURCE = ["▁acht", "▁Euro", "</s>"]
TARGET = ["▁€", "8", "</s>"]
WEIGHTS = torch.tensor([[0.1, 0.8, 0.1], [0.5, 0.25, 0.25], [0.0, 0.0, 0.79]])

# Shades are tenths of the largest weight, 0.8: 0.1 is the second, 0.25 the fourth, 0.5 the seventh.
PICTURE = """\
     ␣ ␣
     a E <
     c u /
     h r s
     t o >
  ␣€ ..@@..
   8 **----
</s>     @@
     0   ..::--==++**##%%@@ 0.80"""


def terminal(*, no_color: bool) -> Console:
    return Console(
        file=io.StringIO(),
        force_terminal=True,
        color_system="256",
        no_color=no_color,
        width=100,
    )


def printed(heat_map: AttentionHeatMap, console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    console.print(heat_map)
    return console.file.getvalue()


def test_shades_are_shares_of_the_largest_weight() -> None:
    text = attention_text(SOURCE, TARGET, WEIGHTS)

    assert [line.rstrip() for line in text.splitlines()] == PICTURE.splitlines()


def test_half_precision_weights_are_drawn() -> None:
    assert attention_text(SOURCE, TARGET, WEIGHTS.bfloat16()).count("@@") == 3


def test_twenty_long_pieces_fit_into_a_hundred_columns() -> None:
    pieces = ["▁Donaudampfschifffahrt"] * 20
    lines = attention_text(pieces, pieces, torch.eye(20)).splitlines()

    assert max(map(len, lines)) <= 100
    assert lines[14].startswith("␣Donaudampfsc… @@")
    assert "".join(line[15] for line in lines[:14]) == "␣Donaudampfsc…"


def test_wide_letters_keep_the_columns_apart() -> None:
    lines = attention_text(["▁日本", "a"], ["語", "b"], torch.eye(2)).splitlines()

    assert lines[2] == "   本a"
    assert lines[3] == "語 @@  "
    assert cell_len(lines[3]) == cell_len(lines[4]) == 7


def test_pieces_cannot_steer_the_terminal() -> None:
    text = attention_text(["\x1b[2J"], ["a\tb\x85"], torch.ones(1, 1))

    assert not set(text) & {"\x1b", "\t", "\x85"}
    assert "a\ufffdb\ufffd @@" in text


def test_a_terminal_gets_colours() -> None:
    console = terminal(no_color=False)
    output = printed(AttentionHeatMap(SOURCE, TARGET, WEIGHTS), console)

    brightest, darkest = "\x1b[48;5;230m  \x1b[0m", "\x1b[48;5;16m  \x1b[0m"
    assert f"</s> {darkest}{darkest}{brightest}\n" in output
    assert "@" not in output


def test_a_file_and_a_terminal_without_colours_get_characters() -> None:
    for console in (
        terminal(no_color=True),
        Console(file=io.StringIO(), force_terminal=False, width=100),
    ):
        output = printed(AttentionHeatMap(SOURCE, TARGET, WEIGHTS), console)

        assert output == attention_text(SOURCE, TARGET, WEIGHTS) + "\n"


def test_what_does_not_fit_is_cut_off_not_wrapped() -> None:
    pieces = ["▁a"] * 60
    console = Console(file=io.StringIO(), force_terminal=False, width=40)
    lines = printed(AttentionHeatMap(pieces, pieces, torch.eye(60)), console).splitlines()

    assert len(lines) == 2 + 60 + 1
    assert max(map(len, lines)) == 40


def centre(image: NDArray[np.float32], level: float) -> tuple[float, float]:
    """Mean column and row of the pixels in the colour of `level`."""
    near = np.abs(image[:, :, :3] - colormaps["magma"](level)[:3]).max(axis=2) < 0.02
    rows, columns = near.nonzero()
    return columns.mean(), rows.mean()


@pytest.mark.parametrize("piece", ["▁$", "$x^$", "▁Straße", "語", "a\x17"])
def test_the_file_shows_target_rows_and_source_columns(tmp_path: Path, piece: str) -> None:
    weights = torch.zeros(6, 6)
    weights[0, 4:] = torch.tensor([0.5, 1.0])
    pieces = [piece] * 6
    save_attention(pieces, pieces, weights, tmp_path / "a.png", title=f"Das kostet {piece} {piece}")

    image = imread(tmp_path / "a.png")
    middle, largest = centre(image, 0.5), centre(image, 1.0)
    assert max(image.shape) < 1000
    assert middle[1] < image.shape[0] / 2 and largest[1] < image.shape[0] / 2
    assert middle[0] > image.shape[1] / 2


def test_pixels_show_what_the_file_shows() -> None:
    weights = torch.zeros(6, 6)
    weights[0, 4:] = torch.tensor([0.5, 1.0])
    image = attention_image(["$x"] * 6, ["$x"] * 6, weights, title="$x")

    assert image.dtype == np.uint8 and image.shape[2] == 3
    column, row = centre(np.divide(image, 255, dtype=np.float32), 0.5)
    assert row < image.shape[0] / 2 < column


def test_long_texts_have_pictures_of_a_size_that_a_training_can_keep() -> None:
    short = attention_image(["a"] * 20, ["b"] * 20, torch.eye(20), title="b")
    long = attention_image(["a"] * 400, ["b"] * 400, torch.eye(400), title="b " * 400)

    assert max(short.shape) < 700
    assert max(long.shape) < 2000
    column, row = centre(np.divide(long, 255, dtype=np.float32), 1.0)
    assert abs(row / long.shape[0] - 0.5) < 0.1 and abs(column / long.shape[1] - 0.5) < 0.1
