"""`TLS-Required: No` (RFC 8689 section 5): such mail goes where a policy keeps all other mail waiting, and nothing else is lost by it."""

from __future__ import annotations

import pytest

from postwright.model.envelope import MailExtras
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay

ME = "me@sender.example"
NO = {"TLS-Required": "No"}
QUICK = domain("*", use_dane=True, retry_after=(600.0,), retry_after_dns_error=60.0, bounce_after=86400.0)


def world(*, forged: bool) -> World:
    """example.com has TLSA records that cannot be believed, or that its host, which has no TLS, cannot satisfy."""
    made = World(relay(QUICK))
    source = made.node.resolver.source  # type: ignore[attr-defined]
    source.signed.add("example.com")
    made.zone["_25._tcp.mx.example.com"] = {"TLSA": ["3 1 1 " + "ab" * 32]}
    if forged:
        source.bogus.add("_25._tcp.mx.example.com")
    made.domain("example.com")
    return made


@pytest.mark.directive("use-dane")
@pytest.mark.parametrize("forged", [True, False])
def test_it_goes_and_the_others_wait(forged: bool) -> None:
    with world(forged=forged) as here:
        for name in ("a", "b", "c"):
            here.submit(ME, [f"{name}@example.com"])
        here.submit(ME, ["now@example.com"], headers=NO)
        here.advance(700)
        assert here.fates() == {("d", "now@example.com"): 1}
        assert [message.recipients for message in here.messages()] == [["now@example.com"]]
        here.node.resolver.source.bogus.clear()  # type: ignore[attr-defined]
        here.zone.pop("_25._tcp.mx.example.com")
        here.node.resolver.clear()  # type: ignore[attr-defined]
        here.run_until_empty(within=3600)
        # the others are there, and in their order
        assert [message.recipients[0][0] for message in here.messages()][1:] == ["a", "b", "c"]
        assert not [line for line in here.log if line.level == "error"]


@pytest.mark.parametrize("value", ["Yes", "maybe", ""])
def test_only_no_means_it(value: str) -> None:
    with world(forged=True) as here:
        here.submit(ME, ["a@example.com"], headers={"TLS-Required": value})
        here.advance(700)
        assert not here.messages()


def test_a_host_that_refuses_the_message_is_heard() -> None:
    with world(forged=True) as here:
        [mx] = here.receivers.values()
        mx.set_rules(["rcpt 550 5.1.1 no such user"])
        here.domain("sender.example")
        here.submit(ME, ["a@example.com"], headers=NO)
        here.run_until(lambda: bool(here.of("b")), within=700)
        assert here.of("b")[0].dsn_status.startswith("5.1.1")


def test_wishes_of_the_envelope_go_before_the_field() -> None:
    with world(forged=True) as here:
        assert here.submit(ME, ["a@example.com"], headers=NO, extras=MailExtras(priority=-1)).accepted
        here.advance(700)
        assert not here.messages()  # a message with wishes of its envelope is not lifted
