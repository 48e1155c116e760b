"""What `explain` says where a queue is not the plain one of its domain, and where the world has a word: rollups, warm-up, rerouting,
proxies, DANE, hosts that must not be used. Names are asked of a zone in memory; nobody is called."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.engine.test_processing_stories import BOUNCE

from postwright.content.dkim_key import SigningKey
from postwright.engine import sts_cache
from postwright.engine.explain import ExplainOrder, explain
from postwright.engine.explain_values import Fact, Journey
from postwright.engine.workers import Inline
from postwright.model.address import parse_mailbox
from postwright.net.clock import SystemClock
from postwright.net.sts_fetch import Fetched
from postwright.policy.list_settings import AddressList
from postwright.policy.service_settings import ProcessorSettings
from postwright.policy.settings import (
    AcctFileSettings,
    Assignment,
    DomainBlock,
    DomainKey,
    Origin,
    ProxyClient,
    ProxySettings,
    Rate,
    RollupRule,
    Settings,
)
from postwright.testing.fake_resolver import FakeResolver
from postwright.testing.world_settings import ANYBODY, domain, relay, source, vmta

Zone = Mapping[str, Mapping[str, Sequence[str]]]
BY_M = source(ANYBODY, always_allow_relaying=True, default_virtual_mta="m")
ZONE: Zone = {
    "example.com": {"MX": ["10 mx1.big.example", "10 mx2.big.example"]},
    "mx1.big.example": {"A": ["198.51.100.1"]},
    "mx2.big.example": {"A": ["198.51.100.2"]},
    "google.example": {"MX": ["10 aspmx.l.google.com"]},
    "aspmx.l.google.com": {"A": ["198.51.100.3"]},
    "one.example": {"MX": ["10 mx.one.example"]},
    "mx.one.example": {"A": ["198.51.100.4"]},
    "_25._tcp.mx.one.example": {"TLSA": ["3 1 1 " + "ab" * 32]},
    "sts.example": {"MX": ["10 mx.sts.example"]},
    "mx.sts.example": {"A": ["198.51.100.5"]},
    "_mta-sts.sts.example": {"TXT": ["v=STSv1; id=1;"]},
    "mta-sts.sts.example": {"A": ["198.51.100.6"]},
}


def written(pattern: str, **values: object) -> DomainBlock:
    """A `<domain>` of lines 1, 2, ... of a file."""
    lines = {name: Assignment(value, Origin("relay.conf", number)) for number, (name, value) in enumerate(values.items(), 1)}
    return DomainBlock(pattern, lines)


def explained(settings: Settings, to: str = "you@example.com", content: bytes = b"Subject: x\r\n\r\nhello\r\n", **dns: set[str]) -> Journey:
    """`dns`: `signed`, `bogus` and `failing` names."""
    order = ExplainOrder(parse_mailbox("me@sender.example"), parse_mailbox(to), content)

    async def run(folder: str) -> Journey:
        resolver = FakeResolver(ZONE)
        for what, names in dns.items():
            getattr(resolver.source, what).update(names)
        return await explain(settings, order, clock=SystemClock(), resolver=resolver, folder=Path(folder), workers=Inline())

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(run(folder))


def facts(journey: Journey) -> dict[str, Fact]:
    [path] = journey.paths
    return {fact.name: fact for section in (*journey.sections, *path.sections) for fact in section.facts}


def line(fact: Fact) -> int:
    return fact.origin.line


def test_a_rollup_that_is_written_down() -> None:
    rules = tuple(RollupRule(f"mx{number}.big.example", "big.rollup", origin=Origin("relay.conf", 40 + number)) for number in (1, 2))
    journey = explained(relay(domain("*"), written("big.rollup", max_smtp_out=2), mx_rollups=rules))
    found = facts(journey)
    assert journey.paths[0].queue == "big.rollup/{default}"
    assert found["begins as"].value == "example.com/{default}"
    assert (found["mx-rollup-list"].value, line(found["mx-rollup-list"])) == ("big.rollup", 41)
    assert (found["max-smtp-out"].value, line(found["max-smtp-out"])) == (2, 1)
    assert found["hosts of the rollup"].value == "mx1.big.example, mx2.big.example"
    assert {hop.address for hop in journey.paths[0].hops} == {"198.51.100.1", "198.51.100.2"}


def test_a_rollup_that_was_discovered() -> None:
    lines = {("", "mx_rollup_discovered"): Origin("relay.conf", 7)}
    journey = explained(relay(domain("*"), general={"mx_rollup_discovered": ("yes",)}, lines=lines), "you@google.example")
    assert journey.paths[0].queue == "aspmx.l.google.com.rollup/{default}"
    assert line(facts(journey)["mx-rollup-discovered"]) == 7


def test_a_way_over_several_queues() -> None:
    blocks = (written("example.com", reroute_to_virtual_mta="n"), written("next.example", max_smtp_out=1))
    n = vmta("n", "192.0.2.11", DomainBlock("example.com", {"queue_to": Assignment("next.example", Origin("relay.conf", 30))}))
    journey = explained(relay(domain("*"), *blocks, vmta("m", "192.0.2.10"), n, BY_M))
    found = facts(journey)
    assert journey.paths[0].queue == "next.example/n"
    assert (found["reroute-to-virtual-mta"].value, line(found["reroute-to-virtual-mta"])) == ("n", 1)
    assert (found["queue-to"].value, line(found["queue-to"])) == ("next.example", 30)


def test_a_virtual_mta_that_is_warmed_up() -> None:
    lines = {("virtual-mta m", "cold_virtual_mta"): Origin("relay.conf", 12)}
    days = written("*", max_cold_virtual_mta_msg=(Rate(50, 86400.0),))
    journey = explained(relay(days, vmta("m", "192.0.2.10", cold_virtual_mta=("c",)), vmta("c", "192.0.2.20"), BY_M, lines=lines))
    found = facts(journey)
    assert journey.paths[0].queue == "example.com/c"
    assert (found["cold-virtual-mta"].value, line(found["cold-virtual-mta"])) == ("c", 12)
    assert line(found["max-cold-virtual-mta-msg"]) == 1


def test_who_takes_over_in_backoff_mode() -> None:
    journey = explained(relay(written("*", backoff_reroute_to_virtual_mta="n"), vmta("m", "192.0.2.10"), vmta("n", "192.0.2.11"), BY_M))
    assert journey.paths[0].queue == "example.com/m"
    found = facts(journey)["backoff-reroute-to-virtual-mta"]
    assert (found.value, line(found)) == ("n", 1)


def test_a_proxy_is_named_and_its_password_is_not() -> None:
    proxy = ProxySettings(
        "p", "socks5", ("192.0.2.200", 1080), (ProxyClient("198.51.100.77", 0, "p.example"),), auth_username="joe", auth_password="hush"
    )
    lines = {("virtual-mta m", "use_proxy"): Origin("relay.conf", 14)}
    journey = explained(relay(domain("*"), vmta("m", use_proxy=("p",)), BY_M, proxies={"p": proxy}, lines=lines))
    assert line(facts(journey)["use-proxy"]) == 14
    hop = journey.paths[0].hops[0]
    assert (hop.source, hop.name, hop.proxy) == ("198.51.100.77", "p.example", "p at 192.0.2.200:1080 (SOCKS5)")
    assert "hush" not in repr(journey)


@pytest.mark.parametrize(
    ("dns", "tls", "hosts"),
    [
        ({"signed": {"one.example"}}, "TLS, the certificate by DANE", ("MX (by DNSSEC)", "10 mx.one.example")),
        ({}, "TLS if offered", ("MX", "10 mx.one.example")),
    ],
)
def test_dane_where_dnssec_vouches_for_it(dns: dict[str, set[str]], tls: str, hosts: tuple[str, str]) -> None:
    journey = explained(relay(written("*", use_dane=True)), "you@one.example", **dns)
    assert [hop.tls for hop in journey.paths[0].hops] == [tls]
    assert facts(journey)[hosts[0]].value == hosts[1]
    assert line(facts(journey)["use-dane"]) == 1


@pytest.mark.directive("use-mta-sts")
def test_mta_sts_where_a_policy_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """The policy is fetched, as it would be; here from nobody's web server."""
    asked: list[tuple[str, tuple[str, ...]]] = []
    lines = "version: STSv1\r\nmode: {}\r\nmx: {}\r\nmax_age: 86400\r\n"
    mode, mx = "enforce", "mx.sts.example"

    async def fetch(host: str, addresses: Sequence[str], *more: Any) -> Fetched:
        asked.append((host, tuple(addresses)))
        return Fetched(lines.format(mode, mx))

    monkeypatch.setattr(sts_cache, "fetch", fetch)
    settings = relay(written("*", use_mta_sts=True))
    journey = explained(settings, "you@sts.example")
    assert asked == [("mta-sts.sts.example", ("198.51.100.6",))]
    assert [hop.tls for hop in journey.paths[0].hops] == ["TLS, the certificate by MTA-STS"]
    assert line(facts(journey)["use-mta-sts"]) == 1
    mx = "other.example"
    refused = explained(settings, "you@sts.example")
    assert refused.paths[0].hops == ()
    assert str(facts(refused)["a host is not used"].value).startswith("mx.sts.example: ")
    mode = "testing"
    assert [hop.tls for hop in explained(settings, "you@sts.example").paths[0].hops] == ["TLS if offered"]
    asked.clear()
    assert [hop.tls for hop in explained(relay(domain("*")), "you@sts.example").paths[0].hops] == ["TLS if offered"]
    assert asked == [], "nobody wants it"


