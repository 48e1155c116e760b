"""Stories of SPF at the door: who is told what at MAIL, and what the message tells of it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.engine.login_talk import Client
from tests.engine.test_address_stories import YOU, free, headers

from postwright.engine.spf_check import Checked, checked
from postwright.net.dns_query import DnsAnswer, DnsStatus
from postwright.policy.settings import SourceSettings, UserSettings
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, relay, source

PEER = "192.0.2.77"
ZONE = {
    "pass.example": {"TXT": ['"v=spf1 ip4:192.0.2.77 -all"']},
    "fail.example": {"TXT": ['"v=spf1 -all"']},
    "soft.example": {"TXT": ['"v=spf1 ~all"']},
    "wrong.example": {"TXT": ['"v=spf1 what:ever"']},
    "void.example": {"TXT": ['"v=spf1 a:n1.example a:n2.example a:n3.example -all"']},
    "mx.example": {"TXT": ['"v=spf1 mx -all"'], "MX": ["10 relay.example.", "5 host.mx.example."]},
    "host.mx.example": {"A": ["192.0.2.5"]},
    "relay.example": {"A": [PEER]},
    "helo.example": {"TXT": ['"v=spf1 ptr -all"']},
    "77.2.0.192.in-addr.arpa": {"PTR": ["mail.helo.example."]},
    "mail.helo.example": {"A": [PEER]},
}


def handed_in(sender: str, *failing: str, **directives: Any) -> tuple[str, list[str]]:
    """What MAIL was answered, and the Authentication-Results of the message if it was taken."""
    with World(relay(free(**directives))) as world:
        mx = world.domain("example.com")
        world.zone.update(ZONE)
        world.failing.update(failing)
        taken = world.submit(sender, [YOU], peer=PEER)
        assert taken.mail is not None
        world.run_until_empty()
        said = taken.mail.text if not taken.accepted else "250"
        return said, [" ".join(value.split()) for message in mx.messages for value in headers(message, "Authentication-Results")]


@pytest.mark.directive("check-spf-inbound", "check-mfrom-inbound")
@pytest.mark.parametrize("directive", ["check_spf_inbound", "check_mfrom_inbound"])
def test_who_may_send_is_told(directive: str) -> None:
    said, told = handed_in("me@pass.example", **{directive: True})
    assert said == "250"
    assert told == ["relay.example; spf=pass (ip4:192.0.2.77) smtp.mailfrom=me@pass.example"]
    assert handed_in("me@pass.example") == ("250", []), "nobody asked for it"


@pytest.mark.directive("reject-spf-check-fail", "reject-spf-check-permerror", "check-spf-inbound-max-void-lookups")
@pytest.mark.parametrize(
    ("sender", "directive", "reply", "result"),
    [
        ("me@fail.example", "reject_spf_check_fail", "550 5.7.23 SPF says that you may not send for this domain", "spf=fail"),
        ("me@wrong.example", "reject_spf_check_permerror", "550 5.7.24 the SPF record of this domain is in error", "spf=permerror"),
        ("me@void.example", "reject_spf_check_permerror", "550 5.7.24 the SPF record of this domain is in error", "spf=permerror"),
    ],
)
def test_who_may_not_is_refused_unless_that_is_turned_off(sender: str, directive: str, reply: str, result: str) -> None:
    assert handed_in(sender, check_spf_inbound=True) == (reply, []), "by default"
    said, told = handed_in(sender, check_spf_inbound=True, **{directive: False})
    assert said == "250"
    assert told[0].startswith(f"relay.example; {result} ")
    assert handed_in("me@void.example", check_spf_inbound=True, check_spf_inbound_max_void_lookups=3, reject_spf_check_fail=False)[1][
        0
    ].startswith("relay.example; spf=fail")


def test_softfail_and_nothing_said_are_told_only() -> None:
    assert handed_in("me@soft.example", check_spf_inbound=True)[1][0].startswith("relay.example; spf=softfail")
    assert handed_in("me@other.example", check_spf_inbound=True) == ("250", ["relay.example; spf=none smtp.mailfrom=me@other.example"])


@pytest.mark.directive("trace-spf-check")
def test_the_look_ups_and_exchangers_that_are_ourselves() -> None:
    (value,) = handed_in("me@mx.example", check_spf_inbound=True, trace_spf_check=True)[1]
    assert value.startswith("relay.example; spf=pass (mx)")
    assert "(TXT mx.example: 1 record) (MX mx.example: 2 records)" in value
    assert "TXT" not in handed_in("me@mx.example", check_spf_inbound=True)[1][0]


@pytest.mark.directive("reject-spf-check-temperror")
def test_what_the_dns_cannot_tell_now() -> None:
    unknown = "451 4.7.24 SPF of this domain cannot be looked up now, try again later"
    assert handed_in("me@pass.example", "pass.example", check_spf_inbound=True) == (unknown, [])
    said, told = handed_in("me@pass.example", "pass.example", check_spf_inbound=True, reject_spf_check_temperror=False)
    assert said == "250"
    assert told[0].startswith("relay.example; spf=temperror")


def check(sender: str, helo: str = "helo.example", peer: str = PEER) -> Checked:
    with World() as world:
        world.zone.update(ZONE)
        source = SourceSettings(check_spf_inbound=True)
        return world.run(checked(source, world.node.resolver, peer, sender, helo, "relay.example", 0.0))


def test_of_the_null_sender_it_is_the_name_in_helo() -> None:
    found = check("")
    assert (found.told.result, found.told.properties, found.refusal) == ("pass", (("smtp.helo", "helo.example"),), None)
    assert check("", peer="").told.result == "none", "what came by no network has no address to check"


def test_no_answer_for_one_family_is_no_answer_however_the_other_is() -> None:
    """A host with an AAAA record whose A cannot be told now may well be the client: that is no failure."""
    with World() as world:
        world.zone.update({"half.example": {"TXT": ['"v=spf1 a -all"'], "AAAA": ["2001:db8::1"]}})
        resolver = world.node.resolver
        query = resolver._source.query  # type: ignore[attr-defined]

        async def without_a(name: str, kind: str) -> DnsAnswer:
            return DnsAnswer(DnsStatus.FAILED) if kind == "A" else await query(name, kind)

        resolver._source.query = without_a  # type: ignore[attr-defined]
        source = SourceSettings(check_spf_inbound=True)
        found = world.run(checked(source, resolver, PEER, "me@half.example", "helo.example", "relay.example", 0.0))
        assert found.told.result == "temperror"


def test_what_was_asked_for_one_message_is_known_for_the_next() -> None:
    with World() as world:
        world.zone.update(ZONE)
        source, resolver = SourceSettings(check_spf_inbound=True), world.node.resolver
        for _ in range(2):
            assert world.run(checked(source, resolver, PEER, "me@mx.example", "h.example", "relay.example", 0.0)).told.result == "pass"
        assert resolver.source.asked.count(("mx.example", "MX")) == 1  # type: ignore[attr-defined]
        assert resolver.clear("mx.example") >= 2


@pytest.mark.directive("check-spf-inbound")
def test_who_has_logged_in_may_send_from_anywhere() -> None:
    """SPF is about hosts that hand mail over to a domain's own; a person at an hotel's address is none of them."""
    strict = source(ANYBODY, allow_unencrypted_plain_auth=True, check_spf_inbound=True)
    with World(relay(strict, users={"ann": UserSettings("ann", password="x")})) as world:
        world.zone.update(ZONE)
        stranger, ann = Client(world, PEER), Client(world, PEER)
        assert stranger.say("MAIL FROM:<me@fail.example>").startswith("550 5.7.23")
        ann.plain("ann", "x")
        assert ann.say("MAIL FROM:<me@fail.example>").startswith("250")


@pytest.mark.parametrize(
    ("sender", "told"),
    [
        ("me@b\u00fccher.example", "me@xn--bcher-kva.example"),
        ("j\u00fcrgen@b\u00fccher.example", "xn--bcher-kva.example"),
        ('"a b"@xn--bcher-kva.example', "xn--bcher-kva.example"),
    ],
)
def test_international_and_quoted_senders_are_told_as_far_as_a_field_can(sender: str, told: str) -> None:
    with World() as world:
        world.zone["xn--bcher-kva.example"] = {"TXT": ['"v=spf1 ip4:192.0.2.77 -all"']}
        source = SourceSettings(check_spf_inbound=True)
        found = world.run(checked(source, world.node.resolver, PEER, sender, "h.example", "relay.example", 0.0))
        assert (found.told.result, found.told.properties) == ("pass", (("smtp.mailfrom", told),))
