"""MTA-STS before a real policy host and a real receiver on loopback (RFC 8461): each outcome in the session, and as RFC 8460 reports it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.engine.transport_town import Authority, Certificate, PolicyHost, Town, policy

from postwright.model.outcome import Failure, Fault, TlsTrouble
from postwright.model.route import Plan, TlsRule
from postwright.net.channel import Channel
from postwright.testing.fake_resolver import Zone

DOMAIN = "sts.example"


def zone(record: str = "v=STSv1; id=1;", mx: str = "mx.sts.example", **more: Any) -> dict[str, Any]:
    return {
        DOMAIN: {"MX": [f"10 {mx}."]},
        mx: {"A": ["127.0.0.1"]},
        f"_mta-sts.{DOMAIN}": {"TXT": [f'"{record}"']},
        f"mta-sts.{DOMAIN}": {"A": ["127.0.0.1"]},
        **more,
    }


@pytest.fixture
def authority(tmp_path: Path, libunbound: str) -> Authority:
    return Authority(tmp_path)


def web(authority: Authority, body: str, certificate: Certificate | None = None) -> PolicyHost:
    return PolicyHost((certificate or authority.issue(f"mta-sts.{DOMAIN}")).context, body)


def town(folder: Path, authority: Authority, host: PolicyHost, certificate: Certificate | None, names: Zone | None = None) -> Town:
    return Town(folder, names or zone(), certificate, trusted=authority.file, web=host)


@pytest.mark.directive("use-mta-sts")
@pytest.mark.parametrize("patterns", [("mx.sts.example",), ("other.example", "*.sts.example")])
async def test_a_good_host(patterns: tuple[str, ...], authority: Authority, tmp_path: Path) -> None:
    async with web(authority, policy(mx=patterns)) as host, town(tmp_path, authority, host, authority.issue("mx.sts.example")) as here:
        channel = await here.call(DOMAIN)
        assert isinstance(channel, Channel), channel
        assert channel.route.demand is not None
        assert channel.route.demand.rule is TlsRule.STS
        assert here.results(DOMAIN) == {"sts": ["success"]}
        assert here.counted(DOMAIN)["sts"].hosts == patterns
        assert "mode: enforce" in here.counted(DOMAIN)["sts"].strings
        channel.close()
        again = await here.call(DOMAIN)
        assert isinstance(again, Channel)
        again.close()
        assert len(host.asked) == 1  # kept
        assert host.asked[0].startswith("GET /.well-known/mta-sts.txt HTTP/1.1\r\n")


MISSES = [
    ("another name", ("elsewhere.example",), False, False, TlsTrouble.NAME, "certificate-host-mismatch"),
    ("expired", ("mx.sts.example",), True, False, TlsTrouble.EXPIRED, "certificate-expired"),
    ("nobody's", ("mx.sts.example",), False, True, TlsTrouble.UNTRUSTED, "certificate-not-trusted"),
]


@pytest.mark.directive("use-mta-sts")
@pytest.mark.parametrize("mode", ["enforce", "testing", "none"])
@pytest.mark.parametrize(("names", "expired", "strange", "trouble", "result"), [row[1:] for row in MISSES], ids=[row[0] for row in MISSES])
async def test_bad_certificates(
    names: tuple[str, ...],
    expired: bool,
    strange: bool,
    trouble: TlsTrouble,
    result: str,
    mode: str,
    authority: Authority,
    tmp_path: Path,
) -> None:
    certificate = (Authority(tmp_path, "strange") if strange else authority).issue(*names, expired=expired)
    async with web(authority, policy(mode)) as host, town(tmp_path, authority, host, certificate) as here:
        outcome = await here.call(DOMAIN)
        if mode == "enforce":
            assert isinstance(outcome, Failure)
            assert (outcome.fault, outcome.trouble) == (Fault.TLS, trouble)
            assert len(here.sink.connections) == 1
            assert here.results(DOMAIN) == {"sts": [result]}
            return
        assert isinstance(outcome, Channel)  # the mail goes all the same, and encrypted
        assert outcome.tls
        assert here.results(DOMAIN) == ({"sts": [result]} if mode == "testing" else {"no-policy-found": ["success"]})
        outcome.close()


@pytest.mark.directive("use-mta-sts")
async def test_a_host_that_the_policy_does_not_name(authority: Authority, tmp_path: Path) -> None:
    certificate = authority.issue("mx.sts.example")
    async with web(authority, policy(mx=["mx.elsewhere.example"])) as host, town(tmp_path, authority, host, certificate) as here:
        plan = await here.call(DOMAIN)
        assert isinstance(plan, Plan)
        assert (plan.routes, plan.status, plan.permanent) == ((), "4.7.5", False)
        assert plan.error == "the MTA-STS policy does not name mx.sts.example"
        assert here.results(DOMAIN) == {"sts": ["validation-failure"]}
        assert not here.sink.connections


@pytest.mark.directive("use-mta-sts")
async def test_a_host_without_starttls_gets_nothing(authority: Authority, tmp_path: Path) -> None:
    async with web(authority, policy()) as host, town(tmp_path, authority, host, None) as here:
        failure = await here.call(DOMAIN)
        assert isinstance(failure, Failure)
        assert failure.fault is Fault.NOT_OFFERED
        assert here.results(DOMAIN) == {"sts": ["starttls-not-supported"]}


FETCHES = [
    ("not there", "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\n", policy(), "sts-policy-fetch-error"),
    ("elsewhere", "HTTP/1.1 301 Moved\r\nLocation: https://mta-sts.sts.example/x\r\n", policy(), "sts-policy-fetch-error"),
    ("a page", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n", policy(), "sts-policy-fetch-error"),
    ("no policy", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n", "version: STSv2\r\n", "sts-policy-invalid"),
]


@pytest.mark.directive("use-mta-sts")
@pytest.mark.parametrize(("head", "body", "result"), [row[1:] for row in FETCHES], ids=[row[0] for row in FETCHES])
async def test_a_policy_that_cannot_be_had_holds_nobody_up(head: str, body: str, result: str, authority: Authority, tmp_path: Path) -> None:
    async with web(authority, body) as host, town(tmp_path, authority, host, authority.issue("elsewhere.example")) as here:
        host.head = head
        for _ in range(2):
            channel = await here.call(DOMAIN)
            assert isinstance(channel, Channel)
            channel.close()
        assert len(host.asked) == 1  # the next try is in five minutes
        assert here.results(DOMAIN) == {"sts": [result, result], "no-policy-found": ["success", "success"]}


@pytest.mark.directive("use-mta-sts")
@pytest.mark.parametrize("expired", [False, True])
async def test_a_policy_host_whose_certificate_is_bad(expired: bool, authority: Authority, tmp_path: Path) -> None:
    names = f"mta-sts.{DOMAIN}" if expired else "elsewhere.example"
    shown = authority.issue(names, expired=expired)
    async with web(authority, policy(), shown) as host, town(tmp_path, authority, host, authority.issue("mx.sts.example")) as here:
        channel = await here.call(DOMAIN)
        assert isinstance(channel, Channel)
        channel.close()
        assert here.results(DOMAIN) == {"sts": ["sts-webpki-invalid"], "no-policy-found": ["success"]}
        assert not host.asked


@pytest.mark.directive("use-mta-sts")
async def test_a_kept_policy_outlives_restart_record_and_web_host(authority: Authority, tmp_path: Path) -> None:
    certificate = authority.issue("elsewhere.example")
    async with web(authority, policy()) as host, town(tmp_path, authority, host, certificate) as here:
        assert isinstance(await here.call(DOMAIN), Failure)
        await here.policy.close()
        here.names.zone.pop(f"_mta-sts.{DOMAIN}")  # whoever forges the DNS takes the record away
        here.resolver.clear()
        here.policy = here.make_policy()
        assert isinstance(await here.call(DOMAIN), Failure)
        assert len(host.asked) == 1


@pytest.mark.directive("use-mta-sts", "use-dane")
async def test_dane_goes_first(authority: Authority, tmp_path: Path) -> None:
    certificate = Authority(tmp_path, "strange").issue("mx.sts.example")
    names = zone(**{f"_25._tcp.mx.{DOMAIN}": {"TLSA": [certificate.tlsa()]}})
    async with web(authority, policy(mx=["mx.elsewhere.example"])) as host:
        async with Town(tmp_path, names, certificate, trusted=authority.file, web=host, signed=[DOMAIN]) as here:
            channel = await here.call(DOMAIN)
            assert isinstance(channel, Channel)
            assert channel.route.demand is not None
            assert channel.route.demand.rule is TlsRule.DANE
            channel.close()


@pytest.mark.directive("use-mta-sts")
async def test_off_nothing_is_fetched(authority: Authority, tmp_path: Path) -> None:
    async with web(authority, policy()) as host, town(tmp_path, authority, host, authority.issue("elsewhere.example")) as here:
        channel = await here.call(DOMAIN, use_mta_sts=False)
        assert isinstance(channel, Channel)
        channel.close()
        assert not host.asked