def test_a_host_that_must_not_be_used() -> None:
    dns: dict[str, Any] = {"signed": {"one.example"}, "bogus": {"_25._tcp.mx.one.example"}}
    journey = explained(relay(written("*", use_dane=True)), "you@one.example", **dns)
    [path] = journey.paths
    assert path.hops == ()
    assert path.error.startswith("TLSA records of mx.one.example cannot be had")
    assert str(facts(journey)["a host is not used"].value).startswith("mx.one.example: TLSA records")


@pytest.mark.parametrize(
    ("to", "error"),
    [
        ("you@nowhere.example", "the domain does not exist: no such name (5.1.2); it waits and is tried again"),
        ("you@example.com", "the DNS does not answer for the domain: timed out (4.4.3); it waits and is tried again"),
    ],
)
def test_no_way(to: str, error: str) -> None:
    journey = explained(relay(domain("*")), to, failing={"example.com"})
    assert journey.paths[0].error == error


@pytest.mark.directive("signed-return-path")
def test_a_signed_return_path() -> None:
    found = facts(explained(relay(source(ANYBODY, always_allow_relaying=True, signed_return_path="back.example"))))
    assert found["return path"].value == "a signed one for each recipient at back.example"
    assert "return path" not in facts(explained(relay()))


@pytest.mark.directive("sender-rules")
def test_the_sender_rules_that_it_breaks() -> None:
    warns, refuses = (source(ANYBODY, always_allow_relaying=True, sender_rules=how) for how in ("warn", "refuse"))
    assert facts(explained(relay(warns)))["sender rules"].value == "broken: from date message-id"
    assert "sender rules" not in facts(explained(relay()))
    assert explained(relay(refuses)).refusal.startswith("550 5.6.0 from: there is no From field; ")


