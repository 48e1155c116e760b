"""TLS policies in a whole simulated relay: the mail waits for what the DNS promises, and a day's report goes out as mail of our own."""

from __future__ import annotations

import base64
import email
import gzip
import json

import pytest
from msgspec.structs import replace

from postwright.policy.settings import Settings
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay

DAY = 86400.0


def reporting(*blocks: object) -> Settings:
    settings = relay(*blocks)  # type: ignore[arg-type]
    return replace(settings, general=replace(settings.general, tlsrpt=True))


@pytest.mark.directive("tlsrpt")
def test_a_days_report_by_mail() -> None:
    with World(reporting(domain("*", retry_after=(600.0,))), shards=2) as world:
        world.domain("example.com")
        home = world.domain("reports.example")
        world.zone["_smtp._tls.example.com"] = {"TXT": ["v=TLSRPTv1; rua=mailto:tls@reports.example"]}
        world.submit("me@sender.example", ["you@example.com"])
        world.run_until_empty(within=60)
        assert not home.messages
        world.run_until(lambda: bool(home.messages), within=2 * DAY)
        world.advance(DAY)
        [message] = home.messages
        assert message.recipients == ["tls@reports.example"]
        assert message.sender == f"postmaster@{world.settings.general.host_name[0]}"
        parsed = email.message_from_bytes(message.content)
        report = json.loads(gzip.decompress(base64.b64decode(parsed.get_payload()[1].get_payload())))  # type: ignore[union-attr, index]
        [policy] = report["policies"]
        # a simulated host has no STARTTLS
        assert policy["summary"] == {"total-successful-session-count": 0, "total-failure-session-count": 1}
        assert policy["failure-details"][0]["result-type"] == "starttls-not-supported"
        assert policy["failure-details"][0]["receiving-mx-hostname"] == "mx.example.com"


@pytest.mark.directive("tlsrpt")
def test_without_it_nothing_is_counted() -> None:
    with World(relay(domain("*"))) as world:
        world.domain("example.com")
        home = world.domain("reports.example")
        world.zone["_smtp._tls.example.com"] = {"TXT": ["v=TLSRPTv1; rua=mailto:tls@reports.example"]}
        world.submit("me@sender.example", ["you@example.com"])
        world.advance(2 * DAY)
        assert world.fates() == {("d", "you@example.com"): 1}
        assert not home.messages
        assert world.node.transport.reports is None


@pytest.mark.directive("use-dane")
def test_mail_waits_while_tlsa_records_are_forged_and_goes_when_they_are_not() -> None:
    with World(relay(domain("*", use_dane=True, retry_after=(600.0,), retry_after_dns_error=60.0))) as world:
        mx = world.domain("example.com")
        source = world.node.resolver.source  # type: ignore[attr-defined]
        source.signed.add("example.com")
        source.bogus.add("_25._tcp.mx.example.com")
        world.submit("me@sender.example", ["you@example.com"])
        world.advance(300)
        assert not mx.attempts
        [queue] = [queue for queue in world.node.scheduler.queues.values() if queue.recipients]
        assert "TLSA records of mx.example.com cannot be had" in queue.last_error
        source.bogus.clear()
        world.run_until_empty(within=3600)
        assert world.fates() == {("d", "you@example.com"): 1}


@pytest.mark.directive("use-dane")
def test_a_host_with_tlsa_records_and_no_tls_gets_no_mail() -> None:
    with World(relay(domain("*", use_dane=True, retry_after=(600.0,), bounce_after=3600.0))) as world:
        mx = world.domain("example.com")
        world.domain("sender.example")
        world.node.resolver.source.signed.add("example.com")  # type: ignore[attr-defined]
        world.zone["_25._tcp.mx.example.com"] = {"TLSA": ["3 1 1 " + "ab" * 32]}
        world.submit("me@sender.example", ["you@example.com"])
        world.run_until(lambda: bool(world.of("b")), within=7200)
        assert mx.attempts
        assert not mx.messages
