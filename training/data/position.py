"""Position of a run in its data: all that is needed to go on with the very next batch."""

from typing import NamedTuple


class Position(NamedTuple):
    """Position of a run in its data."""

    epoch: int = 0
    window: int = 0
    batches: int = 0
    """Batches of this window that have been drawn."""
