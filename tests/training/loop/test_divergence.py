"""The divergence monitor: which losses are bad, for how long, and how often a run may go back."""

import math

import pytest

from training.loop.divergence import (
    FEWEST,
    IN_A_ROW,
    MOST_ROLLBACKS,
    WINDOW,
    DivergenceMonitor,
    TrainingDiverged,
)


def calm(losses: int = FEWEST, nll: float = 2.0) -> DivergenceMonitor:
    monitor = DivergenceMonitor(0.005)
    for _ in range(losses):
        monitor.watch(nll)
    return monitor


def test_the_limit_is_one_and_a_half_medians_and_a_nat() -> None:
    assert calm(FEWEST - 1).limit == math.inf
    monitor = calm()
    assert monitor.limit == 4.0
    monitor.watch(4.0)
    assert monitor.bad == 0
    monitor.watch(4.01)
    assert monitor.bad == 1


@pytest.mark.parametrize("nll", [9.0, math.inf, math.nan])
def test_only_many_bad_updates_in_a_row_are_a_divergence(nll: float) -> None:
    monitor = calm()
    for _ in range(3):
        for _ in range(IN_A_ROW - 1):
            monitor.watch(nll)
        assert not monitor.diverged
        monitor.watch(2.0)
    for _ in range(IN_A_ROW):
        monitor.watch(nll)
    assert monitor.diverged
    assert monitor.limit == 4.0  # bad losses are no measure


def test_the_median_is_that_of_the_last_losses() -> None:
    monitor = calm(WINDOW, 6.0)
    for _ in range(WINDOW):
        monitor.watch(1.0)
    assert monitor.limit == 2.5


def test_three_returns_halve_the_rate_and_the_fourth_gives_up() -> None:
    monitor = calm()
    for number in range(1, MOST_ROLLBACKS + 1):
        monitor.bad = IN_A_ROW
        monitor.roll_back(100, [2.0])
        assert (monitor.bad, monitor.rate_factor) == (0, 0.5**number)
    with pytest.raises(TrainingDiverged, match=r"step 400.*Try a lower optimizer\.learning_rate"):
        monitor.roll_back(400, [2.0])


def test_its_state_travels_and_a_new_learning_rate_starts_unhalved() -> None:
    monitor = calm()
    monitor.watch(9.0)
    monitor.roll_back(5, [2.0] * FEWEST)
    monitor.watch(9.0)
    same, lowered = DivergenceMonitor(0.005), DivergenceMonitor(0.001)
    same.load_state(monitor.state())
    lowered.load_state(monitor.state())
    assert same.state() == monitor.state()
    assert (same.rate_factor, lowered.rate_factor) == (0.5, 1.0)
    assert lowered.bad == 1


def test_a_return_is_in_vain_until_an_update_is_good() -> None:
    monitor = calm()
    for times in (1, 2):
        monitor.roll_back(100, [3.0] * FEWEST)
        monitor.watch(math.nan)
        assert monitor.in_vain == times
    resumed = DivergenceMonitor(0.005)
    resumed.load_state(monitor.state())
    assert resumed.in_vain == 2
    resumed.watch(5.5)  # 1.5 times 3 and a nat
    assert (resumed.in_vain, resumed.bad) == (0, 0)
