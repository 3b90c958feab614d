"""Admission: what is let in, what is refused, and for how long."""

from contextlib import ExitStack

import pytest

from service.errors import Overloaded
from service.limits.admission import ANSWER_BYTES_PER_PIECE, SHORT_BYTES, Admission
from service.limits.clients import Client, client_of
from tests.service.admitted import admitted

LONG = SHORT_BYTES + 1


def test_room_in_requests_is_given_back() -> None:
    admission = Admission(max_requests=2, max_pieces=1000)
    refused = pytest.raises(Overloaded, match="as much work as it takes")
    with admitted(admission, 10), admitted(admission, 10), refused:
        admitted(admission, 1)
    assert (admission.requests, admission.pieces) == (0, 0)
    with admitted(admission, 1):
        assert admission.requests == 1


def test_bytes_are_reserved_and_corrected() -> None:
    admission = Admission(max_requests=9, max_pieces=100)
    with admitted(admission, 90) as first:
        with pytest.raises(Overloaded):
            admitted(admission, 11)
        first.count_pieces(90, 30)
        with admitted(admission, 70):
            assert admission.pieces == 100
    assert admission.pieces == 0


def test_a_request_larger_than_the_limit_comes_alone() -> None:
    admission = Admission(max_requests=9, max_pieces=100)
    with admitted(admission, 500), pytest.raises(Overloaded):
        admitted(admission, 1)
    with admitted(admission, 1), pytest.raises(Overloaded):
        admitted(admission, 500)


def test_room_is_given_back_when_the_request_fails() -> None:
    admission = Admission(max_requests=1, max_pieces=100)
    with pytest.raises(ZeroDivisionError), admitted(admission, 5):
        raise ZeroDivisionError
    assert admission.requests == 0


def test_the_wait_is_that_of_the_measured_speed() -> None:
    admission = Admission(max_requests=9, max_pieces=10**9)
    for _ in range(200):
        admission.record_speed(500, 0.1)  # 5,000 a second
    with admitted(admission, 29_000):
        assert admission.wait_s() == 6
        with pytest.raises(Overloaded) as refused:
            admitted(admission, 10**10)
        assert refused.value.retry_after_s == 6
    assert admission.wait_s() == 1
    with admitted(admission, 10**9):
        assert admission.wait_s() == 60


def test_what_is_not_counted_yet_stays_reserved() -> None:
    admission = Admission(max_requests=9, max_pieces=1000)
    with admitted(admission, 100) as reservation:
        reservation.count_pieces(40, 10)
        assert admission.pieces == 70
        reservation.count_pieces(60, 12)
        assert admission.pieces == 22
    assert admission.pieces == 0


def test_who_fills_the_server_locks_out_nobody() -> None:
    admission = Admission(max_requests=8, max_pieces=1000)
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(admitted(admission, 50, "heavy"))
        for _ in range(4):
            stack.enter_context(admitted(admission, 50, "light"))
        for key in ("heavy", "light"):
            with pytest.raises(Overloaded):
                admitted(admission, 50, key)
        for _ in range(2):
            stack.enter_context(admitted(admission, 50, "third"))
        with pytest.raises(Overloaded):
            admitted(admission, 50, "third")
    assert (admission.requests, admission.pieces) == (0, 0)
    for key in ("heavy", "light"):
        with ExitStack() as stack:  # what the others had is forgotten
            for _ in range(8):
                stack.enter_context(admitted(admission, 50, key))


def test_and_by_pieces_too() -> None:
    admission = Admission(max_requests=99, max_pieces=1000)
    with admitted(admission, 1000, "heavy") as heavy, admitted(admission, 400, "light"):
        with pytest.raises(Overloaded):
            admitted(admission, 101, "light")
        heavy.count_pieces(1000, 100)
        with admitted(admission, 500, "light"):
            assert admission.pieces == 1000


def address(last: int) -> Client:
    return client_of("", f"192.0.2.{last}")


def test_what_is_announced_costs_nothing() -> None:
    admission = Admission(max_requests=2, max_pieces=10_000)
    with ExitStack() as stack:
        for _ in range(50):
            waiting = stack.enter_context(admission.reservation(address(1)))
            waiting.announce(9_000)
            waiting.receive(SHORT_BYTES)
        assert (admission.requests, admission.pieces) == (0, 0)
        stack.enter_context(admitted(admission, 10))


def test_a_long_body_takes_room_as_it_arrives() -> None:
    admission = Admission(max_requests=2, max_pieces=10_000)
    with admission.reservation(address(1)) as first, admission.reservation(address(2)) as second:
        first.receive(LONG)
        assert (admission.requests, admission.pieces) == (0, LONG)
        second.receive(5_000)
        with pytest.raises(Overloaded):
            second.receive(5_001)  # half of the room
        assert admission.pieces == LONG + 5_000  # it still holds what it held
        first.receive(5_000)
        first.accept(5_000)
        assert (admission.requests, admission.pieces) == (1, 10_000)
    assert (admission.requests, admission.pieces) == (0, 0)


def test_several_bodies_of_one_address_are_not_alone() -> None:
    admission = Admission(max_requests=9, max_pieces=10_000)
    with admission.reservation(address(1)) as first, admission.reservation(address(1)) as second:
        first.receive(50_000)  # alone it may be larger than the limit
        with pytest.raises(Overloaded):
            second.receive(LONG)


def test_an_address_gets_half_of_the_room_and_a_key_all() -> None:
    admission = Admission(max_requests=8, max_pieces=1_000_000)
    for client, room in ((address(1), 4), (client_of("anna", "192.0.2.1"), 8)):
        with ExitStack() as stack:
            for _ in range(room):
                stack.enter_context(admission.reservation(client)).accept(10)
            with pytest.raises(Overloaded):
                admission.reservation(client).accept(10)
            if room == 4:
                with admission.reservation(address(2)) as other:
                    other.accept(10)


def test_long_work_does_not_keep_short_work_out() -> None:
    admission = Admission(max_requests=2, max_pieces=10_000)
    with admitted(admission, 900_000, "heavy"), admitted(admission, 5_000, "other"):
        with pytest.raises(Overloaded):
            admitted(admission, LONG, "heavy")
        with admitted(admission, SHORT_BYTES, "heavy"):
            assert admission.requests == 3


def test_a_large_answer_is_long_work() -> None:
    admission = Admission(max_requests=9, max_pieces=10_000)
    with admitted(admission, 20) as first, admitted(admission, 20) as second:
        first.expect(9_000 * ANSWER_BYTES_PER_PIECE)
        assert (admission.requests, admission.pieces) == (2, 9_040)
        with pytest.raises(Overloaded):
            second.expect(5_000 * ANSWER_BYTES_PER_PIECE)
        second.expect(30)
        assert admission.pieces == 9_043
    assert (admission.requests, admission.pieces) == (0, 0)


def test_what_is_counted_after_the_end_is_not() -> None:
    """The thread of the engine tells of pieces when the client may have left."""
    admission = Admission(max_requests=9, max_pieces=100)
    with admitted(admission, 50) as reservation:
        pass
    reservation.count_pieces(50, 10)
    assert (admission.requests, admission.pieces) == (0, 0)


def test_an_answer_weighs_what_it_has() -> None:
    admission = Admission(max_requests=9, max_pieces=10_000)
    with admitted(admission, 20) as reservation:
        reservation.weigh(800 * ANSWER_BYTES_PER_PIECE)
        assert admission.pieces == 800
    assert (admission.requests, admission.pieces) == (0, 0)
