"""Behaviour under unequal loads: a long document, a greedy key, more than there is room for."""

import asyncio
import math
import statistics
from collections.abc import Mapping

from benchmarks.dialects import Dragoman
from benchmarks.figures import HEAD, Figures, figures
from benchmarks.load import Ask, Load, Outcome, poisson
from benchmarks.rounds import WARM_S, Bench, alone, closed, grouped, offered, verdict
from benchmarks.servers import Server, running
from model.checkpoint.run_directory import resolve
from model.text.tokenizer import Tokenizer

DOCUMENT = 10_000
"""Sentences."""
LONGEST_S = 3600.0
DOCUMENT_GOAL = 2.0
SHORTS = 500
"""Short requests of a round at least: of fewer, the 99th percentile is one of the slowest."""

GROUP = 8
"""Sentences of a request, where there are to be many sentences and few requests."""
SATURATING = 16
"""Clients of `GROUP` sentences that keep every slot busy."""
OVERLOAD = 5.0
OVERLOAD_S = 60.0
OVERLOAD_GOAL = 0.95

LIGHT, HEAVY = 1.0, 10.0
"""What the two keys offer, in multiples of what the server can do."""
FAIR_S = 30.0
FAIR_GOAL = (0.45, 0.55)


def document(bench: Bench, rate: float) -> bool:
    """Short requests at a low rate, alone and while a document is translated."""
    bench.on_two_cores()
    size, least = (400, 1) if bench.quick else (DOCUMENT, SHORTS)
    ratios = []
    with running(bench.ours(), bench.server_core) as server:
        texts = bench.texts
        asks = alone(server, texts)
        long = [texts[i % len(texts)] for i in range(size)]
        answers = tuple((asks[i % len(asks)].answers or ("",))[0] for i in range(size))
        dialect = Dragoman(bench.beam_size, joined=True)
        whole = Ask(dialect.ask(long), sentences=size, answers=answers)
        print(HEAD)
        for seed in range(bench.rounds):
            seconds = WARM_S + max(2 * bench.seconds, least / rate)
            idle = offered(server, asks, poisson(rate, seconds, seed), seconds)
            print(idle.row("short, idle"), flush=True)
            busy, outcome = asyncio.run(_beside(server, asks, whole, rate, seed, least))
            took = outcome.finished - outcome.sent
            print(busy.row(f"short, document {took:.1f} s"), flush=True)
            print(_paragraphs(outcome, dialect), flush=True)
            failed = busy.refused + busy.errors + busy.lost
            clean = idle.right and busy.right and outcome.status == 200 and not failed
            ratios.append(busy.p99_s / idle.p99_s if clean else math.inf)
    ratio = statistics.median(ratios)
    goal = f"<= {DOCUMENT_GOAL:g}"
    return verdict("p99 beside a document / idle", ratio, goal, ratio <= DOCUMENT_GOAL)


async def _beside(
    server: Server, asks: list[Ask], whole: Ask, rate: float, seed: int, least: int
) -> tuple[Figures, Outcome]:
    """Short requests for as long as a document takes, and the document.

    One document after the other, until there were at least so many short requests.
    """
    short = Load(server.port, asks)
    shorts = asyncio.ensure_future(short.offer(poisson(rate, LONGEST_S, seed)))
    while True:
        [outcome] = await Load(server.port, [whole]).loops(1, requests=1)
        if outcome.status != 200 or len(short.outcomes) >= least:
            break
    short.stop()
    outcomes = await shorts
    end = outcome.finished or asyncio.get_running_loop().time()
    return figures(outcomes, server.dialect, short.started, end), outcome


def _paragraphs(outcome: Outcome, dialect: Dragoman) -> str:
    """How much of the document is what its sentences gave alone."""
    expected = outcome.ask.answers or ()
    found = (dialect.answers(outcome.body) if outcome.status == 200 else None) or []
    same = sum(ours == theirs for ours, theirs in zip(found, expected, strict=False))
    return (
        f"the document: status {outcome.status}, {len(found):,} paragraphs for {len(expected):,}, "
        f"{same:,} as the sentence alone"
    )


