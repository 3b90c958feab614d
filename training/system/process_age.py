"""Process age: how long ago this process was started, imports included."""

import os
import sys
import time
from pathlib import Path

STARTED_FIELD = 22 - 3  # of /proc/self/stat after the name, which may hold spaces; man 5 proc


def process_age_s() -> float:
    """Seconds since this process was started; 0 where the system does not tell."""
    if sys.platform != "linux":
        return 0.0
    _, _, fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")
    started = int(fields.split()[STARTED_FIELD]) / os.sysconf("SC_CLK_TCK")
    return max(time.clock_gettime(time.CLOCK_BOOTTIME) - started, 0.0)
