"""Background priority: threads whose work takes long, and may wait for what people wait for."""

import os
import sys

BACKGROUND_NICENESS = 10
"""Of the threads of the background: beside others that want the core, they have a tenth of it."""


def lower_priority() -> None:
    """Give the thread that calls it the priority of the background."""
    if sys.platform == "linux":  # elsewhere it would be that of the whole process
        os.nice(BACKGROUND_NICENESS)
