"""The load generator against a tiny server in the process, and its arithmetic."""

import asyncio
import itertools
import json
import math
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from typing import cast

import numpy as np
import pytest

from benchmarks.dialects import Plain
from benchmarks.figures import HEAD, figures, percentile
from benchmarks.load import Ask, Load, Outcome, poisson
from benchmarks.service import command_line
from tests.patience import PATIENCE_S

PLAIN = Plain()
RIGHT = b'{"translations": ["eins"]}'
WRONG = b'{"translations": ["zwei"]}'
ASK = Ask(PLAIN.ask(["one"]), sentences=1, answers=("eins",), body=RIGHT)


def answer(status: int, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *headers]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


class Tiny(asyncio.Protocol):
    """A connection to the tiny server. `reply` gets each whole request and writes the answer."""

    def __init__(self, reply: Callable[["Tiny", bytes], None]) -> None:
        self.reply = reply
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0])
        held = b"\r\nexpect: 100-continue" in head.lower() and not body
        if found and (held or len(body) == length):
            request, self.received = self.received, self.received if held else b""
            self.reply(self, request)


def against(
    reply: Callable[[Tiny, bytes], None],
    work: Callable[[int], Coroutine[object, object, list[Outcome]]],
) -> list[Outcome]:
    """What `work` gets from a server that replies so; it is given the port."""

    async def run() -> list[Outcome]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Tiny(reply), "127.0.0.1", 0)
        async with server:
            return await asyncio.wait_for(work(server.sockets[0].getsockname()[1]), PATIENCE_S)

    return asyncio.run(run())


def write(*parts: bytes) -> Callable[[Tiny, bytes], None]:
    """A reply that writes these parts in turn, one for each request; b"" hangs up."""
    turn: Iterator[bytes] = itertools.cycle(parts)

    def reply(connection: Tiny, request: bytes) -> None:
        part = next(turn)
        if part:
            connection.transport.write(part)
        else:
            connection.transport.abort()

    return reply


# Arithmetic


@pytest.mark.parametrize("count", [1, 2, 19, 100, 101])
@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_percentiles_are_those_of_numpy(count: int, share: float) -> None:
    values = [random.Random(count).uniform(0, 9) for _ in range(count)]
    assert percentile(values, share) == np.quantile(values, share, method="inverted_cdf")


def test_no_values_have_no_percentile() -> None:
    assert math.isnan(percentile([], 0.5))


def test_arrivals_are_drawn_at_the_rate_and_independently() -> None:
    arrivals = poisson(50.0, 200.0, seed=3)
    assert arrivals == sorted(arrivals) == poisson(50.0, 200.0, seed=3)
    assert arrivals != poisson(50.0, 200.0, seed=4)
    assert arrivals[0] >= 0
    assert arrivals[-1] < 200
    assert len(arrivals) == pytest.approx(50 * 200, rel=0.05)
    gaps = np.diff(arrivals)
    # Exponential: mean and standard deviation are equal, 1 / e of the gaps exceed the mean.
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)
    assert (gaps > gaps.mean()).mean() == pytest.approx(1 / math.e, rel=0.05)


def outcome(planned: float, finished: float, status: int = 200, body: bytes = RIGHT) -> Outcome:
    return Outcome(ASK, planned, planned + 0.001, finished, status, body, body == RIGHT)


def test_figures_count_answers_in_the_window_and_latencies_of_its_arrivals() -> None:
    outcomes = [
        outcome(0.5, 1.5),  # arrived before, served within
        outcome(1.0, 1.25),
        outcome(2.0, 2.5),
        outcome(4.0, 6.0),  # arrived within, served after
        outcome(2.0, 2.1, 429, b"{}"),
        outcome(2.0, 2.1, 500, b"{}"),
        outcome(2.0, 2.1, body=WRONG),
        outcome(9.0, 0.0, status=0),
    ]
    row = figures(outcomes, PLAIN, 1.0, 5.0)
    assert (row.requests_per_s, row.sentences_per_s) == (3 / 4, 3 / 4)
    assert (row.p50_s, row.p99_s) == (0.5, 2.0)
    counts = (row.right, row.wrong, row.refused, row.errors, row.lost)
    assert counts == (4, 1, 1, 1, 1)
    assert row.late_s == pytest.approx(0.001)
    assert len(row.row("a name")) == len(HEAD)


# Closed and open loops


def test_every_kind_of_answer_is_counted() -> None:
    nothing = b"{}"
    answers = [answer(200, RIGHT), answer(200, WRONG), answer(200, nothing)]
    refusals = [answer(429, nothing, "Retry-After: 1"), answer(500, nothing)]
    reply = write(*answers, *refusals, b"")
    outcomes = against(reply, lambda port: Load(port, [ASK]).loops(1, requests=12))
    kinds = Counter(each.kind(PLAIN) for each in outcomes)
    assert kinds == {"right": 2, "wrong": 2, "refused": 2, "error": 4, "lost": 2}


