"""HTML parts of the report: text, tables, sections. Everything that is text is escaped."""

import unicodedata
from collections.abc import Mapping, Sequence
from html import escape

# They turn the letters around them, or hide in a text what it says.
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def shown(text: str) -> str:
    """Escape `text` for HTML; characters that steer the display are spelled out, as \\n is."""
    return escape("".join(_spelled(c) for c in text))


def _spelled(letter: str) -> str:
    if letter in _DIRECTIONS or unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp"):
        return ascii(letter)[1:-1]
    return letter


def facts(values: Mapping[str, str]) -> str:
    """Make the rows of a <dl>."""
    return "".join(f"<dt>{shown(k)}</dt><dd>{shown(v)}</dd>" for k, v in values.items())


def table(head: Sequence[str], rows: Sequence[tuple[Sequence[str], bool]]) -> str:
    """Make a table of rows, some marked as the best; all columns but the first are numbers."""

    def row(cells: Sequence[str], tag: str) -> str:
        first, *others = (shown(cell) for cell in cells)
        numbers = "".join(f'<{tag} class="number">{cell}</{tag}>' for cell in others)
        return f"<{tag}>{first}</{tag}>{numbers}"

    body = "".join(
        f"<tr{' class=best' if best else ''}>{row(cells, 'td')}</tr>" for cells, best in rows
    )
    return f'<div class="wide"><table><tr>{row(head, "th")}</tr>{body}</table></div>'


def section(title: str, body: str) -> str:
    """Put a heading above `body`; nothing if that is empty."""
    return f"<h2>{shown(title)}</h2>{body}" if body else ""


def folded(title: str, body: str) -> str:
    """Fold `body` under a title."""
    return f"<details><summary>{shown(title)}</summary>{body}</details>"
