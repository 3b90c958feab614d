"""Scheduling: who is served next, simulated without an engine."""

import random
from collections import Counter
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.decoding.options import SearchOptions
from service.engine.request_params import RequestParams
from service.engine.scheduler import AGEING_S, Scheduler
from service.limits.admission import Admission
from tests.service.admitted import admitted

params_with = partial(
    RequestParams, options=SearchOptions(), reservation=admitted(Admission(1, 1), 0)
)
"""Of options and room the scheduler knows nothing."""


def test_within_a_priority_first_come_first_served() -> None:
    scheduler: Scheduler[str] = Scheduler()
    for number, name in enumerate("abc"):
        scheduler.push(name, [5, 5], params_with(), now=number)
    assert scheduler.head() == ("a", 0)
    found = [scheduler.pop() for _ in range(6)]
    assert found == [(name, number) for name in "abc" for number in (0, 1)]
    assert scheduler.head() is None
    assert (scheduler.items, scheduler.pieces) == (0, 0)


def test_two_keys_get_the_same_whatever_they_offer() -> None:
    """One offers ten times the other's load, in small pieces; both more than half of the whole."""
    scheduler: Scheduler[int] = Scheduler()
    rng = random.Random(1)
    served: Counter[str] = Counter()
    keys: dict[int, tuple[str, list[int]]] = {}
    for tick in range(3000):
        for key, count, longest in (("greedy", 20, 10), ("modest", 1, 20)):
            for _ in range(count):
                costs = [rng.randint(1, longest) for _ in range(2)]
                keys[len(keys)] = key, costs
                scheduler.push(len(keys) - 1, costs, params_with(client=key, priority=9), now=tick)
        budget = 18  # pieces in a tick
        while budget > 0:
            owner, number = scheduler.pop()
            key, costs = keys[owner]
            served[key] += costs[number]
            budget -= costs[number]
    assert 0.45 < served["modest"] / served.total() < 0.55


def test_a_key_that_was_away_does_not_catch_up() -> None:
    scheduler: Scheduler[int] = Scheduler()
    scheduler.push(0, [1] * 1000, params_with(client="a", document=True), now=0)
    for _ in range(500):
        scheduler.pop()
    scheduler.push(1, [1] * 100, params_with(client="b", document=True), now=1)
    served = Counter(scheduler.pop()[0] for _ in range(100))
    assert abs(served[0] - served[1]) <= 1


def test_a_document_does_not_hold_up_single_requests() -> None:
    scheduler: Scheduler[str] = Scheduler()
    scheduler.push("document", [20] * 10_000, params_with(document=True), now=0)
    for _ in range(50):
        scheduler.pop()
    for number in range(10):
        scheduler.push(f"single {number}", [20], params_with(), now=1)
    first = [scheduler.pop()[0] for _ in range(21)]
    assert sum(owner.startswith("single") for owner in first) == 10


def test_documents_share_by_their_priority() -> None:
    scheduler: Scheduler[str] = Scheduler()
    scheduler.push("low", [3] * 5000, params_with(document=True, priority=0), now=0)
    scheduler.push("high", [3] * 5000, params_with(document=True, priority=3), now=0)
    served = Counter(scheduler.pop()[0] for _ in range(1000))
    assert 0.78 < served["high"] / 1000 < 0.82  # 4 : 1, and nobody starves


def test_the_lowest_priority_waits_ten_seconds_more_at_most() -> None:
    """The engine serves exactly what comes of the highest priority, so its share is nothing."""
    scheduler: Scheduler[int] = Scheduler()
    arrivals: dict[int, float] = {0: 0.0}
    scheduler.push(0, [1], params_with(priority=0), now=0.0)
    now = 0.0
    while True:
        arrivals[len(arrivals)] = now
        scheduler.push(len(arrivals) - 1, [1], params_with(priority=9), now=now)
        owner, _ = scheduler.pop()
        if owner == 0:
            break
        now += 0.1
    assert AGEING_S - 0.2 <= now <= AGEING_S + 0.2


