"""What a folder of 10^8 or 10^10 lines costs to translate on many machines: a simulation.

    python -m benchmarks.scale_out

It follows `dragoman-translate --engine ray`: one process looks through the folder, checks that its
ids are unique and makes parts of 4,096 lines, which are given out in at most 10,000 units; each
worker loads the model and takes the next unit when it is done with one; a part that a failure
interrupts is begun again; at the end one process reads the head of every part. `Assumptions` says
where every number comes from. Workers differ in speed: that is what the last ones are waited for.
"""

import heapq
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

LINES = (1e8, 1e10)
PART = 4096
"""Lines of a part: `model.jobs.manifest.part_size`."""
UNITS = 10_000
"""The most in which parts are given out: `model.jobs.ray_engine`."""
SEED = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Worker:
    """What translates: a core or a GPU."""

    name: str
    counts: tuple[int, ...]
    """How many of them are simulated."""
    lines_per_s: float
    start_s: float
    """Until a worker translates: its process, its imports, the model."""
    usd_per_hour: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Assumptions:
    """Of the machines and of the one process that looks after all."""

    looked_per_s: float = 900_000
    """Lines/s whose ids and files one process checks: 910,000 to 941,000 of processor time, for a
    million short lines on a local disk (benchmarks/README.md)."""
    head_s: float = 0.000_12
    """To read the head of a finished part, as measured there. A network adds its own."""
    spread: float = 0.1
    """Standard deviation of the logarithm of the workers' speeds. A guess."""
    slow_share: float = 0.01
    """Of the workers, which are `slow_factor` times slower: a busy neighbour, a hot machine. A
    guess."""
    slow_factor: float = 3.0
    hours_to_failure: float = 2_000.0
    """Of a worker, one in some three months. A guess."""
    restart_s: float = 60.0
    """From a failure to a new worker that translates, besides the part that it had begun."""


WORKERS = (
    Worker(
        name="core",
        counts=(1, 10, 100, 1_000),
        lines_per_s=750.0,  # Tatoeba, de-en, int8, greedy, one thread (benchmarks/README.md)
        start_s=10.0,
        usd_per_hour=0.04,
    ),
    Worker(
        name="GPU",
        counts=(1, 8, 64),
        lines_per_s=15_000.0,  # a guess: 20 cores' worth. Decoding of this model was not measured
        start_s=30.0,
        usd_per_hour=2.50,
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A simulated job."""

    looking_h: float
    """Before anything is translated."""
    translating_h: float
    """From the first worker's start to the last one's end."""
    waiting: float
    """The share of that which the average worker spent idle, as nothing was left to take."""
    ending_h: float
    failures: int
    usd: float
    """The workers are paid from the first part to the last, the one process throughout."""

    @property
    def hours(self) -> float:
        """Of the whole job."""
        return self.looking_h + self.translating_h + self.ending_h


def main() -> int:
    """Print a table in Markdown."""
    print("\n".join(rows(Assumptions())))
    return 0


def rows(given: Assumptions) -> Iterator[str]:
    """The table: a line for each number of lines and workers."""
    yield "| lines | on | looking, h | translating, h | of it idle | ending, h | failures | USD |"
    yield "|---" * 8 + "|"
    for lines in LINES:
        for worker in WORKERS:
            for count in worker.counts:
                run = simulate(lines, worker, count, given)
                plural = "s" if count > 1 else ""
                yield (
                    f"| 10^{math.log10(lines):.0f} | {count:,} {worker.name}{plural} | "
                    f"{shown(run.looking_h)} | {shown(run.translating_h)} | {run.waiting:.0%} | "
                    f"{shown(run.ending_h)} | {run.failures:,} | {shown(run.usd)} |"
                )


def simulate(
    lines: float, worker: Worker, count: int, given: Assumptions, *, units: int = UNITS
) -> Run:
    """Give out the units of a job until none is left.

    Args:
        units: the most in which parts are given out.
    """
    parts = math.ceil(lines / PART)
    units = min(parts, units)
    generator = np.random.default_rng(SEED)
    slowness = np.exp(generator.normal(0, given.spread, count))
    slowness[generator.random(count) < given.slow_share] *= given.slow_factor
    sizes = np.full(units, parts // units)
    sizes[: parts % units] += 1
    part_s = PART / worker.lines_per_s
    free = [(worker.start_s, one) for one in range(count)]
    busy, failures = worker.start_s * count, 0
    for size in sizes.tolist():
        begun, one = heapq.heappop(free)
        takes = size * part_s * float(slowness[one])
        failed = int(generator.poisson(takes / 3600 / given.hours_to_failure))
        takes += failed * (given.restart_s + part_s * float(slowness[one]) / 2)
        failures += failed
        busy += takes
        heapq.heappush(free, (begun + takes, one))
    ended = max(end for end, _ in free)
    looking, ending = lines / given.looked_per_s, parts * given.head_s
    return Run(
        looking_h=looking / 3600,
        translating_h=ended / 3600,
        waiting=1 - busy / (ended * count),
        ending_h=ending / 3600,
        failures=failures,
        usd=ended / 3600 * count * worker.usd_per_hour
        + (looking + ended + ending) / 3600 * WORKERS[0].usd_per_hour,
    )


def shown(value: float) -> str:
    """Two digits or so of a small number, all of a large one."""
    if value < 0.1:
        return f"{value:.3f}"
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


if __name__ == "__main__":
    sys.exit(main())
