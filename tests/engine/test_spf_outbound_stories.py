"""Stories of check-spf-outbound: what leaves by an address that its sender's domain names, and what becomes of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from postwright.engine import spf_outbound
from postwright.engine.sharing import LOOK_AGAIN
from postwright.model.address import Address
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay, vmta

YOU = "you@example.com"
ZONE: dict[str, Any] = {
    "ours.example": {"TXT": ['"v=spf1 ip4:192.0.2.10 -all"']},
    "others.example": {"TXT": ['"v=spf1 ip4:203.0.113.1 -all"']},
    "soft.example": {"TXT": ['"v=spf1 ~all"']},
    "wrong.example": {"TXT": ['"v=spf1 what:ever"']},
    "a.relay.example": {"TXT": ['"v=spf1 ip4:192.0.2.10 -all"']},
}


def world(*, check: bool = True, **more: Any) -> World:
    made = World(relay(domain("*", check_spf_outbound=check, retry_after=(600.0,), **more), vmta("a", "192.0.2.10")))
    made.zone.update(ZONE)
    return made


def send(made: World, *senders: str) -> None:
    for sender in senders:
        assert made.submit(sender, [YOU], headers={"X-Virtual-MTA": "a"}).accepted


@pytest.mark.directive("check-spf-outbound")
def test_only_what_passes_leaves() -> None:
    with world() as w:
        mx = w.domain("example.com")
        send(w, "me@ours.example", "me@others.example", "me@soft.example", "me@wrong.example", "me@none.example", "you@ours.example")
        w.run_until_empty()
        taken = [message.sender for message in mx.messages]
        assert sorted(sender for sender in taken if sender) == ["me@ours.example", "you@ours.example"]
        told = {record.orig: record.dsn_diag for record in w.of("b")}
        words = "x-pmta;check-spf-outbound: SPF of {}.example says {} for 192.0.2.10"
        assert {sender: told[f"me@{sender}.example"] for sender in ("others", "soft", "wrong", "none")} == {
            name: words.format(name, result)
            for name, result in {"others": "fail", "soft": "softfail", "wrong": "permerror", "none": "none"}.items()
        }
        assert {record.dsn_status.split()[0] for record in w.of("b") if record.orig} == {"5.7.23"}


@pytest.mark.directive("check-spf-outbound")
def test_without_it_everything_leaves() -> None:
    with world(check=False) as w:
        mx = w.domain("example.com")
        send(w, "me@others.example")
        w.run_until_empty()
        assert len(mx.messages) == 1
        assert ("others.example", "TXT") not in w.node.resolver.source.asked  # type: ignore[attr-defined]


@pytest.mark.directive("check-spf-outbound")
def test_what_the_dns_cannot_tell_waits() -> None:
    with world() as w:
        mx = w.domain("example.com")
        w.failing.add("ours.example")
        send(w, "me@ours.example")
        w.advance(60.0)
        assert mx.messages == []
        assert [record.dsn_status.split()[0] for record in w.of("t")] == ["4.7.24"]
        w.failing.clear()
        w.run_until_empty()
        assert len(mx.messages) == 1


@pytest.mark.directive("check-spf-outbound")
def test_a_report_goes_in_the_name_that_is_said_in_helo() -> None:
    with world() as w:
        mx = w.domain("example.com")
        send(w, "")
        w.run_until_empty()
        assert len(mx.messages) == 1, "a.relay.example names its address"


def test_a_defect_holds_up_neither_the_message_for_ever_nor_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is: one message waits, and the connection serves the next."""
    ask, asked = spf_outbound.objection, list[str]()

    async def broken_once(zone: Any, sender: Address, *more: Any) -> Any:
        asked.append(sender.text)
        if len(asked) == 1:
            raise RuntimeError("a defect")
        return await ask(zone, sender, *more)

    monkeypatch.setattr(spf_outbound, "objection", broken_once)
    with world(max_smtp_out=1) as w:
        mx = w.domain("example.com")
        send(w, "me@ours.example", "you@ours.example")
        w.advance(60.0)
        assert [message.sender for message in mx.messages] == ["you@ours.example"]
        w.advance(LOOK_AGAIN)
        assert [message.sender for message in mx.messages] == ["you@ours.example", "me@ours.example"]
        assert not w.of("b")
