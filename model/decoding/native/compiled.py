"""Compiled: the decorator of all kernels, and where their machine code is kept between runs."""

import atexit
import contextlib
import hashlib
import os
import shutil
import tempfile
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


ROOM = 64 << 20
"""Bytes that must be free where kernels are kept: Numba takes a full disk for an error."""


def sources_digest(folder: Path = Path(__file__).parent) -> str:
    """Of all kernels in `folder` and the folders in it, which another version has otherwise."""
    digest = hashlib.sha256()
    for source in sorted(folder.rglob("*.py")):
        digest.update(f"{source.relative_to(folder)} {source.stat().st_size} ".encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def kernel_folder() -> Path:
    """Where the kernels are kept: `NUMBA_CACHE_DIR`, else the user's cache.

    Its name has a digest of the sources: Numba itself compares one file only, and would go on
    with an old kernel after a change in a function that it was compiled with.
    """
    given = os.environ.get("NUMBA_CACHE_DIR")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(given) if given else Path(base) / "dragoman"
    return folder / f"kernels-{sources_digest()}"


def usable_folder(kept: Path) -> Path | None:
    """Where Numba can keep kernels, which is only where it can write: `kept` or a copy of it.

    A container brings its kernels in a folder that nobody can write to. Then the copy lives in the
    folder for temporary files as long as the process; without that, or room on the disk, there is
    None, and kernels are compiled in memory.
    """
    with contextlib.suppress(OSError):
        kept.mkdir(parents=True, exist_ok=True)
    if os.access(kept, os.W_OK | os.X_OK):
        return kept if shutil.disk_usage(kept).free >= ROOM else None
    try:
        copy = Path(tempfile.mkdtemp(prefix="dragoman-kernels-"))
    except OSError:
        return None
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    with contextlib.suppress(OSError):  # what is not copied is compiled
        for file in kept.glob("*/*"):
            (copy / file.parent.name).mkdir(exist_ok=True)
            shutil.copyfile(file, copy / file.parent.name / file.name)
    return copy


_FOLDER = usable_folder(kernel_folder())


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` when it is first called, for the machine at hand; it holds no lock.

    Arrays are contiguous, of the types that its docstring or its first comment says.
    """
    others = NUMBA.CACHE_DIR
    NUMBA.CACHE_DIR = str(_FOLDER or "")
    keep = _FOLDER is not None
    try:
        compiled: Callable[P, R] = njit(fastmath=FAST, error_model="numpy", nogil=True, cache=keep)(
            function
        )
    finally:
        NUMBA.CACHE_DIR = others
    return compiled
