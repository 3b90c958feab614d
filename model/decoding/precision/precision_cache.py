"""Precision cache: a precision that was chosen by measurement, kept for the machine."""

import contextlib
import hashlib
import json
import platform
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from model.decoding.precision.dtypes import Precision
from model.errors import DataError
from model.io.cache_folder import cache_folder
from model.io.lines import atomic_output


def quickest(
    candidates: Sequence[Precision],
    seconds: Callable[[Precision], float],
    *,
    sizes: str,
    folder: Path | None = None,
) -> Precision:
    """The one of `candidates` that takes the fewest `seconds`, from `folder` or measured.

    If the folder cannot be read or written, it is measured again the next time.

    Args:
        sizes: what the answer depends on besides the machine, torch and its threads.
        folder: the cache of the user if None.
    """
    file = (folder or cache_folder()) / "precision.json"
    machine = _machine(sizes, candidates)
    known = _read(file)
    found = known.get(machine)
    for precision in candidates:
        if precision == found:
            return precision
    taken = {precision: seconds(precision) for precision in candidates}
    best = min(candidates, key=lambda precision: taken[precision])
    with contextlib.suppress(OSError, DataError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_output(file) as output:
            output.write(json.dumps(known | {machine: best}, indent=1).encode())
    return best


def _machine(sizes: str, candidates: Sequence[Precision]) -> str:
    """Return a key of everything that the result depends on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text(errors="replace").splitlines()
        cpu = " ".join(sorted({line for line in lines if line.startswith(("model", "flags"))}))
    parts = (cpu, torch.__version__, torch.get_num_threads(), sizes, "/".join(candidates))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _read(file: Path) -> dict[str, object]:
    try:
        known = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
