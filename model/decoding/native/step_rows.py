"""StepRows: the rows of a decoding step, one for each hypothesis that is alive."""

# Shapes: R rows.

from typing import NamedTuple

from model.decoding.native.product import Ints


class StepRows(NamedTuple):
    """What is known of each row; only as many rows count as there are in the step."""

    piece: Ints
    """(R,) its last piece."""
    origin: Ints
    """(R,) the row of the old state that it continues."""
    sentence: Ints
    """(R,) the slot of its sentence in the memory."""
    place: Ints
    """(R,) the row that its attention weights are written to."""
