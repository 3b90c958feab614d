"""Available memory: what the machine, the container or the GPU has left."""

import re
import sys
from pathlib import Path

import torch

from model.decoding.freed_memory import release_unused


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
    return min([kilobytes("/proc/meminfo", "MemAvailable"), *_left_in_container()])


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


def kilobytes(path: str, name: str) -> int:
    """Read the value `name` of a table of the system, in bytes."""
    match = re.search(rf"^{name}:\s+(\d+) kB$", Path(path).read_text(), re.MULTILINE)
    assert match, f"{path} has no {name}"
    return int(match[1]) * 1024