def test_the_higher_priority_comes_first_and_a_near_deadline_too() -> None:
    scheduler: Scheduler[str] = Scheduler()
    scheduler.push("low", [1], params_with(priority=0), now=0)
    scheduler.push("middle", [1], params_with(), now=0)
    scheduler.push("urgent", [1], params_with(priority=0, deadline=0.5), now=0)
    scheduler.push("high", [1], params_with(priority=9), now=0.1)
    assert [scheduler.pop()[0] for _ in range(4)] == ["high", "urgent", "middle", "low"]


def test_priority_costs_no_other_key_anything() -> None:
    scheduler: Scheduler[tuple[str, int]] = Scheduler()
    for number in range(100):
        scheduler.push(("pushy", number), [2], params_with(client="pushy", priority=9), now=0)
        scheduler.push(("modest", number), [2], params_with(client="modest", priority=0), now=0)
    served = Counter(scheduler.pop()[0][0] for _ in range(100))
    assert served == {"pushy": 50, "modest": 50}


@given(
    st.lists(
        st.tuples(st.sampled_from(["push", "pop", "drop"]), st.integers(0, 9), st.booleans()),
        max_size=80,
    )
)
def test_nothing_is_lost_and_nothing_comes_twice(script: list[tuple[str, int, bool]]) -> None:
    scheduler: Scheduler[int] = Scheduler()
    expected: dict[int, list[int]] = {}
    for now, (what, number, document) in enumerate(script):
        if what == "push":
            owner = len(script) + now
            params = params_with(client="abc"[number % 3], priority=number, document=document)
            scheduler.push(owner, [number + 1] * number, params, now)
            if number:
                expected[owner] = list(range(number))
        elif what == "pop" and expected:
            head = scheduler.head()
            owner, place = scheduler.pop()
            assert head == (owner, place)
            assert expected[owner].pop(0) == place
            if not expected[owner]:
                del expected[owner]
        elif what == "drop" and expected:
            owner = sorted(expected)[number % len(expected)]
            del expected[owner]
            scheduler.drop(owner)
            scheduler.drop(owner)  # no effect
        assert scheduler.items == sum(map(len, expected.values()))
        assert (scheduler.head() is None) == (not expected)
    assert scheduler.pieces >= scheduler.items


def test_a_stream_of_small_documents_does_not_starve_a_long_one() -> None:
    scheduler: Scheduler[int] = Scheduler()
    scheduler.push(0, [1] * 1000, params_with(document=True), now=0)
    served: Counter[int] = Counter()
    for number in range(1, 1001):  # as many pieces as the engine takes
        scheduler.push(number, [1], params_with(document=True), now=number)
        served[min(scheduler.pop()[0], 1)] += 1
    assert served[0] > 30


@pytest.mark.parametrize("keys", [1, 50])
def test_keys_and_documents_that_are_over_are_forgotten(keys: int) -> None:
    """Otherwise a server that never idles would grow."""
    scheduler: Scheduler[int] = Scheduler()
    for number in range(2000):
        params = params_with(client=str(number % keys), document=True)
        scheduler.push(number, [1 + number % 7], params, now=number)
        if number > 20:
            scheduler.pop()
    names = scheduler._shares._start.keys() | set(scheduler._clients)
    assert len(names) <= keys + 21
    assert sum(len(client.shares._start) for client in scheduler._clients.values()) <= 60


def test_clients_that_came_once_are_forgotten_though_others_never_stop() -> None:
    """There are more addresses than memory."""
    scheduler: Scheduler[int] = Scheduler()
    scheduler.push(-1, [1] * 10_000, params_with(client="busy"), now=0)
    for number in range(3_000):
        scheduler.push(number, [50], params_with(client=f"@{number}"), now=number)
        while scheduler.pop()[0] != number:
            pass
    assert len(scheduler._shares._start) < 500
