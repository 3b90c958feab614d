"""Memory use: measures the memory of the process, of a piece of work, and what is available."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

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
    return max(_kilobytes("/proc/self/status", "VmHWM") - before, 0)


def available_bytes(device: torch.device) -> int:
    """Measure the memory still available: on the GPU, or in the machine or container (Linux).

    0 where that is unknown.
    """
    if device.type == "cuda":
        held_unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + held_unused
    if sys.platform != "linux":
        return 0
    release_unused()
    return min([_kilobytes("/proc/meminfo", "MemAvailable"), *_left_in_container()])


def _left_in_container() -> list[int]:
    """Memory left below the limit of control groups (version 2); empty without one."""
    folder = Path("/sys/fs/cgroup")
    limit = folder / "memory.max"
    if not limit.exists() or limit.read_text().strip() == "max":
        return []
    # The cache of files counts as used, but gives way.
    used = int((folder / "memory.current").read_text())
    match = re.search(r"^inactive_file (\d+)$", (folder / "memory.stat").read_text(), re.MULTILINE)
    return [int(limit.read_text()) - used + (int(match[1]) if match else 0)]


def _kilobytes(path: str, name: str) -> int:
    """Read the value `name` of a table of the system, in bytes."""
    match = re.search(rf"^{name}:\s+(\d+) kB$", Path(path).read_text(), re.MULTILINE)
    assert match, f"{path} has no {name}"
    return int(match[1]) * 1024
