"""The folder for what this user's programs can make again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """`dragoman` in the user's cache; it need not exist."""
    base = os.environ.get("XDG_CACHE_HOME")
    # Not Path.home(), which raises where nobody has a home: then nothing can be kept there.
    return Path(base or os.path.expanduser("~/.cache")) / "dragoman"
