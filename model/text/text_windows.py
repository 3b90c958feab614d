"""Text windows: a text that is too long for the model, in overlapping stretches of sentences."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

OVERLAP = 0.1
"""Share of a window, in pieces, that is read again in the next one; about that, as only whole
sentences are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextWindow:
    """A stretch of a text that was read by itself, and what became of it."""

    start: int
    """Where it begins in the text as given, in characters (code points)."""
    end: int
    """Where it ends: the first character behind it."""
    score: float
    """The score of its best summary, as that of a `TextHypothesis`."""
    used: bool
    """Whether the answer is made from its summary, too."""

    def to_json(self) -> dict[str, object]:
        """The window as JSON output has it."""
        return {"start": self.start, "end": self.end, "score": self.score, "used": self.used}


class Unit(NamedTuple):
    """What is in a window as a whole or not at all: a sentence, or a part of one that is longer."""

    start: int
    end: int
    pieces: int
    """At most as many as the model reads."""


def window_spans(
    units: Sequence[Unit], count: Callable[[int, int], int], limit: int, *, overlap: bool
) -> list[tuple[int, int]]:
    """Where windows of at most `limit` pieces begin and end, so that each unit is in one at least.

    Each is as long as fits. One begins `OVERLAP` of a window, or nearly, before the end of the one
    before it; less, or nothing, where it would not get beyond that end.

    Args:
        units: in order.
        count: the pieces of what is between two places; about the sum of those of its units.
    """
    spans: list[tuple[int, int]] = []
    start = done = 0
    while done < len(units):
        stop = _fitting(units, start, count, limit)
        if stop <= done:  # what is read again left no room for the next unit
            start = done
            continue
        spans.append((units[start].start, units[stop - 1].end))
        start = _read_again(units, start, stop, OVERLAP * limit) if overlap else stop
        done = stop
    return spans


def _fitting(
    units: Sequence[Unit], start: int, count: Callable[[int, int], int], limit: int
) -> int:
    """The unit behind the last that fits into a window which begins with unit `start`."""
    stop, pieces = start + 1, units[start].pieces
    while stop < len(units) and pieces + units[stop].pieces <= limit:
        pieces += units[stop].pieces
        stop += 1
    # Together, units may take more pieces than one by one, though hardly ever.
    while stop > start + 1 and count(units[start].start, units[stop - 1].end) > limit:
        stop -= 1
    return stop


def _read_again(units: Sequence[Unit], start: int, stop: int, wanted: float) -> int:
    """The unit with which to begin again, so that about `wanted` pieces up to `stop` follow."""
    best, pieces = stop, 0
    for place in range(stop - 1, start, -1):
        closer = abs(pieces + units[place].pieces - wanted) < abs(pieces - wanted)
        if not closer:
            break
        pieces += units[place].pieces
        best = place
    return best
