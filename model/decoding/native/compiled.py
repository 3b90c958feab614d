"""Compiled: the decorator of all kernels, and where their machine code is kept between runs.

Kernels that take many arrays take them in structures: named tuples, each of which documents the
shapes of its fields. Structures are built once and not in every step. An ordinary call of a kernel
looks up the types of its arguments first, which costs more for a structure than for the arrays in
it; callers of such kernels therefore call what `bound` returns.
"""

import atexit
import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, TypeVarTuple

from numba import njit, typeof
from numba.core import config

NUMBA: Any = config  # untyped: its values are read from the environment
P = ParamSpec("P")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")

FAST = {"reassoc", "nsz", "contract"}
"""Sums may be reordered, always in the same way for a given length. NaN and infinity keep their
meaning, because -inf stands for what is impossible."""

ROOM = 64 << 20
"""Bytes that must be free where kernels are kept: Numba fails if the disk is full."""


def sources_digest(folder: Path = Path(__file__).parent) -> str:
    """Return a digest of all sources under `folder`, which differs between versions."""
    digest = hashlib.sha256()
    for source in sorted(folder.rglob("*.py")):
        digest.update(f"{source.relative_to(folder)} {source.stat().st_size} ".encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def kernel_folder() -> Path:
    """Return the folder where kernels are kept: in `NUMBA_CACHE_DIR`, else in the user's cache.

    Its name contains a digest of the sources. Numba itself compares only the file of a kernel, and
    would keep using the old code after a change to a function in another file that it calls.
    """
    given = os.environ.get("NUMBA_CACHE_DIR")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(given) if given else Path(base) / "dragoman"
    return folder / f"kernels-{sources_digest()}"


def usable_folder(kept: Path) -> Path | None:
    """Return a folder that Numba can keep kernels in: `kept`, or a copy of it.

    Numba uses only folders that it can write to, but a container may ship its kernels in one that
    is read-only. They are then copied to a temporary folder, which is deleted when the process
    ends. Returns None if there is no temporary folder or the disk is full; kernels are then
    compiled in memory.
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
    with contextlib.suppress(OSError):  # a kernel that was not copied is compiled
        for file in kept.glob("*/*"):
            (copy / file.parent.name).mkdir(exist_ok=True)
            shutil.copyfile(file, copy / file.parent.name / file.name)
    return copy


_FOLDER = usable_folder(kernel_folder())


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` for this machine when it is first called; it runs without the GIL.

    Arrays are contiguous and have the types of the annotations. Their shapes are documented by the
    structure that holds them, or else by the docstring of the kernel.
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


def bound(function: Callable[[*Ts], R], *arguments: *Ts) -> Callable[[*Ts], R]:
    """Return the machine code of a kernel for arguments with the types of `arguments`.

    It is compiled or loaded if necessary. Calling it skips the lookup of the types, so nothing
    checks them: every argument must have the type, the number of dimensions and the memory layout
    of the one given here. Structures and arrays may be different ones in each call.
    """
    dispatcher: Any = function
    types = tuple(typeof(each) for each in arguments)  # type: ignore[no-untyped-call]
    code: Callable[[*Ts], R] = dispatcher.compile(types)
    return code
