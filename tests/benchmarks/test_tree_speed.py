"""Rates of a training, from the lines that it logged."""

from benchmarks.tree_speed import updates_per_s


def test_updates_are_counted_from_the_first_logged_line() -> None:
    lines: list[dict[str, object]] = [
        {"step": 20, "time": 100.0},  # what was before, the start too, does not count
        {"step": 40, "time": 104.0},
        {"step": 50, "time": 105.0},
    ]
    assert updates_per_s(lines) == 6.0
