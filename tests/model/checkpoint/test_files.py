"""The files of a checkpoint: what happens where there is no memory left to write them."""

import subprocess
import sys

import pytest

SCRIPT = """
import re, resource, torch
from pathlib import Path
from model.checkpoint.files import to_safetensors

tensors = {"weights": torch.zeros(25_000_000)}
to_safetensors({"small": torch.zeros(3)})
held = 1024 * int(re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
limit = held + int(FACTOR * 100_000_000)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    print(len(to_safetensors(tensors)))
except MemoryError:
    print("MemoryError")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is set by what /proc tells")
@pytest.mark.parametrize(
    ("factor", "told"), [(0.5, "MemoryError"), (1.5, "MemoryError"), (3, "1000000")]
)
def test_want_of_memory_is_an_error_and_not_the_end_of_the_process(
    factor: float, told: str
) -> None:
    script = SCRIPT.replace("FACTOR", str(factor))
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(told)
