"""Attention plots: which source pieces each target piece was read from (Bahdanau 2015)."""

# Shapes: T target pieces, S source pieces.

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill, shorten
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text
from torch import Tensor

from model.io.lines import atomic_output
from model.text.tokenizer import SPACE_MARK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_SPACE = "\u2423"  # open box; the bar of SentencePiece would touch the letter below
CELL = 2  # columns: about a square
LABEL = 14  # columns or rows that a piece may take
MOST_NAMED = 80  # pieces on a side of a picture; of more, cells are narrow and have numbers
DOTS_PER_INCH = 130
DOTS_PER_INCH_OF_SAMPLES = 65  # every validation of a training adds some
TITLE = 300  # letters that are shown

_ASCII = [Text(shade * CELL) for shade in " .:-=+*#%@"]
# Of the 256 colours that terminals agree on: dark blue, purple, red, orange, pale yellow.
_RAMP = (16, 17, 18, 54, 90, 126, 161, 197, 203, 209, 215, 221, 228, 230)
_COLOURS = [Text(" " * CELL, style=f"on color({number})") for number in _RAMP]


def attention_text(source: Sequence[str], target: Sequence[str], weights: Tensor) -> str:
    """Draw `weights` (T, S) in characters: a row per target piece, a column per source piece.

    The last line says which weights the shades mean: from 0 to the largest of this picture.
    Twenty source pieces take 55 columns.
    """
    return _draw(source, target, weights, _ASCII).plain


class AttentionHeatMap:
    """`attention_text` for rich's `print`: in colours where the console has them."""

    def __init__(self, source: Sequence[str], target: Sequence[str], weights: Tensor) -> None:
        """Hold `weights` (T, S) and the pieces, to be drawn."""
        self._picture = (source, target, weights)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw for `console`, cut off at its width."""
        in_colour = console.color_system and not console.no_color
        yield _draw(*self._picture, _COLOURS if in_colour else _ASCII)


def save_attention(
    source: Sequence[str], target: Sequence[str], weights: Tensor, path: Path, *, title: str
) -> None:
    """Draw `weights` (T, S) into the PNG file `path`.

    Raises:
        DataError: `path` cannot be written.
    """
    figure = _figure(source, target, weights, title)
    with atomic_output(path) as file, boxes_for_letters_without_font():
        figure.savefig(file, format="png", bbox_inches="tight", pad_inches=0.15)


def attention_image(
    source: Sequence[str], target: Sequence[str], weights: Tensor, *, title: str
) -> NDArray[np.uint8]:
    """Draw `weights` (T, S) as pixels (height, width, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = _figure(source, target, weights, title)
    figure.set_dpi(DOTS_PER_INCH_OF_SAMPLES)
    canvas = FigureCanvasAgg(figure)
    with boxes_for_letters_without_font():
        canvas.draw()  # type: ignore[no-untyped-call]
    pixels = canvas.buffer_rgba()  # type: ignore[no-untyped-call]
    return np.asarray(pixels, dtype=np.uint8)[:, :, :3]


def _figure(source: Sequence[str], target: Sequence[str], weights: Tensor, title: str) -> "Figure":
    # Takes a second, and most commands draw nothing.
    from matplotlib.figure import Figure

    size = (2.2 + _side(len(source), 0.34), 1.8 + _side(len(target), 0.3))
    figure = Figure(figsize=size, dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(weights.tolist(), cmap="magma", vmin=0, aspect="auto")
    axes.xaxis.tick_top()
    # A piece may be "$": no formulas.
    if len(source) <= MOST_NAMED:
        columns = [shown_piece(piece) for piece in source]
        axes.set_xticks(range(len(columns)), columns, rotation=90, parse_math=False)
    else:
        axes.set_xlabel(f"number of the source piece, of {len(source)}")
    if len(target) <= MOST_NAMED:
        rows = [shown_piece(piece) for piece in target]
        axes.set_yticks(range(len(rows)), rows, parse_math=False)
    else:
        axes.set_ylabel(f"number of the target piece, of {len(target)}")
    axes.tick_params(length=0)
    # Not wrap=True, which looks for formulas whatever parse_math says.
    text = shorten(shown_piece(title), TITLE, placeholder="…")
    axes.set_title(fill(text, width=round(10 * size[0])), parse_math=False)
    figure.colorbar(image, label="attention weight")
    return figure


def _side(count: int, cell: float) -> float:
    """Inches of `count` pieces in a row, if the name of one takes `cell`."""
    return cell * count if count <= MOST_NAMED else min(cell * MOST_NAMED, 0.08 * count)


@contextmanager
def boxes_for_letters_without_font() -> Iterator[None]:
    """Silence matplotlib about missing glyphs: its warnings would fill the log of a training."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from font")
        yield


def _draw(
    source: Sequence[str], target: Sequence[str], weights: Tensor, shades: Sequence[Text]
) -> Text:
    """Source pieces downwards on top, one row for each target piece, and what the shades mean."""
    columns = [_fitted(shown_piece(piece)) for piece in source]
    rows = [_fitted(shown_piece(piece)) for piece in target]
    left = max(map(cell_len, rows), default=0) + 1
    height = max(map(len, columns), default=0)
    picture = Text(no_wrap=True)
    for letters in zip(*(column.rjust(height) for column in columns), strict=True):
        line = " " * left + "".join(set_cell_size(letter, CELL) for letter in letters)
        picture.append(line.rstrip() + "\n")
    largest = weights.max().item()
    for row, row_weights in zip(rows, weights.tolist(), strict=True):
        picture.append(" " * (left - 1 - cell_len(row)) + row + " ")
        for weight in row_weights:
            picture.append_text(shades[min(int(weight / largest * len(shades)), len(shades) - 1)])
        picture.append("\n")
    picture.append(" " * left + "0 ")
    for shade in shades:
        picture.append_text(shade)
    return picture.append(f" {largest:.2f}")


def shown_piece(piece: str) -> str:
    """Replace SentencePiece's mark, and what would steer a terminal or turn the letters around."""
    marked = piece.replace(SPACE_MARK, SHOWN_SPACE)
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in marked)


def _fitted(label: str) -> str:
    return label if cell_len(label) <= LABEL else set_cell_size(label, LABEL - 1) + "…"
