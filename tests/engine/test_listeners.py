"""Listeners on networks: one socket on each local address in it. Takes milliseconds."""

from __future__ import annotations

import pytest

from postwright.engine.listeners import ListenerSockets, expand
from postwright.engine.outside import own_endpoints
from postwright.policy.settings import ListenerSettings, Settings

LOCAL = ("192.0.2.1", "192.0.2.7", "198.51.100.1", "2001:db8::1")


def test_a_network_is_its_local_addresses() -> None:
    listeners = [ListenerSettings("192.0.2.0/24", 25, "{a}"), ListenerSettings("2001:db8::/32", 587), ListenerSettings("203.0.113.9", 25)]
    assert [(one.address, one.port, one.source) for one in expand(listeners, LOCAL)] == [
        ("192.0.2.1", 25, "{a}"),
        ("192.0.2.7", 25, "{a}"),
        ("2001:db8::1", 587, ""),
        ("203.0.113.9", 25, ""),
    ]


def test_a_network_without_local_addresses_is_an_error() -> None:
    with pytest.raises(OSError, match=r"203\.0\.113\.0/24"):
        expand([ListenerSettings("203.0.113.0/24")], LOCAL)
    assert own_endpoints(Settings(listeners=(ListenerSettings("203.0.113.0/24"),))) == []


def test_loopback_networks_are_bound() -> None:
    sockets = ListenerSockets()
    try:
        sockets.update(Settings(listeners=(ListenerSettings("127.0.0.0/8", 0),)))
        assert [entry.sock.getsockname()[0] for entry in sockets.open()] == ["127.0.0.1"]
    finally:
        sockets.close()
