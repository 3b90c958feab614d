"""Rounds of load on a server, with the answers given alone to compare with, and the verdicts."""

import asyncio
import gzip
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figures, figures
from benchmarks.load import Ask, Load, Outcome
from benchmarks.servers import Recipe, Server, dragoman

TEST = "multi30k/test_2016_flickr.en.gz"
WARM_S = 1.0
"""Load before the window, so that the window begins with as much in flight as it ends with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """What the measures have in common, from the command line."""

    run: Path
    precision: str
    flags: str
    beam_size: int
    quick: bool
    rounds: int
    seconds: float
    server_core: int
    generator_core: int
    peers: Path
    opennmt: Path | None
    python: Path | None

    @property
    def texts(self) -> list[str]:
        """Sentences, fewer for trying out."""
        path = Path(os.environ["DRAGOMAN_DATA"], TEST)
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        return lines[:40] if self.quick else lines

    def ours(self, *, key: str = "", environment: Mapping[str, str] | None = None) -> Recipe:
        """Our server, as the command line has it."""
        flags = f"--device cpu --precision {self.precision} --threads 1 {self.flags}"
        return dragoman(
            self.run, flags=flags, beam_size=self.beam_size, key=key, environment=environment
        )

    def on_one_core(self) -> None:
        """Server and generator share the server's core."""
        os.sched_setaffinity(0, {self.server_core})

    def on_two_cores(self) -> None:
        """The generator has a core of its own, if there is one."""
        os.sched_setaffinity(0, {self.generator_core})
        if self.generator_core == self.server_core:
            print("there is one core only: server and generator share it")


def alone(server: Server, texts: Sequence[str], pieces: Sequence[int] = ()) -> list[Ask]:
    """A request for each text, with the answer that it gets when the server has nothing else.

    Args:
        pieces: source pieces of each text, where they matter.
    """
    asks = [Ask(server.dialect.ask([text]), sentences=1) for text in texts]

    async def one_by_one() -> list[Outcome]:
        return await Load(server.port, asks).loops(1, requests=len(asks))

    outcomes = asyncio.run(one_by_one())
    counts = pieces or [0] * len(texts)
    return [_answered(server, *each) for each in zip(outcomes, counts, strict=True)]


def _answered(server: Server, outcome: Outcome, pieces: int) -> Ask:
    found = server.dialect.answers(outcome.body) if outcome.status == 200 else None
    if found is None:
        said = outcome.body[:200].decode(errors="replace")
        raise SystemExit(f"{server.name} gives a lone request the status {outcome.status}: {said}")
    return Ask(
        outcome.ask.message, sentences=1, answers=tuple(found), body=outcome.body, pieces=pieces
    )


def grouped(server: Server, texts: Sequence[str], asks: Sequence[Ask], size: int) -> list[Ask]:
    """Requests of `size` sentences each, whose answers are those that the sentences got alone."""
    groups = [range(i, i + size) for i in range(0, len(texts) - size + 1, size)]
    return [
        Ask(
            server.dialect.ask([texts[i] for i in group]),
            sentences=size,
            answers=tuple(answer for i in group for answer in asks[i].answers or ()),
            pieces=sum(asks[i].pieces for i in group),
        )
        for group in groups
    ]


def closed(server: Server, asks: Sequence[Ask], clients: int, seconds: float) -> Figures:
    """Figures of closed loops over `seconds`, after `WARM_S` of them."""

    async def run() -> Figures:
        load = Load(server.port, asks)
        outcomes = await load.loops(clients, seconds=WARM_S + seconds)
        start = load.started + WARM_S
        return figures(outcomes, server.dialect, start, start + seconds)

    return asyncio.run(run())


def offered(server: Server, asks: Sequence[Ask], schedule: Sequence[float], end: float) -> Figures:
    """Figures of an open loop from `WARM_S` to `end`, offsets of the schedule."""

    async def run() -> Figures:
        load = Load(server.port, asks)
        outcomes = await load.offer(schedule)
        return figures(outcomes, server.dialect, load.started + WARM_S, load.started + end)

    return asyncio.run(run())


def median(rows: Sequence[Figures], value: Callable[[Figures], float]) -> float:
    """Of one figure over the rounds."""
    return statistics.median(map(value, rows))


def by_rate(row: Figures) -> float:
    """What throughput is compared by."""
    return row.requests_per_s


def by_p99(row: Figures) -> float:
    """What slow answers are compared by."""
    return row.p99_s


def verdict(measure: str, value: float, goal: str, reached: bool) -> bool:
    """Print one measure of the table beside its goal."""
    print(f"{measure}: {value:.3f}, goal {goal}: {'reached' if reached else 'NOT reached'}")
    return reached
