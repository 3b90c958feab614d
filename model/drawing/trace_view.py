"""Trace view: gates and states of each layer over the pieces, as heat maps for a terminal."""

# Shapes: T steps, D units.

from collections.abc import Iterator, Sequence

from rich.cells import cell_len, set_cell_size
from rich.columns import Columns
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text
from torch import Tensor

from model.drawing.attention_plot import AttentionHeatMap, shown_piece
from model.network.trace import LayerTrace
from model.translation.text_trace import TextTrace

UNITS = 16
"""Units of a layer that are shown, the first ones: a unit has no neighbours."""
LETTERS = 8
"""Rows that the name of a piece may take."""
SIGNED = ("candidate", "cell", "hidden")
"""Values of both signs; all others are between 0 and 1."""

# Of the 256 colours that terminals agree on: black to pale yellow; and from cyan, for negative
# values, over black to yellow.
_SHARES = (16, 17, 18, 54, 90, 126, 161, 197, 203, 209, 215, 221, 228, 230)
_SIGNS = (51, 45, 39, 33, 27, 20, 17, 16, 52, 88, 124, 160, 202, 214, 226)
_SHARE_LETTERS = " .:-=+*#%@"
_SIGN_LETTERS = "Nn- +pP"


class TraceView:
    """A trace for rich's `print`: in colours where the console has them, else in letters."""

    def __init__(self, found: TextTrace) -> None:
        """Hold what is to be drawn."""
        self._found = found

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw for `console`, whose width says how many heat maps stand side by side."""
        found, in_colour = self._found, bool(console.color_system and not console.no_color)
        yield Text(f"{_words(found.source_pieces)}\n-> {_words(found.target_pieces)}\n")
        for layer in found.trace.layers:
            of_source = layer.part == "encoder"
            pieces = found.source_pieces if of_source else found.target_pieces
            yield Text(_heading(layer), style="bold")
            yield Columns(_maps(layer, pieces, in_colour), padding=(0, 2))
        yield _legend(in_colour)
        yield Text("\nattention: a row for each target piece, a column for each source piece")
        yield AttentionHeatMap(found.source_pieces, found.target_pieces, found.trace.attention)


def _words(pieces: Sequence[str]) -> str:
    return " ".join(map(shown_piece, pieces))


def _heading(layer: LayerTrace) -> str:
    units = layer.hidden.shape[1]
    shown = f"units 1 to {UNITS} of {units}" if units > UNITS else f"all {units} units"
    steps = len(layer.hidden)
    order = "first to last" if layer.direction == "forward" else "last to first"
    start = "zeros" if not layer.first_hidden.any() else "what the encoder has found"
    return (
        f"{layer.part}, layer {layer.layer}, {layer.direction}: {shown}, {steps} steps from {order}"
        f", each reads {layer.inputs} numbers; begins with {start}"
    )


def _maps(layer: LayerTrace, pieces: Sequence[str], in_colour: bool) -> Iterator[RenderableType]:
    for name, values in layer.values.items():
        yield unit_map(name, values[:, :UNITS], pieces, in_colour=in_colour)


def unit_map(name: str, values: Tensor, pieces: Sequence[str], *, in_colour: bool) -> Text:
    """A row for each unit of `values` (T, D), a column for each piece, and what the ends mean.

    In colours each line has two units, the upper and the lower half of its letters.
    """
    largest = values.abs().max().item() if name in SIGNED else 1.0
    title = f"{name} ±{largest:.2f}" if name in SIGNED else f"{name} 0-1"
    picture = Text(no_wrap=True)
    picture.append(title + "\n", style="dim" if in_colour else "")
    for letters in zip(*(_upright(piece) for piece in pieces), strict=True):
        picture.append("".join(letters) + "\n")
    rows = _levels(name, values, largest, len(_shades(name, in_colour)))
    shades = _shades(name, in_colour)
    if not in_colour:
        lines = ("".join(str(shades[level]) for level in row) for row in rows)
        return picture.append("\n".join(lines) + "\n")
    for upper, lower in zip(rows[::2], [*rows[1::2], rows[-1]], strict=False):
        for above, below in zip(upper, lower, strict=True):
            picture.append("▀", style=f"color({shades[above]}) on color({shades[below]})")
        picture.append("\n")
    return picture


def _shades(name: str, in_colour: bool) -> Sequence[int] | str:
    """The colours or letters from the smallest value to the largest."""
    if name in SIGNED:
        return _SIGNS if in_colour else _SIGN_LETTERS
    return _SHARES if in_colour else _SHARE_LETTERS


def _levels(name: str, values: Tensor, largest: float, count: int) -> list[list[int]]:
    """Which of `count` shades each value has: a list for each unit."""
    shares = values.double() / (largest or 1.0)
    if name in SIGNED:
        shares = (shares + 1) / 2
    levels: list[list[int]] = (shares * count).long().clamp(0, count - 1).t().tolist()
    return levels


def _upright(piece: str) -> Iterator[str]:
    """The letters of a piece, from the top to the bottom of its column, one cell wide each."""
    shown = shown_piece(piece)
    cut = shown if len(shown) <= LETTERS else shown[: LETTERS - 1] + "…"
    yield from (letter if cell_len(letter) == 1 else "□" for letter in cut.rjust(LETTERS))


def _legend(in_colour: bool) -> Text:
    """What the shades mean."""
    legend = Text("0 ")
    for name, end in (("input", " 1     - "), ("cell", " +")):
        for shade in _shades(name, in_colour):
            if in_colour:
                legend.append("  ", style=f"on color({shade})")
            else:
                legend.append(set_cell_size(str(shade), 1))
        legend.append(end)
    return legend
