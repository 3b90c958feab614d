"""Freed memory goes back to the system."""

import os
import sys
from pathlib import Path

import pytest

from model.decoding.freed_memory import release_unused


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_holes_between_live_blocks_are_given_back() -> None:
    # Blocks below the size that is mapped on its own, every second one freed: nothing to trim at
    # the end of the heap, all of it in holes.
    blocks = [bytearray(b"x" * 50_000) for _ in range(4000)]
    full = resident_bytes()
    kept = blocks[::2]
    del blocks
    holes = resident_bytes()
    release_unused()
    assert full - resident_bytes() > 80_000_000
    assert holes >= resident_bytes()
    assert len(kept) == 2000
