"""Trace figure: gates and states of each layer over the pieces, and the attention, in a file."""

# Shapes: T steps, D units.

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from model.drawing.attention_plot import (
    DOTS_PER_INCH,
    MOST_NAMED,
    boxes_for_letters_without_font,
    shown_piece,
)
from model.drawing.trace_view import SIGNED, UNITS
from model.errors import ConfigError
from model.io.lines import atomic_output
from model.translation.text_trace import TextTrace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg")
SMALL = 7  # points


def picture_format(path: Path) -> str:
    """The format that the name of `path` asks for: one of `FORMATS`.

    Raises:
        ConfigError: it asks for another, or for none.
    """
    ending = path.suffix.lower().removeprefix(".")
    if ending not in FORMATS:
        raise ConfigError(
            f"{path}: a picture is written as PNG or SVG. Give a name that ends in .png or .svg."
        )
    return ending


def save_trace(found: TextTrace, path: Path) -> None:
    """Draw the trace into `path`. The same trace gives the same SVG, byte for byte.

    Raises:
        ConfigError: see `picture_format`.
        DataError: `path` cannot be written.
    """
    # Takes a second, and most commands draw nothing.
    from matplotlib import rc_context

    kind = picture_format(path)
    with (
        rc_context(
            {
                "svg.fonttype": "none",  # text as text
                "svg.hashsalt": "trace",
                "font.family": ["DejaVu Sans"],
            }
        ),
        boxes_for_letters_without_font(),
    ):
        figure = _figure(found)
        metadata = {"Date": None} if kind == "svg" else {}
        with atomic_output(path) as file:
            figure.savefig(
                file, format=kind, bbox_inches="tight", pad_inches=0.15, metadata=metadata
            )


def _figure(found: TextTrace) -> "Figure":
    from matplotlib.figure import Figure

    layers = found.trace.layers
    columns = len(layers[0].values)
    longest = min(max(len(found.source_pieces), len(found.target_pieces)), MOST_NAMED)
    size = (columns * (0.3 + 0.13 * longest), (len(layers) + 1) * 1.8)
    figure = Figure(figsize=size, dpi=DOTS_PER_INCH, layout="constrained")
    grid = figure.subplots(len(layers) + 1, columns, squeeze=False)
    following = [*(layer.part for layer in layers[1:]), ""]
    for layer, after, row in zip(layers, following, grid, strict=False):
        of_source = layer.part == "encoder"
        pieces = found.source_pieces if of_source else found.target_pieces
        for (name, values), axes in zip(layer.values.items(), row, strict=True):
            _draw(axes, name, values[:, :UNITS])
            # The columns of the rows above are the same.
            _name_columns(axes, pieces if after != layer.part else ())
            axes.set_yticks([])
            axes.set_frame_on(False)
        shown = min(UNITS, layer.hidden.shape[1])
        direction = f", {layer.direction}" if of_source else ""
        row[0].set_ylabel(
            f"{layer.part} {layer.layer}{direction}\nunits 1 to {shown}", fontsize=SMALL
        )
    for axes in grid[-1]:
        axes.remove()
    # Beneath the maps of units, as wide as two of them.
    span = grid[-1][0].get_gridspec()[-1, : min(2, columns)]
    _draw_attention(figure.add_subplot(span), found)
    return figure


def _draw(axes: "Axes", name: str, values: Tensor) -> None:
    """A row for each unit of `values` (T, D), a column for each step; the title has the range."""
    signed = name in SIGNED
    most = values.abs().max().item() or 1.0
    axes.imshow(
        values.double().t().tolist(),
        cmap="RdBu_r" if signed else "magma",
        vmin=-most if signed else 0,
        vmax=most if signed else 1,
        aspect="auto",
        interpolation="none",  # in an SVG, the numbers themselves in place of a large picture
    )
    ends = f"-{most:.2f} to {most:.2f}" if signed else "0 to 1"
    axes.set_title(f"{name}, {ends}", fontsize=SMALL)


def _draw_attention(axes: "Axes", found: TextTrace) -> None:
    weights = found.trace.attention.double().tolist()
    axes.imshow(weights, cmap="magma", vmin=0, vmax=1, aspect="auto", interpolation="none")
    axes.set_title("attention, 0 to 1", fontsize=SMALL)
    rows = [shown_piece(piece) for piece in found.target_pieces]
    if len(rows) <= MOST_NAMED:
        axes.set_yticks(range(len(rows)), rows, fontsize=SMALL, parse_math=False)
    _name_columns(axes, found.source_pieces)


def _name_columns(axes: "Axes", pieces: Sequence[str]) -> None:
    axes.tick_params(bottom=False, left=False)
    named = pieces if len(pieces) <= MOST_NAMED else ()
    names = [shown_piece(piece) for piece in named]
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=SMALL, parse_math=False)
