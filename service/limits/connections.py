"""Connections: how many may be open at a time, in total and from one address."""

import logging
import sys
from typing import Protocol

from service.limits.clients import TrustedProxies, client_address

log = logging.getLogger(__name__)

OTHER_FILES = 128
"""Descriptors that a server needs in addition to those of its connections."""


def allow_descriptors(max_connections: int) -> int:
    """Let the process open as many files as it may have connections, and its own.

    Returns:
        `max_connections`, or how many there can be if the hard limit of the process is too low.
    """
    if sys.platform == "win32":
        return max_connections
    import resource

    needed = max_connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return max_connections
    if resource.RLIM_INFINITY != hard < needed:
        log.warning(
            "this process may open %d files: at most %d connections instead of %d. Raise the limit "
            "(ulimit -Hn %d), or lower DRAGOMAN_MAX_CONNECTIONS.",
            *(hard, max(hard - OTHER_FILES, 1), max_connections, needed),
        )
        needed = hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return max(needed - OTHER_FILES, 1)


class Connection(Protocol):
    """A connection that can be closed to make room."""

    def evict(self) -> None:
        """Close the connection. It is waiting for a request."""


class Connections:
    """The open connections. An address may hold half of them, unless it is a trusted proxy.

    A new connection beyond a limit replaces the one that has waited longest for a request, of the
    same address, or of the address with the most connections if there are too many in total. Only
    if all of those are being answered is the new connection refused.
    """

    def __init__(self, max_connections: int, proxies: TrustedProxies) -> None:
        self._max, self._proxies = max_connections, proxies
        self._address: dict[Connection, str] = {}
        self._open: dict[str, int] = {}  # by address
        self._waiting: dict[str, dict[Connection, None]] = {}  # by address, longest first

    def __len__(self) -> int:
        return len(self._address)

    def admit(self, connection: Connection, host: str) -> bool:
        """Count a new connection from `host`, which waits for a request.

        Returns:
            False, and it is not counted, if there are too many.
        """
        address = client_address(host)
        share = self._max if host in self._proxies else max(self._max // 2, 1)
        if self._open.get(address, 0) >= share and not self._evict(address):
            return False
        if len(self) >= self._max:
            most_first = sorted(self._open, key=self._open.__getitem__, reverse=True)
            if not any(self._evict(one) for one in most_first):
                return False
        self._address[connection] = address
        self._open[address] = self._open.get(address, 0) + 1
        self.wait(connection)
        return True

    def wait(self, connection: Connection) -> None:
        """Note that a connection waits for a request."""
        address = self._address.get(connection)
        if address is not None:
            self._waiting.setdefault(address, {})[connection] = None

    def work(self, connection: Connection) -> None:
        """Note that a request has come on a connection."""
        address = self._address.get(connection)
        if address is not None:
            self._waiting[address].pop(connection, None)

    def release(self, connection: Connection) -> None:
        """Forget a connection; no effect if it is not counted."""
        address = self._address.pop(connection, None)
        if address is None:
            return
        self._open[address] -= 1
        self._waiting[address].pop(connection, None)
        if not self._open[address]:
            del self._open[address], self._waiting[address]

    def _evict(self, address: str) -> bool:
        oldest = next(iter(self._waiting[address]), None)
        if oldest is None:
            return False
        self.release(oldest)
        oldest.evict()
        return True
