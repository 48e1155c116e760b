"""Which addresses and proxies a virtual MTA sends by: a table of what is said where."""

from __future__ import annotations

import pytest

from postwright.model.route import Proxy, SourceHost
from postwright.policy.resolve import Resolved
from postwright.policy.settings import (
    GeneralSettings,
    ProxyClient,
    ProxySettings,
    ProxySourceRule,
    Settings,
    SourceHostRule,
    VmtaSettings,
)
from postwright.policy.sources import sources

LOCAL = ("192.0.2.1", "192.0.2.2", "2001:db8::1")
HOST = (SourceHostRule("192.0.2.1", "one.example"),)
NET = (SourceHostRule("192.0.2.0/24", "net.example"),)
BEHIND = (ProxySourceRule("192.0.2.2/32", ("198.51.100.1", 5000), ProxyClient("203.0.113.9", 0, "far.example")),)
P1 = ProxySettings("p1", server=("198.51.100.1", 5000), client=(ProxyClient("203.0.113.1", 7000, "a"), ProxyClient("203.0.113.2", 0, "b")))
P2 = ProxySettings("p2", type="socks5", server=("proxy.example", 1080), client=(ProxyClient("203.0.113.3", 0, "c"),), auth_username="joe")

FAR = SourceHost("203.0.113.9", "far.example", Proxy("", 1, "198.51.100.1", 5000, local="192.0.2.2"))
C = SourceHost("203.0.113.3", "c", Proxy("p2", 5, "proxy.example", 1080, user="joe"))
A_THEN_C = SourceHost("203.0.113.1", "a", Proxy("p1", 1, "198.51.100.1", 5000, client_port=7000), C)
B_THEN_C = SourceHost("203.0.113.2", "b", Proxy("p1", 1, "198.51.100.1", 5000), C)
ONE = SourceHost("192.0.2.1", "one.example")
NETS = (SourceHost("192.0.2.1", "net.example"), SourceHost("192.0.2.2", "net.example"))
NOTHING = (SourceHost("", "relay.example"),)


@pytest.mark.directive("smtp-source-host", "smtp-proxy-source-host", "use-proxy", "client", "server")
@pytest.mark.parametrize(
    ("everywhere", "own", "expected"),
    [
        ({}, {}, NOTHING),
        ({"smtp_source_host": HOST}, {}, (ONE,)),
        ({"smtp_source_host": HOST}, {"smtp_source_host": NET}, NETS),
        ({"smtp_source_host": (SourceHostRule("10.0.0.0/8", "x"),)}, {}, NOTHING),
        ({"smtp_proxy_source_host": BEHIND}, {}, (FAR,)),
        ({"smtp_source_host": HOST}, {"smtp_proxy_source_host": BEHIND}, (FAR,)),
        ({"smtp_proxy_source_host": BEHIND}, {"smtp_source_host": HOST}, (ONE,)),
        ({"use_proxy": ("P1", "p2")}, {}, (A_THEN_C, B_THEN_C)),
        ({"use_proxy": ("p1",)}, {"use_proxy": ("p2",)}, (C,)),
        ({"use_proxy": ("p2",), "smtp_source_host": HOST}, {"use_proxy": ("none",)}, (ONE,)),
        ({"use_proxy": ("p2",)}, {"smtp_source_host": HOST}, (C,)),
    ],
)
def test_what_a_virtual_mta_sends_by(everywhere: dict[str, object], own: dict[str, object], expected: tuple[SourceHost, ...]) -> None:
    settings = Settings(
        general=GeneralSettings(host_name=("relay.example",)),
        vmtas={"m1": VmtaSettings("m1", **own)},
        proxies={"p1": P1, "p2": P2},
        **everywhere,
    )
    found = sources(Resolved(settings), "m1", LOCAL)
    assert found == expected


@pytest.mark.directive("proxy-protocol")
def test_the_version_of_the_protocol_is_the_virtual_mtas() -> None:
    settings = Settings(vmtas={"m2": VmtaSettings("m2", smtp_proxy_source_host=BEHIND, proxy_protocol="2")})
    [source] = sources(Resolved(settings), "m2", LOCAL)
    assert source.proxy is not None
    assert source.proxy.kind == 2


def test_a_stand_in_reaches_the_same_hosts() -> None:
    clients = (ProxyClient("2001:db8::9", 0, "six"), ProxyClient("203.0.113.8", 0, "four"))
    six = ProxySettings("six", server=("198.51.100.1", 1), client=clients)
    settings = Settings(use_proxy=("p1", "six"), proxies={"p1": P1, "six": six})
    for source in sources(Resolved(settings), "{default}", LOCAL):
        assert source.otherwise is not None
        assert source.otherwise.name == "four"


def test_no_password_is_shown() -> None:
    client = (ProxyClient("203.0.113.3", 0, "c"),)
    proxy = ProxySettings("p", type="socks5", server=("h", 1), client=client, auth_username="joe", auth_password="hush")
    settings = Settings(use_proxy=("p",), proxies={"p": proxy})
    assert "hush" not in repr(sources(Resolved(settings), "{default}", LOCAL)) + repr(settings.proxies)


@pytest.mark.directive("host-name")
def test_the_name_for_ehlo_is_the_virtual_mtas_or_the_relays() -> None:
    named = {"m1": VmtaSettings("m1", host_name=("two.example", "three.example")), "m2": VmtaSettings("m2")}
    settings = Settings(general=GeneralSettings(host_name=("relay.example",)), vmtas=named)
    names = [sources(Resolved(settings), name, LOCAL)[0].name for name in ("m1", "m2", "{default}")]
    assert names == ["two.example", "relay.example", "relay.example"]
    assert sources(Resolved(Settings()), "{default}", LOCAL) == (SourceHost("", "localhost"),)