def overload(bench: Bench) -> bool:
    """Five times the capacity, measured just before and just after."""
    bench.on_two_cores()
    seconds = 2 * bench.seconds if bench.quick else OVERLOAD_S
    capacity = []
    with running(bench.ours(), bench.server_core) as server:
        texts = bench.texts
        asks = grouped(server, texts, alone(server, texts), GROUP)
        print(HEAD)
        capacity.append(closed(server, asks, SATURATING, bench.seconds))
        print(capacity[0].row("capacity, before"), flush=True)
        schedule = poisson(OVERLOAD * capacity[0].requests_per_s, WARM_S + seconds, seed=1)
        under = offered(server, asks, schedule, WARM_S + seconds)
        print(under.row(f"offered {OVERLOAD:g} times as much"), flush=True)
        capacity.append(closed(server, asks, SATURATING, bench.seconds))
        print(capacity[1].row("capacity, after"), flush=True)
    kept = under.sentences_per_s / statistics.mean(row.sentences_per_s for row in capacity)
    bad = under.wrong + under.lost + under.errors
    reached = verdict("throughput kept", kept, f">= {OVERLOAD_GOAL:g}", kept >= OVERLOAD_GOAL)
    return verdict("wrong, lost or failed answers", bad, "0", bad == 0) and reached


def fair(bench: Bench, environment: Mapping[str, str], keys: tuple[str, str]) -> bool:
    """Two keys, one of which offers ten times the other's load; either would fill the server.

    Args:
        environment: lets the server know the keys.
        keys: the secrets, first that of the light load.
    """
    bench.on_two_cores()
    seconds = 2 * bench.seconds if bench.quick else FAIR_S
    tokenizer = Tokenizer((resolve(bench.run) / "tokenizer.model").read_bytes())
    recipe = bench.ours(key=keys[0], environment=environment)
    with running(recipe, bench.server_core) as server:
        texts = bench.texts
        counts = [len(tokenizer.encode(text)) for text in texts]
        single = alone(server, texts, counts)
        light = grouped(server, texts, single, GROUP)
        other = Dragoman(bench.beam_size, key=keys[1])
        groups = [texts[i : i + GROUP] for i in range(0, len(texts) - GROUP + 1, GROUP)]
        heavy = [
            Ask(other.ask(group), ask.sentences, ask.answers, pieces=ask.pieces)
            for group, ask in zip(groups, light, strict=True)
        ]
        capacity = closed(server, light, SATURATING, bench.seconds).requests_per_s
        print(f"capacity {capacity:.1f} requests/s of {GROUP} sentences")
        return asyncio.run(_share(server, light, heavy, capacity, seconds))


async def _share(
    server: Server, light: list[Ask], heavy: list[Ask], capacity: float, seconds: float
) -> bool:
    """Both loads at once; the share of the light one in the source pieces that were served."""
    whole = WARM_S + seconds
    loads = Load(server.port, light), Load(server.port, heavy)
    schedules = (
        poisson(LIGHT * capacity, whole, seed=1),
        poisson(HEAVY * capacity, whole, seed=2),
    )
    offers = [load.offer(schedule) for load, schedule in zip(loads, schedules, strict=True)]
    found = await asyncio.gather(*offers)
    print(HEAD)
    pieces = []
    for name, load, outcomes in zip(("light", "heavy"), loads, found, strict=True):
        start, end = load.started + WARM_S, load.started + whole
        print(figures(outcomes, server.dialect, start, end).row(f"{name} key"))
        served = [each for each in outcomes if each.kind(server.dialect) == "right"]
        pieces.append(sum(each.ask.pieces for each in served if start <= each.finished < end))
    print(f"source pieces served: light {pieces[0]:,}, heavy {pieces[1]:,}")
    share = pieces[0] / max(sum(pieces), 1)
    least, most = FAIR_GOAL
    goal = f"{least:g} to {most:g}"
    return verdict("share of the light key", share, goal, least <= share <= most)
