"""Background budget: the share of time for documents while interactive requests are queued."""

import pytest

from service.engine.scheduler import BackgroundBudget


def simulated(backlog: bool) -> float:
    """Share of background work if its steps take four times as long as interactive ones."""
    budget = BackgroundBudget()
    background = 0.0
    clock = 0.0
    while clock < 1000:
        budget.foreground(1.0, backlog=backlog)
        clock += 1
        if budget.allows_background:
            budget.background(4.0)
            background += 4
            clock += 4
    return background / clock


def test_the_background_gets_a_quarter_of_a_quiet_time_and_half_of_a_busy_one() -> None:
    assert simulated(backlog=False) == pytest.approx(0.25, abs=0.02)
    assert simulated(backlog=True) == pytest.approx(0.5, abs=0.02)


def test_after_idle_background_work_a_request_waits_for_one_background_step() -> None:
    budget = BackgroundBudget()
    for _ in range(100):
        budget.reset()
        assert budget.allows_background
        budget.background(4.0)
    for _ in range(11):
        budget.foreground(1.0, backlog=False)
        assert not budget.allows_background
    budget.foreground(1.1, backlog=False)
    assert budget.allows_background


def test_quiet_times_are_not_saved_up() -> None:
    budget = BackgroundBudget()
    for _ in range(100):
        budget.foreground(1.0, backlog=False)
    budget.background(1.0)
    assert not budget.allows_background
