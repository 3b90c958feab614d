"""Soundness: answers under load equal those given alone, memory stays, SIGTERM loses nothing."""

import asyncio
import dataclasses
import random
from collections import Counter

from benchmarks.dialects import Dragoman
from benchmarks.figures import HEAD, figures
from benchmarks.load import Ask, Load, Outcome
from benchmarks.rounds import Bench, alone, grouped, verdict
from benchmarks.servers import Server, running

CLIENTS = 32
GROUP = 8
TOLD = ("scores", "tokens")

FIRST, LAST = 1_000, 100_000
"""Requests after which the memory is read."""
MEMORY_GOAL = 1.02

TIMES = 20
"""Servers that get a SIGTERM."""
SOONEST_S, LATEST_S = 0.5, 2.0
"""When they get it, after the load began."""


def equal(bench: Bench) -> bool:
    """Text, pieces, scores and log-probabilities, alone and in mixed company, to the bit."""
    bench.on_two_cores()
    dialect = Dragoman(bench.beam_size, returns=TOLD)
    recipe = dataclasses.replace(bench.ours(), dialect=dialect)
    with running(recipe, bench.server_core) as server:
        texts = bench.texts
        single = alone(server, texts)
        order = random.Random(1)
        shuffled = list(range(len(texts)))
        order.shuffle(shuffled)
        mixed = single + grouped(
            server, [texts[i] for i in shuffled], [single[i] for i in shuffled], GROUP
        )
        order.shuffle(mixed)
        outcomes = asyncio.run(_requests(server, mixed, 2 * len(mixed)))
    count = Counter(outcome.kind(dialect) for outcome in outcomes)
    print(f"{len(outcomes):,} requests of {CLIENTS} clients: {dict(count)}")
    share = count["right"] / len(outcomes)
    return verdict("equal to the answers alone", share, "1", count["right"] == len(outcomes))


def memory(bench: Bench) -> bool:
    """Resident memory of the server after few requests and after many."""
    bench.on_two_cores()
    first, last = (100, 1_000) if bench.quick else (FIRST, LAST)
    with running(bench.ours(), bench.server_core) as server:
        asks = alone(server, bench.texts)
        asyncio.run(_requests(server, asks, max(first - len(asks), CLIENTS)))
        before = server.resident_kib()
        print(f"after {first:,} requests: {before / 1024:.1f} MiB", flush=True)
        outcomes = asyncio.run(_requests(server, asks, last - first))
        after = server.resident_kib()
        print(f"after {last:,} requests: {after / 1024:.1f} MiB")
    start, end = outcomes[0].sent, outcomes[-1].finished
    print(HEAD)
    print(figures(outcomes, server.dialect, start, end).row("meanwhile"))
    ratio = after / before
    goal = f"<= {MEMORY_GOAL:g}"
    return verdict("resident memory, after / before", ratio, goal, ratio <= MEMORY_GOAL)


async def _requests(server: Server, asks: list[Ask], count: int) -> list[Outcome]:
    return await Load(server.port, asks).loops(CLIENTS, requests=count)


def sigterm(bench: Bench) -> bool:
    """Servers that are told to exit while every client has a request under way.

    A client sends its body when the server asks for it ("100 Continue"), so that it knows of each
    request whether it was accepted. Lost is what was accepted and got neither its right answer nor
    a refusal in words (429, 503).
    """
    bench.on_two_cores()
    times = 2 if bench.quick else TIMES
    draw = random.Random(1)
    lost = bad_exits = 0
    for number in range(1, times + 1):
        with running(bench.ours(), bench.server_core) as server:
            texts = bench.texts[:40]
            single = alone(server, texts)
            asks = [*single, *grouped(server, texts, single, GROUP)]
            draw.shuffle(asks)
            wait = draw.uniform(SOONEST_S, LATEST_S)
            outcomes, status = asyncio.run(_until_terminated(server, asks, wait))
        ends = Counter(_end(outcome, server) for outcome in outcomes)
        lost += ends["lost"]
        bad_exits += status != 0
        print(f"{number}: after {wait:.2f} s, exit status {status}, {dict(ends)}", flush=True)
    reached = verdict("accepted requests lost", lost, "0", lost == 0)
    return verdict("servers that did not exit with 0", bad_exits, "0", bad_exits == 0) and reached


async def _until_terminated(
    server: Server, asks: list[Ask], wait: float
) -> tuple[list[Outcome], int]:
    load = Load(server.port, asks, hold=True)
    clients = asyncio.ensure_future(load.loops(CLIENTS))
    await asyncio.sleep(wait)
    status = await asyncio.to_thread(server.terminate)
    load.stop()
    return await clients, status


def _end(outcome: Outcome, server: Server) -> str:
    """What became of a request to a server that was told to exit."""
    if not outcome.accepted:
        if outcome.unconnected:
            return "no connection"
        return str(outcome.status or "hung up at the door")
    if outcome.status in (429, 503):
        return f"{outcome.status} after its body was read"
    kind = outcome.kind(server.dialect)
    return kind if kind == "right" else "lost"