@pytest.mark.directive("arc-seal", "arc-seal-identity", "check-arc-inbound")
def test_who_seals(tmp_path: Path) -> None:
    (tmp_path / "k.pem").write_bytes(SigningKey(rsa.generate_private_key(65537, 1024)).pem())
    key = DomainKey("s", "relay.example", str(tmp_path / "k.pem"), Origin("relay.conf", 7))
    looks = source(ANYBODY, always_allow_relaying=True, check_arc_inbound=True)
    seals = domain("*", arc_seal=True)
    found = facts(explained(relay(seals, looks, domain_keys=(key,))))
    assert (found["seal"].value, line(found["seal"])) == ("s._domainkey.relay.example, for relay.example, cv=none", 7)
    assert facts(explained(relay(seals, looks)))["seal"].value == "none: no domain-key fits"
    blind = facts(explained(relay(seals, domain_keys=(key,))))
    assert blind["seal"].value == "none: nobody looked at the chain of this message when it came (check-arc-inbound)"
    assert "domain-key" not in blind, "nothing is said of DKIM, which was not asked for"
    assert "seal" not in facts(explained(relay(looks, domain_keys=(key,))))


def processors(**bounce: Any) -> Settings:
    lists = {"addresses": AddressList(domains=("example.com",)), "origin": Origin("relay.conf", 9)}
    files = (AcctFileSettings("acct.csv", records=("rb", "rs")),)
    return relay(domain("*"), bounce_processor=ProcessorSettings(**lists, **bounce), acct_files=files)


