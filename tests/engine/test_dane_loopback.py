"""DANE before a signed zone and a real receiver on loopback (RFC 7672): each outcome in the session, and as RFC 8460 reports it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.engine.transport_town import Authority, Certificate, Town

from postwright.model.outcome import Failure, Fault, TlsTrouble
from postwright.model.route import MxStatus, Plan, TlsRule
from postwright.net.channel import Channel
from postwright.testing.fake_resolver import Zone

SIGNED = ("good.example",)


def zone(*tlsa: str, domain: str = "good.example") -> Zone:
    records: dict[str, Any] = {
        domain: {"MX": [f"10 mx.{domain}."]},
        f"mx.{domain}": {"A": ["127.0.0.1"]},
    }
    if tlsa:
        records[f"_25._tcp.mx.{domain}"] = {"TLSA": list(tlsa)}
    return records


@pytest.fixture
def authority(tmp_path: Path, libunbound: str) -> Authority:
    return Authority(tmp_path)


HOLDS = [
    ("3 1 1", 3, 1, 1, ("mx.good.example",), False),
    ("3 0 1", 3, 0, 1, ("mx.good.example",), False),
    ("3 1 2", 3, 1, 2, ("mx.good.example",), False),
    ("3 0 0", 3, 0, 0, ("mx.good.example",), False),
    ("3 1 1 for another name", 3, 1, 1, ("elsewhere.example",), False),  # RFC 7672 section 3.1.1
    ("3 1 1 of a certificate that has expired", 3, 1, 1, ("mx.good.example",), True),
    ("2 0 1", 2, 0, 1, ("mx.good.example",), False),
    ("2 1 1", 2, 1, 1, ("mx.good.example",), False),
    ("2 0 0", 2, 0, 0, ("mx.good.example",), False),
    ("2 0 1 for the mail domain", 2, 0, 1, ("good.example",), False),  # section 3.2.2
    ("2 0 1 with a wildcard", 2, 0, 1, ("*.good.example",), False),
]


@pytest.mark.directive("use-dane")
@pytest.mark.parametrize(("usage", "selector", "matching", "names", "expired"), [row[1:] for row in HOLDS], ids=[row[0] for row in HOLDS])
async def test_what_holds(
    usage: int, selector: int, matching: int, names: tuple[str, ...], expired: bool, authority: Authority, tmp_path: Path
) -> None:
    certificate = authority.issue(*names, expired=expired)
    async with Town(tmp_path, zone(certificate.tlsa(usage, selector, matching)), certificate, signed=SIGNED) as town:
        channel = await town.call("good.example")
        assert isinstance(channel, Channel), channel
        assert channel.tls
        assert channel.route.demand is not None
        assert channel.route.demand.rule is TlsRule.DANE
        assert town.results("good.example") == {"tlsa": ["success"]}
        counted = town.counted("good.example")["tlsa"]
        assert counted.hosts == ("mx.good.example",)
        assert counted.strings[0].split()[:3] == [str(usage), str(selector), str(matching)]
        channel.close()


MISSES = [
    ("3 1 1 of another key", 3, ("mx.good.example",), False, True, TlsTrouble.NO_MATCH, "validation-failure"),
    ("2 0 1 of another anchor", 2, ("mx.good.example",), False, True, TlsTrouble.NO_MATCH, "validation-failure"),
    ("2 0 1 for another name", 2, ("elsewhere.example",), False, False, TlsTrouble.NAME, "certificate-host-mismatch"),
    ("2 0 1 of a certificate that has expired", 2, ("mx.good.example",), True, False, TlsTrouble.EXPIRED, "certificate-expired"),
]


@pytest.mark.directive("use-dane")
@pytest.mark.parametrize(
    ("usage", "names", "expired", "another", "trouble", "result"), [row[1:] for row in MISSES], ids=[row[0] for row in MISSES]
)
async def test_what_does_not_hold(
    usage: int,
    names: tuple[str, ...],
    expired: bool,
    another: bool,
    trouble: TlsTrouble,
    result: str,
    authority: Authority,
    tmp_path: Path,
) -> None:
    certificate = authority.issue(*names, expired=expired)
    promised: Certificate = Authority(tmp_path, "other").issue("mx.good.example") if another else certificate
    async with Town(tmp_path, zone(promised.tlsa(usage, 0)), certificate, signed=SIGNED, transcript=True) as town:
        failure = await town.call("good.example")
        assert isinstance(failure, Failure)
        assert (failure.fault, failure.trouble) == (Fault.TLS, trouble)
        assert town.results("good.example") == {"tlsa": [result]}
        row, _ = town.counted("good.example")["tlsa"].failures[0]
        assert (row.host, row.receiving, row.sending) == ("mx.good.example", "127.0.0.1", "127.0.0.1")
        assert not town.sink.messages
        assert len(town.sink.connections) == 1  # nobody tried again without


@pytest.mark.directive("use-dane")
async def test_a_host_without_starttls_gets_nothing(authority: Authority, tmp_path: Path) -> None:
    promised = authority.issue("mx.good.example")
    async with Town(tmp_path, zone(promised.tlsa()), None, signed=SIGNED) as town:
        failure = await town.call("good.example")
        assert isinstance(failure, Failure)
        assert failure.fault is Fault.NOT_OFFERED
        assert town.results("good.example") == {"tlsa": ["starttls-not-supported"]}


@pytest.mark.directive("use-dane")
async def test_records_that_nobody_can_use_mean_encrypted_with_anybody(authority: Authority, tmp_path: Path) -> None:
    certificate = authority.issue("elsewhere.example")
    async with Town(tmp_path, zone(certificate.tlsa(1, 0)), certificate, signed=SIGNED) as town:
        channel = await town.call("good.example")
        assert isinstance(channel, Channel)
        assert channel.route.demand is not None
        assert channel.route.demand.rule is TlsRule.DANE_UNUSABLE
        channel.close()
    async with Town(tmp_path, zone(certificate.tlsa(1, 0)), None, signed=SIGNED) as town:
        failure = await town.call("good.example")
        assert isinstance(failure, Failure)
        assert failure.fault is Fault.NOT_OFFERED


@pytest.mark.directive("use-dane")
async def test_insecure_records_say_nothing(authority: Authority, tmp_path: Path) -> None:
    certificate = authority.issue("mx.good.example")
    other = Authority(tmp_path, "other").issue("mx.good.example")
    async with Town(tmp_path, zone(other.tlsa()), certificate) as town:  # a zone that is not signed
        channel = await town.call("good.example")
        assert isinstance(channel, Channel)
        assert channel.route.demand is None
        assert town.results("good.example") == {"no-policy-found": ["success"]}
        channel.close()


@pytest.mark.directive("use-dane")
async def test_a_signed_zone_without_records_is_as_any_other(authority: Authority, tmp_path: Path) -> None:
    certificate = authority.issue("mx.good.example")
    async with Town(tmp_path, zone(), certificate, signed=SIGNED) as town:
        channel = await town.call("good.example")
        assert isinstance(channel, Channel)
        assert channel.route.demand is None
        channel.close()


@pytest.mark.directive("use-dane")
async def test_forged_records_keep_the_mail_here(authority: Authority, tmp_path: Path) -> None:
    certificate = authority.issue("mx.good.example")
    forged = ("_25._tcp.mx.good.example",)
    async with Town(tmp_path, zone(certificate.tlsa()), certificate, signed=SIGNED, forged=forged) as town:
        plan = await town.call("good.example")
        assert isinstance(plan, Plan)
        assert (plan.routes, plan.status, plan.permanent) == ((), "4.7.5", False)
        assert "mx.good.example" in plan.error
        assert town.results("good.example") == {"tlsa": ["dnssec-invalid"]}
        assert not town.sink.connections


@pytest.mark.directive("use-dane")
async def test_expired_signatures_keep_the_mail_here(authority: Authority, tmp_path: Path) -> None:
    certificate = authority.issue("mx.good.example")
    async with Town(tmp_path, zone(certificate.tlsa()), certificate, signed=SIGNED, expired=SIGNED) as town:
        assert (await town.resolver.mx("good.example")).status is MxStatus.TEMPORARY
        plan = await town.call("good.example")
        assert isinstance(plan, Plan)
        assert (plan.routes, plan.permanent) == ((), False)
        assert town.results("good.example") == {"tlsa": ["dnssec-invalid"]}
        assert not town.sink.connections


@pytest.mark.directive("use-dane")
async def test_off_nothing_is_asked(authority: Authority, tmp_path: Path) -> None:
    certificate = authority.issue("mx.good.example")
    other = Authority(tmp_path, "other").issue("mx.good.example")
    async with Town(tmp_path, zone(other.tlsa()), certificate, signed=SIGNED) as town:
        channel = await town.call("good.example", use_dane=False, use_mta_sts=False)
        assert isinstance(channel, Channel)
        assert not [query for query in town.names.queries if query[1] in ("TLSA", "TXT")]
        channel.close()


@pytest.mark.directive("reuse-ssl-session", "use-dane")
async def test_a_session_is_taken_up_under_the_same_records_only(authority: Authority, tmp_path: Path) -> None:
    certificate = authority.issue("mx.good.example")

    def reused(channel: object) -> bool:
        assert isinstance(channel, Channel)
        assert channel.transport is not None
        found = channel.transport.get_extra_info("ssl_object").session_reused
        channel.close()
        return bool(found)

    async with Town(tmp_path, zone(certificate.tlsa()), certificate, signed=SIGNED) as town:
        assert [reused(await town.call("good.example")) for _ in range(2)] == [False, False]  # the default: each in full
        assert [reused(await town.call("good.example", reuse_ssl_session=True)) for _ in range(2)] == [False, True]
        # without DANE it is another kind of session, and that of before proves nothing
        assert not reused(await town.call("good.example", reuse_ssl_session=True, use_dane=False))
        assert town.results("good.example")["tlsa"] == ["success"] * 4
