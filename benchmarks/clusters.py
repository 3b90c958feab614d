"""Ray and Spark on this machine: the rows they make, whatever is killed, their speed and memory.

    python -m benchmarks.clusters same RUN TEXT FOLDER --engine ray --precision int8 [--rows 20000]
    python -m benchmarks.clusters speed RUN TEXT FOLDER --engine ray [--rows 4000] [--rounds 5]
    python -m benchmarks.clusters memory RUN TEXT FOLDER --engine ray [--rows 100000 1000000]

`same` compares the rows of a folder, sorted by id, with what dragoman-translate makes of them on
one machine: undisturbed, and while an actor (of Spark, a Python process), a node (Ray only: a
cluster of two, of ray.cluster_utils) and at last the driver are killed; another driver goes on with
--resume. `speed` has two workers of the engine and two shards of the command translate the same
rows by turns, from their start to the output. `memory` reads the most memory that the driver had,
for as many rows as told, in which all workers are other processes. FOLDER must be new.
"""

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from model.io.lines import read_lines

FILES = 10
"""Of a folder; each is a part at least."""
START = [sys.executable, "-m", "model.translate"]
LOOK_S = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A folder to translate, and how."""

    run: str
    engine: str
    folder: Path
    flags: tuple[str, ...]

    @property
    def parts(self) -> Path:
        """Where the parts appear."""
        return self.folder / "out.parts"

    def command(self, address: str, *more: str) -> list[str]:
        """The command that translates the folder."""
        places = ["--input", str(self.folder / "in"), "--output", str(self.folder / "out")]
        engine = ["--engine", self.engine, "--workers", "2"]
        return [*START, self.run, *engine, "--address", address, *places, *self.flags, *more]


def main() -> int:
    """Do what is asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("same", "speed", "memory"))
    parser.add_argument("run")
    parser.add_argument("text", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--engine", choices=("ray", "spark"), required=True)
    parser.add_argument("--precision", choices=("int8", "bf16", "fp32"), default="int8")
    parser.add_argument("--beam-size", type=int, default=1)
    parser.add_argument("--rows", type=int, nargs="+", default=[])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    arguments.folder.mkdir(parents=True)
    job = Job(
        run=arguments.run,
        engine=arguments.engine,
        folder=arguments.folder.absolute(),
        flags=("--precision", arguments.precision, "--beam-size", str(arguments.beam_size)),
    )
    if arguments.what == "same":
        return same(job, texts(arguments.text, (arguments.rows or [20_000])[0]))
    if arguments.what == "speed":
        return speed(job, texts(arguments.text, (arguments.rows or [4_000])[0]), arguments.rounds)
    return memory(job, arguments.text, arguments.rows or [100_000, 1_000_000])


def texts(path: Path, count: int) -> list[str]:
    """So many lines of a file, from its beginning again if it has fewer."""
    return list(islice(cycle([line for line in read_lines(path) if line]), count))


def write_folder(folder: Path, lines: Sequence[str]) -> pyarrow.Table:
    """Write `FILES` files with ids in no order; returns all their rows."""
    ids = [(number * 7919) % len(lines) for number in range(len(lines))]
    table = pyarrow.table({"id": ids, "text": lines})
    folder.mkdir()
    each = -(-len(lines) // FILES)
    for number in range(FILES):
        part = table.slice(number * each, each)
        pyarrow.parquet.write_table(part, folder / f"{number}.parquet")
    return table


def same(job: Job, lines: Sequence[str]) -> int:
    """Compare; returns 1 if any row differs."""
    table = write_folder(job.folder / "in", lines)
    whole, alone = job.folder / "all.parquet", job.folder / "alone.parquet"
    pyarrow.parquet.write_table(table, whole)
    places = ["--input", str(whole), "--output", str(alone)]
    subprocess.run([*START, job.run, *places, *job.flags], check=True)
    right = rows_of([alone])
    print(f"{len(right):,} rows by dragoman-translate", flush=True)
    wrong = 0
    for disturbed in (False, True):
        with cluster(job.engine) as nodes:
            said = killed(job, nodes) if disturbed else finished(job, nodes)
        found = rows_of(sorted((job.folder / "out").glob("*.parquet")))
        unlike = sum(one != other for one, other in zip(found, right, strict=True))
        wrong += unlike
        print(
            f"{job.engine}, {'killed again and again' if disturbed else 'undisturbed'}: "
            f"{len(found):,} rows, {unlike} unlike; {'; '.join(said) or 'nothing said'}",
            flush=True,
        )
        shutil.rmtree(job.folder / "out")
    return int(wrong > 0)


def rows_of(paths: Sequence[Path]) -> list[tuple[int, str]]:
    """Ids and translations, by the ids."""
    columns = ["id", "translation"]
    tables = [pyarrow.parquet.read_table(path, columns=columns) for path in paths]
    table = pyarrow.concat_tables(tables).sort_by("id")
    return list(zip(*(table[name].to_pylist() for name in columns), strict=True))


class Nodes:
    """A cluster of two nodes of Ray; or nothing, for Spark, which runs within its driver."""

    def __init__(self, engine: str) -> None:
        """Start it."""
        self.address, self._cluster = "local[2,100]", None
        if engine == "ray":
            from ray.cluster_utils import Cluster

            given: dict[str, Any] = {"num_cpus": 2, "include_dashboard": False}
            self._cluster = Cluster(initialize_head=True, head_node_args=given)
            self._second = self._cluster.add_node(num_cpus=2)
            self.address = self._cluster.address

    def kill_second(self) -> bool:
        """Kill a node with all its processes, and start another. False if there is none."""
        if self._cluster is None:
            return False
        self._cluster.remove_node(self._second, allow_graceful=False)
        self._second = self._cluster.add_node(num_cpus=2)
        return True

    def stop(self) -> None:
        """Stop all of it."""
        if self._cluster is not None:
            self._cluster.shutdown()


@contextmanager
def cluster(engine: str) -> Iterator[Nodes]:
    """The nodes, stopped afterwards."""
    nodes = Nodes(engine)
    try:
        yield nodes
    finally:
        nodes.stop()


def finished(job: Job, nodes: Nodes, *more: str) -> list[str]:
    """Run the command to its end; returns what it said of rows."""
    command = job.command(nodes.address, *more)
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return [line for line in done.stderr.splitlines() if " rows " in line or "parts" in line]


def killed(job: Job, nodes: Nodes) -> list[str]:
    """Kill a worker, a node and the driver, each in the middle of its work; then go on."""
    log = job.folder / "driver.log"
    with log.open("w") as errors:
        driver = subprocess.Popen(job.command(nodes.address), stderr=errors)
    try:
        _wait(driver, lambda: len(list(job.parts.glob("*.attempts"))) >= 1)
        time.sleep(1)
        workers = workers_alive()
        os.kill(workers[0], signal.SIGKILL)
        print(f"killed: one of {len(workers)} workers", flush=True)
        _wait(driver, lambda: _done(job) >= 2)
        if nodes.kill_second():
            print(f"killed: a node, after {_done(job)} parts", flush=True)
        before = _done(job)
        _wait(driver, lambda: _done(job) >= before + 2)
    finally:
        driver.kill()
        driver.wait()
    print(f"killed: the driver, after {_done(job)} parts", flush=True)
    return finished(job, nodes, "--resume")


def _done(job: Job) -> int:
    return len(list(job.parts.glob("*.parquet")))


def _wait(driver: "subprocess.Popen[bytes]", until: Callable[[], bool]) -> None:
    while not until():
        if driver.poll() is not None:
            raise SystemExit("the driver ended too early: give more rows")
        time.sleep(LOOK_S)


def workers_alive() -> list[int]:
    """Processes that translate: actors of Ray, or Python processes of Spark that use the most."""
    listed = subprocess.run(
        ["ps", "-eo", "pid,rss,args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()[1:]
    found = []
    for pid, rss, name in (line.split(None, 2) for line in listed):
        if "MapWorker" in name or ("pyspark.daemon" in name and int(rss) > 200_000):
            found.append((int(rss), int(pid)))
    return [pid for _, pid in sorted(found, reverse=True)]


def speed(job: Job, lines: Sequence[str], rounds: int) -> int:
    """Print lines/s of two workers and of two shards, and the ratio of their medians."""
    table = write_folder(job.folder / "in", lines)
    whole = job.folder / "all.parquet"
    pyarrow.parquet.write_table(table, whole)
    rates: dict[str, list[float]] = {job.engine: [], "shards": []}
    with cluster(job.engine) as nodes:
        for number in range(rounds):
            for name in list(rates)[:: 1 if number % 2 else -1]:
                began = time.monotonic()
                if name == "shards":
                    two_shards(job, whole, job.folder / f"shards-{number}.parquet")
                else:
                    finished(job, nodes)
                    shutil.rmtree(job.folder / "out")
                rates[name].append(len(lines) / (time.monotonic() - began))
            print(*(f"{name} {rate[-1]:,.0f}" for name, rate in rates.items()), flush=True)
    medians = {name: statistics.median(rate) for name, rate in rates.items()}
    ratio = medians[job.engine] / medians["shards"]
    print(f"lines/s, medians of {rounds}: {medians}; ratio {ratio:.3f}")
    return 0


def two_shards(job: Job, source: Path, output: Path) -> None:
    """Have two processes do a half each."""
    places = ["--input", str(source), "--output", str(output), "--threads", "1"]
    command = [*START, job.run, *places, *job.flags, "--shard"]
    both = [subprocess.Popen([*command, f"{one}/2"], stderr=subprocess.DEVNULL) for one in (1, 2)]
    if any([one.wait() for one in both]):
        raise SystemExit(f"a shard failed: {command}")


def memory(job: Job, text: Path, counts: Sequence[int]) -> int:
    """Print the most memory of the driver for each number of rows."""
    with cluster(job.engine) as nodes:
        for count in counts:
            shutil.rmtree(job.folder / "in", ignore_errors=True)
            write_folder(job.folder / "in", texts(text, count))
            began = time.monotonic()
            driver = subprocess.Popen(job.command(nodes.address), stderr=subprocess.DEVNULL)
            most = 0
            while driver.poll() is None:
                most = max(most, resident(driver.pid))
                time.sleep(LOOK_S)
            if driver.returncode:
                raise SystemExit(f"the driver ended with {driver.returncode}")
            shutil.rmtree(job.folder / "out")
            seconds = time.monotonic() - began
            print(f"{count:,} rows: {most / 1024:,.0f} MiB at most, {seconds:.0f} s", flush=True)
    return 0


def resident(pid: int) -> int:
    """The most memory that a process ever had, in KiB; 0 once it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    sizes = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(sizes[0]) if sizes else 0


if __name__ == "__main__":
    sys.exit(main())
