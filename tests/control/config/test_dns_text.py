"""`<dns>` and what stands around it, as written: values, defaults, and DANE that nobody could validate."""

from __future__ import annotations

import pytest

from postwright.control.config.loader import loads
from postwright.engine.outside import make_resolver
from postwright.engine.resolving import cache_limits, dns_source, edns_length
from postwright.net.dns_client import DnsClient
from postwright.net.unbound import UnboundSource
from postwright.policy.settings import Settings

HEAD = "host-name a.example\npostmaster p@a.example\nsmtp-listener 127.0.0.1:2626\n"
FAR, NEAR = "name-server 192.0.2.53\n", "name-server 127.0.0.1:5353\n"
DANE = "<domain safe.example>\n use-dane yes\n</domain>\n"


def read(text: str) -> Settings:
    loaded = loads(HEAD + text)
    assert loaded.settings is not None, [problem.message for problem in loaded.problems]
    return loaded.settings


@pytest.mark.directive(
    "precached-domains-file", "precached-refresh-interval", "precached-max-domains", "stale-answers", "max-cached-names", "edns-udp-length"
)
def test_defaults() -> None:
    settings = read("")
    dns = settings.dns
    assert (dns.precached_domains_file, dns.precached_refresh_interval, dns.precached_max_domains) == ("", 300.0, 500)
    assert (cache_limits(settings).stale, cache_limits(settings).entries) == (86400.0, 200_000)
    assert (settings.general.edns_udp_length, dns.validator) == (0, "")


@pytest.mark.directive("stale-answers", "max-cached-names")
def test_bounds_of_the_cache() -> None:
    limits = cache_limits(read("<dns>\n stale-answers 2h\n max-cached-names 1000\n</dns>\n"))
    assert (limits.stale, limits.entries) == (7200.0, 1000)


@pytest.mark.directive("edns-udp-length")
@pytest.mark.parametrize(("written", "asked"), [(0, 0), (1, 512), (512, 512), (1232, 1232), (2048, 2048), (9000, 2048)])
def test_edns_is_clamped(written: int, asked: int) -> None:
    settings = read(f"edns-udp-length {written}\n")
    assert edns_length(settings.general.edns_udp_length) == asked
    source = dns_source(settings)
    assert isinstance(source, DnsClient)
    assert source._options.edns == asked


@pytest.mark.directive("dnssec-validator", "use-dane", "name-server")
@pytest.mark.parametrize(
    ("text", "validator", "source"),
    [
        (NEAR, "", DnsClient),
        (FAR, "", DnsClient),
        (NEAR + DANE, "name-server", DnsClient),
        (FAR + DANE, "libunbound", UnboundSource),
        (FAR + NEAR + DANE, "libunbound", UnboundSource),
        (NEAR + DANE + "<dns>\n dnssec-validator libunbound\n</dns>\n", "libunbound", UnboundSource),
        (FAR + "<dns>\n dnssec-validator libunbound\n</dns>\n", "libunbound", UnboundSource),
        (NEAR + "<dns>\n dnssec-validator name-server\n</dns>\n", "name-server", DnsClient),
        (NEAR + "<dns>\n dnssec-validator no\n</dns>\n", "", DnsClient),
    ],
)
async def test_who_validates(libunbound: str, text: str, validator: str, source: type) -> None:
    settings = read(text)
    assert settings.dns.validator == validator
    made = dns_source(settings)
    assert isinstance(made, source)
    assert made.validates is bool(validator)  # type: ignore[attr-defined]
    resolver = make_resolver(settings)
    await resolver.close()


@pytest.mark.directive("dnssec-validator", "use-dane", "trust-anchor-file")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FAR + "<dns>\n dnssec-validator name-server\n</dns>\n", "could be forged on the way"),
        (DANE + "<dns>\n dnssec-validator no\n</dns>\n", "use-dane needs DNSSEC"),
        (FAR + DANE + "<dns>\n trust-anchor-file {folder}/bad\n</dns>\n", "DS or DNSKEY record"),
    ],
)
def test_what_nobody_could_validate(libunbound: str, tmp_path: object, text: str, message: str) -> None:
    with open(f"{tmp_path}/bad", "w") as file:
        file.write("nonsense\n")
    loaded = loads(HEAD + text.replace("{folder}", str(tmp_path)))
    assert loaded.settings is None
    assert [message in problem.message for problem in loaded.problems if problem.level == "error"] == [True]


@pytest.mark.directive("use-dane")
def test_without_libunbound(monkeypatch: pytest.MonkeyPatch) -> None:
    from postwright.net import unbound

    def missing(path: str = "") -> None:
        raise unbound.Unavailable("libunbound is not on this machine")

    monkeypatch.setattr(unbound, "library", missing)
    loaded = loads(HEAD + FAR + DANE)
    [error] = [problem for problem in loaded.problems if problem.level == "error"]
    assert (error.line, "libunbound is not on this machine" in error.message) == (6, True)
    assert "127.0.0.1" in error.hint
    assert loads(HEAD + NEAR + DANE).settings is not None
