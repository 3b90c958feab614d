"""Throughput compared: with OpenNMT-py's server, with CTranslate2's, with the engine alone."""

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, cast

from benchmarks.figures import HEAD, Figures
from benchmarks.load import Ask
from benchmarks.rounds import Bench, alone, by_p99, by_rate, closed, median, verdict
from benchmarks.servers import Recipe, Server, ctranslate2, opennmt, running
from benchmarks.turns import alternate

ONMT_GOAL = 12.0
CTRANSLATE2_GOAL = 1.3
OVERHEAD_GOAL = 0.70
FEW, MANY = 16, 64
"""Clients."""


def against_opennmt(bench: Bench) -> bool:
    """16 clients of one sentence each; server and generator on one core."""
    if bench.opennmt is None:
        raise SystemExit("onmt: give --opennmt WORKDIR, an environment made by its setup.sh")
    bench.on_one_core()
    theirs = opennmt(bench.peers, bench.opennmt, beam_size=bench.beam_size)
    rows = _alternate(bench, [bench.ours(), theirs], FEW)
    ratio = median(rows["dragoman"], by_rate) / median(rows[theirs.name], by_rate)
    goal = f">= {ONMT_GOAL:g}"
    return verdict("requests/s beside OpenNMT-py", ratio, goal, ratio >= ONMT_GOAL)


def against_ctranslate2(bench: Bench) -> bool:
    """16 and 64 clients; the baseline is the better of its two modes."""
    python = bench.python
    if python is None:
        raise SystemExit("ctranslate2: give --python PYTHON, one that has ctranslate2")
    bench.on_two_cores()
    theirs = [
        ctranslate2(bench.peers, python, mode=mode, beam_size=bench.beam_size)
        for mode in ("each", "batch")
    ]
    reached = True
    for clients in (FEW, MANY):
        rows = _alternate(bench, [bench.ours(), *theirs], clients)
        best = max((recipe.name for recipe in theirs), key=lambda name: median(rows[name], by_rate))
        ratio = median(rows["dragoman"], by_rate) / median(rows[best], by_rate)
        slow = median(rows["dragoman"], by_p99) / median(rows[best], by_p99)
        beside = f"{clients} clients, beside {best}"
        goal = f">= {CTRANSLATE2_GOAL:g}"
        reached &= verdict(f"requests/s, {beside}", ratio, goal, ratio >= CTRANSLATE2_GOAL)
        reached &= verdict(f"p99, {beside}", slow, "<= 1", slow <= 1)
    return reached


def against_the_engine(bench: Bench) -> bool:
    """64 clients, and as many sentences in an engine of the same make on the same core."""
    bench.on_two_cores()
    texts = bench.texts
    rates: list[float] = []
    rows: list[Figures] = []
    with running(bench.ours(), bench.server_core) as server, _engine(bench, texts) as engine:
        asks = alone(server, texts)
        print(HEAD)
        for _ in range(bench.rounds):
            rows.append(closed(server, asks, MANY, bench.seconds))
            print(rows[-1].row("service"), flush=True)
            rates.append(_ask(engine, bench.seconds))
            print(f"{'engine alone':28} {rates[-1]:10,.1f}", flush=True)
    share = median(rows, by_rate) / statistics.median(rates)
    goal = f">= {OVERHEAD_GOAL:g}"
    return verdict("service beside the engine alone", share, goal, share >= OVERHEAD_GOAL)


def _alternate(bench: Bench, recipes: Sequence[Recipe], clients: int) -> dict[str, list[Figures]]:
    """Rounds of closed loops, each server in turn, on the servers' core."""
    texts = bench.texts
    with ExitStack() as stack:
        turns = {}
        for recipe in recipes:
            server = stack.enter_context(running(recipe, bench.server_core))
            turns[server.name] = partial(_turn, bench, server, alone(server, texts), clients)
        print(HEAD)
        return alternate(turns, bench.rounds)


def _turn(bench: Bench, server: Server, asks: Sequence[Ask], clients: int) -> Figures:
    row = closed(server, asks, clients, bench.seconds)
    print(row.row(f"{server.name}, {clients}"), flush=True)
    return row


@contextmanager
def _engine(bench: Bench, texts: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """The process of `engine_alone`, ready."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as file:
        file.write("".join(f"{text}\n" for text in texts))
        file.flush()
        command = ["taskset", "-c", str(bench.server_core), sys.executable]
        command += ["-m", "benchmarks.engine_alone", str(bench.run), bench.precision]
        command += [str(bench.beam_size), str(MANY), file.name]
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        ) as process:
            _answer(process)
            yield process
            process.kill()


def _ask(process: subprocess.Popen[str], seconds: float) -> float:
    print(seconds, file=cast(IO[str], process.stdin), flush=True)
    return float(_answer(process))


def _answer(process: subprocess.Popen[str]) -> str:
    line = cast(IO[str], process.stdout).readline()
    if not line:
        raise SystemExit("the engine alone has ended; its output says why")
    return line
