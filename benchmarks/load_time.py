"""From nothing to the first translation: a pack beside the run that it was made of.

    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.load_time PACK RUN [--rounds 9]

A process that has imported everything loads one of the two on one thread and translates one text.
Each measurement has a new process, and the two take turns. A process of each that does not count
comes first: it compiles kernels and brings the files into the page cache. Memory is the most that
the process has held (VmHWM), and what of it was there after the imports.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from benchmarks.turns import alternate, unrest
from model.checkpoint.run_directory import resolve
from model.decoding.precision.dtypes import PRECISIONS
from model.translator import Translator

MEASURE = "--measure"
"""Stands before the arguments of a process that measures once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What one process found."""

    load_s: float
    first_s: float
    """From the start of loading until the first translation is there."""
    peak_bytes: int
    imports_bytes: int
    """The most that it had held before it loaded."""
    translation: str


def measure(path: str, precision: str, text: str) -> Measured:
    """Load and translate once; the imports of this process are over."""
    assert precision in PRECISIONS
    before = peak_bytes()
    started = time.perf_counter()
    translator = Translator.load(path, device="cpu", precision=precision, threads=1)
    loaded = time.perf_counter()
    translation = translator.translate(text)
    ended = time.perf_counter()
    return Measured(
        load_s=loaded - started,
        first_s=ended - started,
        peak_bytes=peak_bytes(),
        imports_bytes=before,
        translation=translation,
    )


def peak_bytes() -> int:
    """The most memory that this process has held."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found is not None
    return 1024 * int(found[1])


def in_new_process(path: Path, precision: str, text: str) -> Measured:
    """What `measure` gives in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.load_time", MEASURE, str(path), precision, text]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Measured(**json.loads(done.stdout))


def size_of(path: Path) -> int:
    """Bytes of a pack, or of the files of a checkpoint but for the state of its training."""
    place = resolve(path)
    if place.is_file():
        return place.stat().st_size
    return sum(file.stat().st_size for file in place.iterdir() if file.is_file())


def report(sizes: Sequence[int], packs: Sequence[Measured], runs: Sequence[Measured]) -> None:
    """Print a table of medians, and how far the rounds of one side were from each other."""
    figures: dict[str, Callable[[Measured], float]] = {
        "until the first translation, s": lambda one: one.first_s,
        "of that loading, s": lambda one: one.load_s,
        "peak memory, MB": lambda one: one.peak_bytes / 1e6,
        "of that after the imports, MB": lambda one: one.imports_bytes / 1e6,
    }
    print("| median | pack | run | pack / run | noise |\n|---|---|---|---|---|")
    for name, figure in figures.items():
        sides = [[figure(one) for one in side] for side in (packs, runs)]
        pack, run = map(statistics.median, sides)
        noise = max(map(unrest, sides))
        print(f"| {name} | {pack:.3f} | {run:.3f} | {pack / run:.3f} | {noise:.3f} |")
    pack, run = sizes
    print(f"| size, MB | {pack / 1e6:.3f} | {run / 1e6:.3f} | {pack / run:.3f} | |")
    same = {one.translation for one in packs} == {one.translation for one in runs}
    print(f"{len(packs)} rounds each; translations {'equal' if same else 'NOT equal'}")


def main() -> int:
    """Measure both in alternating rounds; return the exit status."""
    if sys.argv[1:2] == [MEASURE]:
        print(json.dumps(asdict(measure(*sys.argv[2:]))))
        return 0
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pack", metavar="PACK", type=Path)
    parser.add_argument("run", metavar="RUN", type=Path)
    parser.add_argument("--precision", choices=PRECISIONS, default="int8")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--text", default="Das Brot kostet 4,20 Euro.")
    arguments = parser.parse_args()
    sides = {
        name: partial(in_new_process, path, arguments.precision, arguments.text)
        for name, path in (("pack", arguments.pack), ("run", arguments.run))
    }
    alternate(sides, 1)
    found = alternate(sides, arguments.rounds)
    report([size_of(arguments.pack), size_of(arguments.run)], found["pack"], found["run"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
