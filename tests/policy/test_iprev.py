"""What the look-ups of a client's address come to."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from postwright.model.route import MxStatus
from postwright.policy.iprev import Iprev, judged, refusal
from postwright.policy.settings import SourceSettings

FOUND, NONE, LATER = MxStatus.FOUND, MxStatus.NO_HOSTS, MxStatus.TEMPORARY


@pytest.mark.parametrize(
    ("pointer", "hosts", "result", "name"),
    [
        (FOUND, [("a.example", FOUND, ["192.0.2.9", "192.0.2.1"])], "pass", "a.example"),
        (FOUND, [("a.example", LATER, []), ("b.example", FOUND, ["192.0.2.1"])], "pass", "b.example"),
        (FOUND, [("a.example", FOUND, ["192.0.2.2", "2001:db8::1"])], "fail", ""),
        (FOUND, [("a.example", NONE, [])], "fail", ""),
        (FOUND, [("a.example", LATER, []), ("b.example", NONE, [])], "temperror", ""),
        (LATER, [], "temperror", ""),
        (MxStatus.NO_DOMAIN, [], "permerror", ""),
        (NONE, [], "permerror", ""),
    ],
)
def test_results(pointer: MxStatus, hosts: list[Any], result: str, name: str) -> None:
    found = judged(ip_address("192.0.2.1"), pointer, hosts)
    assert (found.result, found.name) == (result, name)


def test_addresses_are_compared_as_addresses() -> None:
    assert judged(ip_address("2001:db8::1"), FOUND, [("a", FOUND, ["2001:DB8:0:0::1"])]).result == "pass"


def test_the_trace_tells_every_look_up() -> None:
    hosts: list[Any] = [("a.example", FOUND, ["192.0.2.2"]), ("b.example", LATER, []), ("c.example", NONE, [])]
    trace = ("PTR: a.example b.example c.example", "a.example: 192.0.2.2", "b.example: no answer", "c.example: none")
    assert judged(ip_address("192.0.2.1"), FOUND, hosts).trace == trace
    assert judged(ip_address("192.0.2.1"), NONE, []).trace == ("PTR: none",)


@pytest.mark.parametrize(("result", "code"), [("fail", "550 5.7.25"), ("permerror", "550 5.7.25"), ("temperror", "451 4.4.3")])
def test_each_result_is_refused_only_where_it_is_asked_for(result: str, code: str) -> None:
    strict = SourceSettings(**{f"reject_iprev_check_{result}": True})
    reply = refusal(Iprev(result), strict)
    assert reply is not None
    assert reply.text.startswith(code)
    others = SourceSettings(**{f"reject_iprev_check_{other}": True for other in ("fail", "permerror", "temperror") if other != result})
    assert refusal(Iprev(result), others) is None
    assert refusal(Iprev("pass"), strict) is None
