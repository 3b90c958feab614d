"""The folder for files that can be made again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder `dragoman` in the cache of the user; it may not exist."""
    base = os.environ.get("XDG_CACHE_HOME")
    # Not Path.home(), which raises if the user has no home; then nothing can be cached.
    return Path(base or os.path.expanduser("~/.cache")) / "dragoman"
