"""Clients: whom a request is counted for, by API key or else by address, and trusted proxies."""

import ipaddress
from collections.abc import Sequence
from typing import NamedTuple

from model.errors import ConfigError

IPV6_PREFIX = 64
"""Bits of an IPv6 address that identify a client: providers hand out whole /64 networks."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Client(NamedTuple):
    """Whom limits and fair shares are counted for."""

    id: str
    """The name of an API key, or `@` and an address; a name cannot begin so."""
    least_divisor: int
    """The client may hold the room of the server divided by this, however few others there are."""


def client_of(key: str, host: str) -> Client:
    """Return the client with the API key of this name; if it is empty, the one at this address.

    A key can have all room while nobody else is there. An address can have half of it: it costs
    nothing to come from one, and others must still find room.
    """
    return Client(key, 1) if key else Client(f"@{client_address(host)}", 2)


def client_address(host: str) -> str:
    """Return the part of an address that limits are counted for.

    An IPv4 address stands for itself, also when it is written as IPv6 (`::ffff:192.0.2.1`); an IPv6
    address stands for its /64 network. Anything else, such as a name that a proxy made up, is
    returned unchanged, up to 64 characters.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host[:64]
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address.packed, IPV6_PREFIX), strict=False))


class TrustedProxies:
    """Addresses whose `X-Forwarded-For` names the client."""

    def __init__(self, entries: Sequence[str]) -> None:
        """`entries` are addresses or networks, such as 10.0.0.0/8.

        Raises:
            ConfigError: an entry is neither.
        """
        self._networks = [_network(entry) for entry in entries]

    def __bool__(self) -> bool:
        return bool(self._networks)

    @property
    def networks(self) -> list[str]:
        """The networks, also as IPv6 sockets write those of IPv4."""
        mapped = (
            f"::ffff:{network.network_address}/{96 + network.prefixlen}"
            for network in self._networks
            if isinstance(network, ipaddress.IPv4Network)
        )
        return [*map(str, self._networks), *mapped]

    def __contains__(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


def _network(entry: str) -> Network:
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError as error:
        raise ConfigError(
            f"trusted_proxies: {entry!r} is neither an address nor a network. Use one such as "
            f"10.0.0.7 or 10.0.0.0/8."
        ) from error
