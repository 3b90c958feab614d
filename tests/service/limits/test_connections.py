"""Connections: who gets one, and whose is closed for it."""

import subprocess
import sys

import pytest

from service.limits.clients import TrustedProxies
from service.limits.connections import Connections
from tests.patience import PATIENCE_S

NONE = TrustedProxies(())


class One:
    """A connection that says whether it was closed."""

    def __init__(self) -> None:
        self.evicted = False

    def evict(self) -> None:
        self.evicted = True


def busy(connections: Connections, host: str) -> One | None:
    """A new connection on which a request is being answered; None if it was refused."""
    one = One()
    if not connections.admit(one, host):
        return None
    connections.work(one)
    return one


def test_all_but_half_from_one_address() -> None:
    connections = Connections(4, NONE)
    held = [busy(connections, "192.0.2.1") for _ in range(3)]
    assert held[:2] != [None, None] and held[2] is None
    assert busy(connections, "::ffff:192.0.2.1") is None
    assert busy(connections, "192.0.2.2") and busy(connections, "192.0.2.3")
    assert len(connections) == 4
    assert busy(connections, "192.0.2.4") is None
    assert held[0]
    connections.release(held[0])
    connections.release(held[0])
    assert len(connections) == 3
    assert busy(connections, "192.0.2.4")


def test_a_trusted_proxy_may_have_all() -> None:
    connections = Connections(4, TrustedProxies(("192.0.2.1",)))
    assert all(busy(connections, "192.0.2.1") for _ in range(4))
    assert busy(connections, "192.0.2.1") is None


def test_the_one_that_has_waited_longest_makes_room() -> None:
    connections = Connections(8, NONE)
    ones = [One() for _ in range(4)]
    for one in ones:
        assert connections.admit(one, "192.0.2.1")
    connections.work(ones[0])
    connections.work(ones[1])
    connections.wait(ones[0])
    assert connections.admit(One(), "192.0.2.1")
    assert [one.evicted for one in ones] == [False, False, True, False]
    connections.release(ones[2])  # as its protocol does when it is closed
    assert len(connections) == 4


def test_the_address_with_most_connections_makes_room_for_others() -> None:
    connections = Connections(5, NONE)
    few, many = [One()], [One(), One()]
    for host, group in (("192.0.2.1", few), ("192.0.2.2", many), ("192.0.2.3", [One(), One()])):
        for one in group:
            assert connections.admit(one, host)
    assert connections.admit(One(), "192.0.2.4")
    assert many[0].evicted and not few[0].evicted


def test_any_that_waits_makes_room_if_those_of_the_busiest_address_do_not() -> None:
    connections = Connections(4, NONE)
    waits = One()
    assert connections.admit(waits, "192.0.2.1")
    assert busy(connections, "192.0.2.2") and busy(connections, "192.0.2.2")
    assert busy(connections, "192.0.2.3")
    assert connections.admit(One(), "192.0.2.3")
    assert waits.evicted


def test_a_peer_without_an_address_is_counted() -> None:
    """It has left before anybody asked who it was."""
    connections = Connections(4, NONE)
    one = One()
    assert connections.admit(one, "")
    connections.work(one)
    connections.wait(one)
    connections.release(one)
    assert len(connections) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
def test_as_many_files_as_connections_may_be_open() -> None:
    """In a process of its own, whose limits are changed."""
    script = """
import resource
from service.limits.connections import OTHER_FILES, allow_descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 1000))
assert allow_descriptors(400) == 400
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (400 + OTHER_FILES, 1000)
assert allow_descriptors(10) == 10
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (400 + OTHER_FILES, 1000)
assert allow_descriptors(1000) == 1000 - OTHER_FILES
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (1000, 1000)
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    assert "may open 1000 files: at most 872 connections instead of 1000" in done.stderr
    assert "ulimit -Hn 1128" in done.stderr


def test_one_connection_is_always_possible() -> None:
    connections = Connections(1, NONE)
    assert busy(connections, "192.0.2.1")
    assert busy(connections, "192.0.2.2") is None
