"""Admission: what is let in, what is refused, and for how long."""

from contextlib import ExitStack

import pytest

from service.errors import Overloaded
from service.limits.admission import Admission


def test_room_in_requests_is_given_back() -> None:
    admission = Admission(max_requests=2, max_pieces=1000)
    refused = pytest.raises(Overloaded, match="as much work as it takes")
    with admission.admit(10), admission.admit(10), refused:
        admission.admit(1)
    assert (admission.requests, admission.pieces) == (0, 0)
    with admission.admit(1):
        assert admission.requests == 1


def test_bytes_are_reserved_and_corrected() -> None:
    admission = Admission(max_requests=9, max_pieces=100)
    with admission.admit(90) as first:
        with pytest.raises(Overloaded):
            admission.admit(11)
        first.count_pieces(90, 30)
        with admission.admit(70):
            assert admission.pieces == 100
    assert admission.pieces == 0


def test_a_request_larger_than_the_limit_comes_alone() -> None:
    admission = Admission(max_requests=9, max_pieces=100)
    with admission.admit(500), pytest.raises(Overloaded):
        admission.admit(1)
    with admission.admit(1), pytest.raises(Overloaded):
        admission.admit(500)


def test_room_is_given_back_when_the_request_fails() -> None:
    admission = Admission(max_requests=1, max_pieces=100)
    with pytest.raises(ZeroDivisionError), admission.admit(5):
        raise ZeroDivisionError
    assert admission.requests == 0


def test_the_wait_is_that_of_the_measured_speed() -> None:
    admission = Admission(max_requests=9, max_pieces=10**9)
    for _ in range(200):
        admission.record_speed(50, 0.1)  # 500 a second
    with admission.admit(2_900):
        assert admission.wait_s() == 6
        with pytest.raises(Overloaded) as refused:
            admission.admit(10**10)
        assert refused.value.retry_after_s == 6
    assert admission.wait_s() == 1
    with admission.admit(10**9):
        assert admission.wait_s() == 60


def test_what_is_not_counted_yet_stays_reserved() -> None:
    admission = Admission(max_requests=9, max_pieces=1000)
    with admission.admit(100) as reservation:
        reservation.count_pieces(40, 10)
        assert admission.pieces == 70
        reservation.count_pieces(60, 12)
        assert admission.pieces == 22
    assert admission.pieces == 0


def test_who_fills_the_server_locks_out_nobody() -> None:
    admission = Admission(max_requests=8, max_pieces=1000)
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(admission.admit(50, "heavy"))
        for _ in range(4):
            stack.enter_context(admission.admit(50, "light"))
        for key in ("heavy", "light"):
            with pytest.raises(Overloaded):
                admission.admit(50, key)
        for _ in range(2):
            stack.enter_context(admission.admit(50, "third"))
        with pytest.raises(Overloaded):
            admission.admit(50, "third")
    assert (admission.requests, admission.pieces) == (0, 0)
    for key in ("heavy", "light"):
        with ExitStack() as stack:  # what the others had is forgotten
            for _ in range(8):
                stack.enter_context(admission.admit(50, key))


def test_and_by_pieces_too() -> None:
    admission = Admission(max_requests=99, max_pieces=1000)
    with admission.admit(1000, "heavy") as heavy, admission.admit(400, "light"):
        with pytest.raises(Overloaded):
            admission.admit(101, "light")
        heavy.count_pieces(1000, 100)
        with admission.admit(500, "light"):
            assert admission.pieces == 1000