@pytest.mark.directive("bounce-processor", "deliver-matched-email")
def test_a_report_that_a_processor_deals_with() -> None:
    journey = explained(processors(), content=BOUNCE)
    assert journey.paths == ()
    found = {fact.name: fact for section in journey.sections for fact in section.facts}
    assert (found["bounce-processor"].value, line(found["bounce-processor"])) == ("claims <you@example.com>", 9)
    assert found["read as"].value == ("a report on delivery (rfc3464): failed 5.1.1 <inner@far.example>, delayed 4.4.1 <slow@far.example>")
    assert found["records"].value == "1 rb, 1 rs"
    assert found["goes on to"].value == "nobody: it has been dealt with"
    found = facts(explained(processors(deliver_matched_email=True), content=BOUNCE))
    assert (found["goes on to"].value, found["recipient"].value) == ("<you@example.com>", "<you@example.com>")


@pytest.mark.directive("bounce-processor", "forward-unmatched-to")
def test_mail_that_a_processor_claims_and_that_is_no_report() -> None:
    found = facts(explained(processors()))
    assert (found["read as"].value, found["records"].value, found["goes on to"].value) == ("no report", "none", "<you@example.com>")
    found = facts(explained(processors(forward_unmatched_to=("us@one.example",))))
    assert (found["goes on to"].value, found["recipient"].value) == ("<us@one.example>", "<us@one.example>")
    assert "read as" not in facts(explained(relay(domain("*")), content=BOUNCE))


@pytest.mark.directive("signing-failure")
@pytest.mark.parametrize(
    ("failing", "then"), [("defer", "so the mail waits"), ("refuse", "so the mail is bounced"), ("send", "the mail goes without it")]
)
def test_a_key_that_cannot_be_used(failing: str, then: str, tmp_path: Path) -> None:
    (tmp_path / "k.pem").write_bytes(b"nothing")
    looks = source(ANYBODY, always_allow_relaying=True, check_arc_inbound=True)
    blocks = domain("*", dkim_sign="yes", dkim_identity="@relay.example", arc_seal=True, signing_failure=failing)
    found = facts(explained(relay(blocks, looks, domain_keys=(DomainKey("s", "relay.example", str(tmp_path / "k.pem")),))))
    why = "key s of relay.example: holds no private key in PEM form"
    assert found["signature"].value == f"cannot be made, and {then}: the DKIM {why}"
    assert found["seal"].value == f"cannot be made, and {then}: the ARC {why}"
    assert "domain-key" not in found
