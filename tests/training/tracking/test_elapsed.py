"""Elapsed time: the visits of a run add up, without pauses and without work that was lost."""

import pytest

from training.tracking.elapsed import clock, elapsed, rough
from training.tracking.metrics_log import Line
from training.tracking.run_record import Visit


def visit(time: float, step: int, *saved: float) -> Visit:
    """Begun at `time` after `step`; `saved` are step and time of its last checkpoint."""
    made = Visit(time=time, step=step, facts={}, git={})
    if saved:
        made["saved"] = {"step": int(saved[0]), "time": saved[1]}
    return made


def line(step: int, time: float, **values: float) -> Line:
    return {"step": step, "time": time, **values}


def test_a_run_in_one_go() -> None:
    lines = [line(50, 1010.0), line(100, 1020.0), line(100, 1025.0, dev_seconds=5.0)]
    time = elapsed(lines, [visit(1000.0, 0, 100, 1026.0)])

    assert time is not None
    assert time.points == [(50, 10.0), (100, 20.0), (100, 25.0)]
    assert (time.total, time.validation) == (26.0, 5.0)
    assert (time.started, time.ended) == (1000.0, 1026.0)
    assert [time.at(step) for step in (0, 25, 50, 75, 200)] == [0.0, 5.0, 10.0, 15.0, 25.0]


def test_pauses_and_lost_work_do_not_count() -> None:
    """Stopped at step 73, 14 s after the start; then killed some time after the save of 150."""
    visits = [
        visit(1000.0, 0, 73, 1014.0),
        visit(5000.0, 73, 150, 5016.0),
        visit(9000.0, 150, 200, 9013.0),
    ]
    lines = [line(50, 1010.0), line(100, 5006.0), line(150, 5015.0), line(200, 9011.0)]
    time = elapsed(lines, visits)

    assert time is not None
    assert time.points == [(50, 10.0), (100, 20.0), (150, 29.0), (200, 41.0)]
    assert time.total == 14 + 16 + 13
    assert time.validation is None


def test_older_records_end_a_visit_with_its_last_line() -> None:
    visits = [visit(1000.0, 0), visit(5000.0, 60), visit(5500.0, 60), visit(6000.0, 60)]
    time = elapsed([line(50, 1010.0), line(100, 6007.0)], visits)

    assert time is not None
    assert time.points == [(50, 10.0), (100, 17.0)]
    assert (time.total, time.ended) == (17.0, 6007.0)


@pytest.mark.parametrize("lines", [[], [{"step": 5}], [line(5, 1.0), {"step": 6}]])
def test_without_times_there_is_none(lines: list[Line]) -> None:
    assert elapsed(lines, [visit(0.0, 0)]) is None
    assert elapsed([line(5, 1.0)], []) is None


@pytest.mark.parametrize(
    ("seconds", "exact", "short"),
    [
        (0.4, "0:00:00", "0 s"),
        (59.6, "0:01:00", "60 s"),
        (3723.0, "1:02:03", "62 min"),
        (36_000.0, "10:00:00", "10.0 h"),
        (3_600_000.0, "1,000:00:00", "1,000 h"),
    ],
)
def test_seconds_for_people(seconds: float, exact: str, short: str) -> None:
    assert (clock(seconds), rough(seconds)) == (exact, short)
