"""Compiled: the decorator of all kernels, and where their machine code is kept between runs."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from numba import njit
from numba.core import config

NUMBA: Any = config  # its values come from the environment, and have no types
P = ParamSpec("P")
R = TypeVar("R")

FAST = {"reassoc", "nsz", "contract"}
"""Sums may be taken in another order than written, always the same for a length; NaN and infinity
keep their meaning, because -inf stands for what is impossible."""


def cache_folder() -> Path:
    """Where the kernels are kept: `NUMBA_CACHE_DIR`, else the user's cache.

    Its name has a digest of the sources: Numba itself compares one file only, and would go on
    with an old kernel after a change in a function that it was compiled with.
    """
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    given = os.environ.get("NUMBA_CACHE_DIR")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(given) if given else Path(base) / "dragoman"
    return folder / f"kernels-{digest.hexdigest()[:16]}"


_FOLDER = str(cache_folder())


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` when it is first called, for the machine at hand; it holds no lock.

    Arrays are contiguous, of the types that its docstring or its first comment says.
    """
    others = NUMBA.CACHE_DIR
    NUMBA.CACHE_DIR = _FOLDER
    try:
        compiled: Callable[P, R] = njit(fastmath=FAST, error_model="numpy", nogil=True, cache=True)(
            function
        )
    finally:
        NUMBA.CACHE_DIR = others
    return compiled
