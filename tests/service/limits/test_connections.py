"""Connections: who gets one, and whose is closed for it."""

from service.limits.clients import TrustedProxies
from service.limits.connections import Connections

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


def test_one_connection_is_always_possible() -> None:
    connections = Connections(1, NONE)
    assert busy(connections, "192.0.2.1")
    assert busy(connections, "192.0.2.2") is None
