"""Clients: which addresses are one client, and which proxies are believed."""

import pytest

from model.errors import ConfigError
from service.limits.clients import TrustedProxies, client_address, client_of


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("", ""),
        ("unknown", "unknown"),
        ("x" * 100, "x" * 64),
    ],
)
def test_addresses_of_one_client(host: str, address: str) -> None:
    assert client_address(host) == address
    assert client_of("", host) == (f"@{address}", 2)
    assert client_of("anna", host) == ("anna", 1)


def test_trusted_proxies() -> None:
    proxies = TrustedProxies(("10.0.0.0/8", "::1", "192.0.2.7"))
    assert proxies and not TrustedProxies(())
    assert "10.0.0.0/8" in TrustedProxies(("10.0.0.7/8",)).networks
    assert "::ffff:192.0.2.7/128" in proxies.networks
    for host in ("10.1.2.3", "::ffff:10.1.2.3", "::1", "192.0.2.7"):
        assert host in proxies
    for host in ("11.1.2.3", "::2", "192.0.2.8", "", "unix"):
        assert host not in proxies


@pytest.mark.parametrize("entry", ["proxy", "10.0.0.0/33", "*", "10.0.0"])
def test_a_proxy_is_an_address_or_a_network(entry: str) -> None:
    with pytest.raises(ConfigError, match=r"trusted_proxies: .* neither an address nor a network"):
        TrustedProxies(("10.0.0.1", entry))
