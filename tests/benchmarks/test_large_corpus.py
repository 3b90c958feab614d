"""The memory of a training and of the processes that it starts is seen, phase by phase."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.large_corpus import PHASES, Measured, Sample, measure, memory_of_tree, table
from benchmarks.large_corpus import write_corpus as write

MIB = 2**20


def test_the_memory_of_children_counts_and_mapped_files_do_not(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(200 * MIB))
    child = (
        "import mmap, sys\n"
        "own = b'x' * (100 << 20)\n"
        "file = open(sys.argv[1])\n"
        "mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)\n"
        "mapped.read()\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    parent = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"
    process = subprocess.Popen(
        [sys.executable, "-c", parent, child, str(tmp_path / "large")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout and process.stdout.readline() == b"ready\n"
    time.sleep(0.1)
    assert 100 * MIB < memory_of_tree(process.pid) < 160 * MIB
    process.communicate()
    assert memory_of_tree(process.pid) == 0


def test_the_table_has_the_peak_of_each_quarter_of_a_phase() -> None:
    samples = [Sample(n, "cache", n * MIB) for n in range(8)] + [Sample(9, "updates", 5 * MIB)]
    measured = Measured(1000, samples, 10, 20)
    assert table(measured)[0] == "| 1,000 | cache | 0-7 | 1 | 3 | 5 | 7 |"
    assert (measured.peak(), measured.peak("updates")) == (7, 5)


@pytest.mark.slow
def test_a_training_is_measured_in_all_its_phases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.large_corpus.INTERVAL_S", 0.001)
    write(tmp_path, 2000)
    measured = measure(tmp_path, 2000, 3)
    assert {sample.phase for sample in measured.samples} == set(PHASES)
    assert measured.peak() > 50
    assert measured.text_bytes == sum(p.stat().st_size for p in tmp_path.glob("train.*"))
    assert measured.cache_bytes > 3 * 2000 * 16
