"""The age of a process, of a new one that sleeps."""

import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_the_age_counts_from_the_start_of_the_process() -> None:
    code = (
        "import time; begun = time.monotonic()\n"
        "from training.system.process_age import process_age_s\n"
        "time.sleep(0.5); age = process_age_s()\n"
        "print(age - (time.monotonic() - begun))"
    )
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(asked.stdout) > -0.05  # older than its first statement; a tick is 0.01 s
