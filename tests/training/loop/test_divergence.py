"""The divergence guard: what is bad, for how long, and how often a run may go back."""

import math

import pytest

from training.loop.divergence import (
    FEWEST,
    IN_A_ROW,
    MOST_ROLLBACKS,
    WINDOW,
    DivergenceGuard,
    TrainingDiverged,
)


def calm(losses: int = FEWEST, nll: float = 2.0) -> DivergenceGuard:
    guard = DivergenceGuard(0.005)
    for _ in range(losses):
        guard.watch(nll)
    return guard


def test_the_limit_is_one_and_a_half_medians_and_a_nat() -> None:
    assert calm(FEWEST - 1).limit == math.inf
    guard = calm()
    assert guard.limit == 4.0
    guard.watch(4.0)
    assert guard.bad == 0
    guard.watch(4.01)
    assert guard.bad == 1


@pytest.mark.parametrize("nll", [9.0, math.inf, math.nan])
def test_only_many_bad_updates_in_a_row_are_a_divergence(nll: float) -> None:
    guard = calm()
    for _ in range(3):
        for _ in range(IN_A_ROW - 1):
            guard.watch(nll)
        assert not guard.diverged
        guard.watch(2.0)
    for _ in range(IN_A_ROW):
        guard.watch(nll)
    assert guard.diverged
    assert guard.limit == 4.0  # bad losses are no measure


def test_the_median_is_that_of_the_last_losses() -> None:
    guard = calm(WINDOW, 6.0)
    for _ in range(WINDOW):
        guard.watch(1.0)
    assert guard.limit == 2.5


def test_three_returns_halve_the_rate_and_the_fourth_gives_up() -> None:
    guard = calm()
    for number in range(1, MOST_ROLLBACKS + 1):
        guard.bad = IN_A_ROW
        guard.roll_back(100, [2.0])
        assert (guard.bad, guard.rate_factor) == (0, 0.5**number)
    with pytest.raises(TrainingDiverged, match=r"step 400.*Try a lower optimizer\.learning_rate"):
        guard.roll_back(400, [2.0])


def test_its_state_travels_and_a_new_learning_rate_starts_unhalved() -> None:
    guard = calm()
    guard.watch(9.0)
    guard.roll_back(5, [2.0] * FEWEST)
    guard.watch(9.0)
    same, lowered = DivergenceGuard(0.005), DivergenceGuard(0.001)
    same.load_state(guard.state())
    lowered.load_state(guard.state())
    assert same.state() == guard.state()
    assert (same.rate_factor, lowered.rate_factor) == (0.5, 1.0)
    assert lowered.bad == 1


def test_a_return_is_in_vain_until_an_update_is_good() -> None:
    guard = calm()
    for times in (1, 2):
        guard.roll_back(100, [3.0] * FEWEST)
        guard.watch(math.nan)
        assert guard.in_vain == times
    resumed = DivergenceGuard(0.005)
    resumed.load_state(guard.state())
    assert resumed.in_vain == 2
    resumed.watch(5.5)  # 1.5 times 3 and a nat
    assert (resumed.in_vain, resumed.bad) == (0, 0)
