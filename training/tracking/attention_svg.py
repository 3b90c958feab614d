"""Attention of a sample as SVG: a row for each target piece, a column for each source piece.

Its colour is that of the text of the page, so that it suits a light and a dark one.
"""

from collections.abc import Sequence
from html import escape

from model.drawing.attention_plot import shown_piece
from training.tracking.run_record import AttentionRow
from training.tracking.svg_text import SIZE, text_width

CELL = 16
GAP = 5
FAINTEST = 0.01  # of the largest weight; what is fainter cannot be seen


def attention_svg(attention: AttentionRow, *, label: str) -> str:
    """Draw the weights, each as a square whose strength is its share of the largest one.

    Labels are whole, however long, and the drawing keeps its size: the page scrolls over it.
    """
    source, target = (
        [shown_piece(piece) for piece in attention[side]]
        for side in ("source_pieces", "target_pieces")
    )
    left = GAP + max(map(text_width, target))
    top = GAP + max(map(text_width, source))
    width, height = left + CELL * len(source) + GAP, top + CELL * len(target) + GAP
    parts = [
        f'<text transform="translate({left + CELL * (n + 0.5) + SIZE / 3:.1f} {top - GAP:.1f}) '
        f'rotate(-90)">{escape(piece)}</text>'
        for n, piece in enumerate(source)
    ]
    parts += [
        f'<text x="{left - GAP:.1f}" y="{top + CELL * (n + 0.5):.1f}" dy="4" text-anchor="end">'
        f"{escape(piece)}</text>"
        for n, piece in enumerate(target)
    ]
    frame = f'width="{CELL * len(source)}" height="{CELL * len(target)}"'
    parts.append(f'<rect class="frame" x="{left:.1f}" y="{top:.1f}" {frame}/>')
    parts += _squares(source, target, attention["weights"], left, top)
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.1f} {height:.1f}"'
    return (
        f'<svg class="attention" {size} font-size="{SIZE}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def _squares(
    source: Sequence[str],
    target: Sequence[str],
    weights: Sequence[Sequence[float]],
    left: float,
    top: float,
) -> list[str]:
    """The squares that can be seen, each of which says its pieces and its weight."""
    largest = max(map(max, weights)) or 1.0
    return [
        f'<rect x="{left + CELL * column:.1f}" y="{top + CELL * row:.1f}" width="{CELL}" '
        f'height="{CELL}" fill-opacity="{weight / largest:.2f}"><title>{escape(target[row])} from '
        f"{escape(source[column])}: {weight:.3f}</title></rect>"
        for row, numbers in enumerate(weights)
        for column, weight in enumerate(numbers)
        if weight >= FAINTEST * largest
    ]
