"""Who has a turn when, and what is told of the rounds, against figures worked out by hand."""

from functools import partial

import pytest

from benchmarks.turns import Comparison, alternate


def test_the_order_of_a_round_is_that_of_the_last_one_reversed() -> None:
    turns: list[str] = []

    def turn(name: str) -> int:
        turns.append(name)
        return len(turns)

    found = alternate({"base": partial(turn, "base"), "here": partial(turn, "here")}, 3)
    assert turns == ["base", "here", "here", "base", "base", "here"]
    assert found == {"base": [1, 4, 5], "here": [2, 3, 6]}


def test_the_ratio_is_of_medians_and_the_noise_of_consecutive_rounds() -> None:
    row = Comparison(name="x", base=(10.0, 8.0, 10.0), here=(12.0, 11.0, 11.0))
    assert row.ratio == pytest.approx(1.1)
    assert row.noise == pytest.approx((1.25, 12 / 11))


@pytest.mark.parametrize(
    ("here", "within"),
    [
        ((12.0, 12.0), True),
        ((13.0, 13.0), False),
        ((8.2, 8.2), True),
        ((8.1, 8.1), False),
        ((10.0, 20.0), True),  # half as fast again, but one of its rounds twice the other
    ],
)
def test_a_difference_has_to_be_larger_than_that_of_a_side_from_itself(
    here: tuple[float, ...], within: bool
) -> None:
    assert Comparison(name="x", base=(9.0, 11.0), here=here).within is within
