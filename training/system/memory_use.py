"""Memory use: measures the memory of the process and of a piece of work."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from model.decoding.available_memory import kilobytes
from model.decoding.freed_memory import release_unused
from model.decoding.out_of_memory import is_out_of_memory
from model.errors import DragomanError


class OutOfMemory(DragomanError):
    """A piece of work needs more memory than there is."""


@contextmanager
def named_shortage(work: str, advice: str) -> Iterator[None]:
    """Turn an out-of-memory error inside into one that says what needed memory and what to do.

    Raises:
        OutOfMemory: the machine or the GPU does not have enough.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(f"no memory left for {work}. {advice}") from error


def bound_kernel_cache() -> None:
    """Limit oneDNN's cache of compiled primitives, unless the environment sets its size.

    It caches one for each shape of each product, 1,024 by default, so that a training still grew
    after thousands of updates. Call this before torch computes anything: oneDNN reads the variable
    once.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")


def resident_bytes() -> int:
    """Measure the memory that the process holds now; 0 where that is unknown (not Linux)."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return 0
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_bytes(work: Callable[[], object], device: torch.device) -> int:
    """Measure the peak memory of `work`, in addition to what is held when it begins.

    The memory is that of the GPU if `device` is one, otherwise that of the process (Linux).
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return torch.cuda.max_memory_allocated(device) - before
    release_unused()
    before = resident_bytes()
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
    work()
    return max(kilobytes("/proc/self/status", "VmHWM") - before, 0)
