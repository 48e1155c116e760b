"""`name-server` takes an address, and beyond PowerMTA a port."""

from __future__ import annotations

import pytest

from postwright.control.config.directive import ValueProblem
from postwright.control.config.rules import name_server
from postwright.net.dns_servers import read_server

GOOD = {
    "192.0.2.53": "192.0.2.53",
    "192.0.2.53:5353": "192.0.2.53:5353",
    "2001:DB8::53": "2001:db8::53",
    "[2001:db8::53]": "2001:db8::53",
    "[2001:db8::53]:5353": "[2001:db8::53]:5353",
}
BAD = {
    "dns.example.com": (0, "is no address"),
    "192.0.2.53:0": (11, "is no port"),
    "192.0.2.53:dns": (11, "is no port"),
    "192.0.2.53 192.0.2.54": (11, "there is more on the line"),
    "192.0.2.256:53": (0, "is no address"),
}


@pytest.mark.parametrize(("text", "value"), GOOD.items(), ids=GOOD)
def test_taken(text: str, value: str) -> None:
    assert name_server(text) == value
    assert str(read_server(value)) == value.strip("[]") or str(read_server(value)) == value


@pytest.mark.parametrize(("text", "problem"), BAD.items(), ids=BAD)
def test_refused(text: str, problem: tuple[int, str]) -> None:
    with pytest.raises(ValueProblem) as caught:
        name_server(text)
    assert caught.value.offset == problem[0]
    assert problem[1] in caught.value.message
