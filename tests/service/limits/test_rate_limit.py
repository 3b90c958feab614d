"""Rates: a bucket of tokens for each key, over a clock made by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import TooManyRequests
from service.limits.rate_limit import PRUNE_AT, RateLimiter


def taken(rates: RateLimiter, key: str, now: float) -> bool:
    try:
        rates.take(key, now)
    except TooManyRequests:
        return False
    return True


def test_a_burst_and_then_the_rate() -> None:
    rates = RateLimiter(2.0, 3)
    assert [taken(rates, "anna", 100.0) for _ in range(5)] == [True, True, True, False, False]
    assert [taken(rates, "anna", 100.25)] == [False]
    assert [taken(rates, "anna", 100.5) for _ in range(2)] == [True, False]
    assert [taken(rates, "anna", 200.0) for _ in range(4)] == [True, True, True, False]


def test_keys_do_not_take_from_each_other() -> None:
    rates = RateLimiter(1.0, 1)
    assert taken(rates, "anna", 0.0)
    assert not taken(rates, "anna", 0.0)
    assert taken(rates, "ben", 0.0)


@pytest.mark.parametrize(("per_s", "wait"), [(0.1, 10), (0.3, 4), (1.0, 1), (50.0, 1)])
def test_who_waits_as_long_as_told_is_served(per_s: float, wait: int) -> None:
    rates = RateLimiter(per_s, 1)
    rates.take("anna", 7.0)
    with pytest.raises(TooManyRequests) as error:
        rates.take("anna", 7.0)
    assert error.value.retry_after_s == wait
    assert taken(rates, "anna", 7.0 + wait)


def test_a_clock_that_goes_back_gives_nothing() -> None:
    rates = RateLimiter(1.0, 1)
    assert taken(rates, "anna", 10.0)
    assert not taken(rates, "anna", 5.0)
    assert not taken(rates, "anna", 10.5)
    assert taken(rates, "anna", 11.0)


@given(st.lists(st.floats(0, 3), max_size=60), st.floats(0.1, 5), st.integers(1, 8))
def test_no_stretch_of_time_has_more_than_its_share(
    gaps: list[float], per_s: float, burst: int
) -> None:
    rates, now, served = RateLimiter(per_s, burst), 0.0, []
    for gap in gaps:
        now += gap
        if taken(rates, "anna", now):
            served.append(now)
    for first in range(len(served)):
        for last in range(first, len(served)):
            share = burst + (served[last] - served[first]) * per_s
            assert last - first + 1 <= share + 1e-6


def test_addresses_that_have_not_come_for_long_are_forgotten() -> None:
    rates = RateLimiter(1.0, 2)
    for number in range(3 * PRUNE_AT):
        rates.take(f"@{number}", number / 100)
    assert len(rates._buckets) <= PRUNE_AT
    last = f"@{3 * PRUNE_AT - 1}"
    now = 3 * PRUNE_AT / 100
    assert [taken(rates, last, now) for _ in range(2)] == [True, False]