def test_the_same_answer_in_other_bytes_is_right() -> None:
    body = json.dumps({"other": 1, "translations": ["eins"]}, indent=1).encode()
    outcomes = against(
        write(answer(200, body)), lambda port: Load(port, [ASK]).loops(1, requests=1)
    )
    assert [(each.equal, each.kind(PLAIN)) for each in outcomes] == [(False, "right")]


def test_an_answer_may_come_in_pieces_and_close_the_connection() -> None:
    connections = set()

    def reply(connection: Tiny, request: bytes) -> None:
        connections.add(connection)
        for byte in answer(200, RIGHT, "Connection: close"):
            connection.transport.write(bytes([byte]))

    outcomes = against(reply, lambda port: Load(port, [ASK]).loops(2, requests=6))
    assert [each.kind(PLAIN) for each in outcomes] == ["right"] * 6
    assert len(connections) == 6


def test_clients_of_closed_loops_have_one_request_each_under_way() -> None:
    waiting: list[Tiny] = []
    most = 0

    def reply(connection: Tiny, request: bytes) -> None:
        nonlocal most
        waiting.append(connection)
        most = max(most, len(waiting))
        if len(waiting) == 3:  # nobody is answered before all three have asked
            while waiting:
                waiting.pop().transport.write(answer(200, RIGHT))

    outcomes = against(reply, lambda port: Load(port, [ASK]).loops(3, requests=30))
    assert most == 3
    assert [each.kind(PLAIN) for each in outcomes] == ["right"] * 30


def test_an_open_loop_does_not_wait_and_counts_from_the_schedule() -> None:
    schedule = [0.0, 0.05, 0.05, 0.2]
    waiting: list[Tiny] = []

    def reply(connection: Tiny, request: bytes) -> None:
        waiting.append(connection)
        if len(waiting) == len(schedule):  # the first answer only after the last arrival
            for each in waiting:
                each.transport.write(answer(200, RIGHT))

    started = 0.0

    async def work(port: int) -> list[Outcome]:
        nonlocal started
        load = Load(port, [ASK])
        outcomes = await load.offer(schedule)
        started = load.started
        return outcomes

    outcomes = against(reply, work)
    assert [each.planned - started for each in outcomes] == pytest.approx(schedule)
    assert all(each.sent >= each.planned for each in outcomes)
    waits = [each.finished - each.planned for each in outcomes]
    assert all(wait >= 0.2 - at for wait, at in zip(waits, schedule, strict=True))


def test_a_generator_that_is_late_says_so_and_its_latencies_include_it() -> None:
    async def work(port: int) -> list[Outcome]:
        load = Load(port, [ASK])
        offer = asyncio.ensure_future(load.offer([0.0, 0.01]))
        await asyncio.sleep(0)  # the schedule has begun
        end = load.started + 0.1
        while asyncio.get_running_loop().time() < end:  # the generator's loop is blocked
            pass
        return await offer

    outcomes = against(write(answer(200, RIGHT)), work)
    row = figures(outcomes, PLAIN, 0, math.inf)
    assert row.late_s >= 0.09
    assert row.p99_s >= 0.09


def test_nobody_at_the_port_loses_the_requests() -> None:
    async def run() -> list[Outcome]:
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        return await Load(port, [ASK]).offer([0.0, 0.01])

    outcomes = asyncio.run(run())
    assert [(each.kind(PLAIN), each.unconnected) for each in outcomes] == [("lost", True)] * 2


def test_a_held_body_shows_what_was_accepted() -> None:
    turn = itertools.count()

    def reply(connection: Tiny, request: bytes) -> None:
        if request.endswith(b"\r\n\r\n") and next(turn) % 2:
            connection.received = b""
            connection.transport.write(answer(429, b"{}", "Connection: close"))
        elif request.endswith(b"\r\n\r\n"):
            connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        else:
            assert request.endswith(ASK.message.body)
            connection.transport.write(answer(200, RIGHT))

    outcomes = against(reply, lambda port: Load(port, [ASK], hold=True).loops(1, requests=4))
    assert [(each.accepted, each.kind(PLAIN)) for each in outcomes] == [
        (True, "right"),
        (False, "refused"),
    ] * 2


# The command


def test_every_measure_of_the_documentation_is_a_subcommand() -> None:
    documentation = command_line().description or ""
    names = [line.split()[0] for line in documentation.splitlines() if line.startswith("    ")]
    measures = [name for name in names if not name.startswith(("DRAGOMAN", "python"))]
    assert len(measures) == 10
    for name in measures:
        arguments = [] if name == "ceiling" else ["runs/x"]
        assert command_line().parse_args([name, *arguments, "--quick"]).measure == name
