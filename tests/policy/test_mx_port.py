"""`default-smtp-port` holds for hosts that the DNS names; one that was written with a port keeps it."""

from __future__ import annotations

import pytest

from postwright.model.route import MxAnswer, MxHost, MxStatus, SessionOptions, SourceHost
from postwright.policy import mx

SOURCES = (SourceHost("", "relay.example"),)


@pytest.mark.parametrize(
    ("host", "port"),
    [(MxHost("mx.example", 10, addresses=("192.0.2.1",)), 2525), (mx.as_host(mx.parse_hosts("[192.0.2.1]:26", 2525)[0]), 26)],
    ids=["from-the-dns", "written"],
)
def test_port(host: MxHost, port: int) -> None:
    plan = mx.plan(MxAnswer(MxStatus.FOUND, (host,)), SessionOptions(), SOURCES, port=2525)
    assert [(route.address, route.port) for route in plan.routes] == [("192.0.2.1", port)]


@pytest.mark.directive("default-smtp-port")
def test_port_25_unless_said() -> None:
    answer = MxAnswer(MxStatus.FOUND, (MxHost("mx.example", 10, addresses=("192.0.2.1",)),))
    assert mx.plan(answer, SessionOptions(), SOURCES).routes[0].port == 25
