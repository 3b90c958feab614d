"""Memory over time of a training on 5 million pairs and on 50 million, and the disk they take.

    python -m benchmarks.large_corpus                     (half an hour or more: all pairs are read)
    python -m benchmarks.large_corpus --pairs 100000      (a try)

The real command with a tiny network: it learns a tokenizer, builds the cache with all cores, learns
a shortlist, and trains over several windows, with validations and saves. The larger corpus is the
file of the smaller one, listed ten times in one corpus: its cache holds every pair ten times.
(Listed as ten corpora, they would share one entry of the cache, as their keys are equal.)

Memory is that of the command and of all processes that it starts: Pss_Anon and Pss_Shmem of
/proc/PID/smaps_rollup, five times a second. What the system keeps of files does not count. Linux
only. The exit status is 1 if the peak of the larger corpus is more than 1.1 times the other one.
"""

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import NamedTuple

CONFIG = Path("configs/demo.yaml")
TIMES, LIMIT = 10, 1.1
DEV_PAIRS = 100
SETTINGS = (
    "tokenizer.vocab_size=2000",
    "model.embedding_size=16",
    "model.encoder_size=16",
    "model.decoder_size=16",
    "shortlist.max_links=2000000",  # so that its memory does not hide that of the rest
    "run.max_steps=200",
    "run.batch_tokens=20000",  # some 2,000 of the short pairs
    "run.eval_every=100",
    "run.threads=1",
    "run.precision=fp32",
    "search.beam_size=1",
)
PHASES = ("tokenizer", "cache", "shortlist", "updates")
QUARTERS = 4
INTERVAL_S = 0.2


class Sample(NamedTuple):
    """What was seen at one time."""

    seconds: float
    """Since the start."""
    phase: str
    memory: int
    """Bytes of all processes together."""


class Measured(NamedTuple):
    """One training."""

    pairs: int
    samples: list[Sample]
    text_bytes: int
    cache_bytes: int

    def peak(self, phase: str | None = None) -> float:
        """The most memory at a time, in MiB: of a phase, or of all."""
        return max(s.memory for s in self.samples if phase in (None, s.phase)) / 2**20


def write_corpus(folder: Path, pairs: int) -> None:
    """Short lines of invented words, each translated by its mirror image."""
    rng = random.Random(1)
    syllables = [a + b for a, b in product("bdfgklmnprst", "aeiou")]
    words = [a + b for a, b in product(syllables, syllables[:30])]
    mirrored = {word: word[::-1] for word in words}
    for name, count in (("train", pairs), ("dev", DEV_PAIRS)):
        sides = [(folder / f"{name}.{side}").open("w", encoding="utf-8") for side in ("de", "en")]
        with sides[0] as source, sides[1] as target:
            for _ in range(count):
                line = rng.choices(words, k=rng.randint(2, 3))
                source.write(" ".join(line) + "\n")
                target.write(" ".join([mirrored[word] for word in line]) + "\n")


def measure(folder: Path, pairs: int, times: int) -> Measured:
    """Train on the file of `pairs` pairs, listed `times` times."""
    run, cache = folder / f"run-{times}", folder / f"cache-{times}"
    names = [", ".join([f"train.{side}"] * times) for side in ("de", "en")]
    settings = [
        *SETTINGS,
        f"data.train=[{{source: [{names[0]}], target: [{names[1]}]}}]",
        f"data.data_dir={folder}",
        f"data.cache_dir={cache}",
    ]
    command = [sys.executable, "-m", "training.train", str(CONFIG), "--output", str(run)]
    with (folder / f"log-{times}").open("w") as log:
        process = subprocess.Popen([*command, *settings], stdout=log, stderr=log)
        samples: list[Sample] = []
        started = time.perf_counter()
        while process.poll() is None:
            seconds = time.perf_counter() - started
            samples.append(Sample(seconds, phase(run, cache), memory_of_tree(process.pid)))
            time.sleep(INTERVAL_S)
    if process.returncode:
        raise SystemExit((folder / f"log-{times}").read_text())
    text = sum(path.stat().st_size for path in folder.glob("train.*"))
    cached = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
    return Measured(pairs * times, samples, text, cached)


def phase(run: Path, cache: Path) -> str:
    """What the training is at, by the files that are there."""
    if (run / "metrics.jsonl").exists():
        return "updates"
    folders = [path for path in cache.glob("*") if path.is_dir()]
    if not folders:
        return "tokenizer"
    return "cache" if any(path.suffix == ".tmp" for path in folders) else "shortlist"


def memory_of_tree(process: int) -> int:
    """Bytes of a process and of all that came from it, without what is kept of files."""
    return sum(map(_memory, [process, *_descendants(process)]))


def _descendants(process: int) -> list[int]:
    children: list[int] = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        children += map(int, _read(path).split())
    return children + [below for child in children for below in _descendants(child)]


def _memory(process: int) -> int:
    text = _read(Path(f"/proc/{process}/smaps_rollup"))
    return sum(int(kib) << 10 for kib in re.findall(r"^Pss_(?:Anon|Shmem): +(\d+)", text, re.M))


def _read(path: Path) -> str:
    """The text of a file of /proc; nothing once the process is over."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def table(measured: Measured) -> list[str]:
    """Rows of a Markdown table: of each phase, its time and the peak in each quarter of it."""
    rows = []
    for name in PHASES:
        samples = [sample for sample in measured.samples if sample.phase == name]
        peaks: list[int] = [0] * QUARTERS
        for number, sample in enumerate(samples):
            quarter = number * QUARTERS // len(samples)
            peaks[quarter] = max(peaks[quarter], sample.memory)
        if samples:
            seconds = f"{samples[0].seconds:,.0f}-{samples[-1].seconds:,.0f}"
            shown = " | ".join(f"{peak / 2**20:,.0f}" for peak in peaks)
            rows.append(f"| {measured.pairs:,} | {name} | {seconds} | {shown} |")
    return rows


def main() -> int:
    """Print memory over time and disk of both; 1 if the larger one takes too much memory."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=5_000_000, help="in the smaller corpus")
    pairs = parser.parse_args().pairs
    os.environ["OMP_NUM_THREADS"] = "1"
    print("| pairs | phase | seconds | peak in MiB by quarter: 1 | 2 | 3 | 4 |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        write_corpus(Path(name), pairs)
        both = []
        for times in (1, TIMES):
            both.append(measure(Path(name), pairs, times))
            print("\n".join(table(both[-1])), flush=True)
    small, large = both
    for one in both:
        print(
            f"{one.pairs:,} pairs: peak {one.peak():,.0f} MiB; on disk {one.text_bytes:,} bytes of "
            f"text, {one.cache_bytes:,} of cache ({one.cache_bytes / one.pairs:.1f} a pair)"
        )
    for name in PHASES:
        print(f"{name}: {large.peak(name) / small.peak(name):.3f} times the memory")
    print(f"all: {large.peak() / small.peak():.3f} times the memory, limit {LIMIT}")
    return int(large.peak() > LIMIT * small.peak())


if __name__ == "__main__":
    sys.exit(main())
