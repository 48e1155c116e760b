"""Domains looked up before they are wanted, in simulated time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from postwright.engine.precache import keep, read_domains
from postwright.policy.service_settings import DnsSettings
from postwright.testing.fake_clock import FakeClock, settle
from postwright.testing.fake_resolver import FakeResolver

ZONE = {
    "a.example": {"MX": ["10 mx.a.example."]},
    "mx.a.example": {"A": ["192.0.2.1"]},
    "xn--bcher-kva.example": {"MX": ["10 mx.a.example."]},
}


@asynccontextmanager
async def running(resolver: FakeResolver, dns: DnsSettings, clock: FakeClock) -> AsyncIterator[None]:
    task = asyncio.ensure_future(keep(lambda: (resolver, dns), clock, structlog.get_logger()))
    await settle()
    yield
    task.cancel()
    await settle()


@pytest.mark.directive("precached-domains-file", "precached-refresh-interval")
async def test_nobody_waits_for_what_is_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "domains"
    file.write_text("# ours\nA.Example.   # the first\n\nbücher.example\nnot a domain..\n", encoding="utf-8")
    clock = FakeClock()
    resolver = FakeResolver(ZONE, clock=clock, ttl=400.0)
    async with running(resolver, DnsSettings(str(file), 300.0), clock):
        asked = list(resolver.source.asked)
        assert ("a.example", "MX") in asked
        assert ("xn--bcher-kva.example", "MX") in asked
        assert ("mx.a.example", "AAAA") in asked
        await resolver.fill(await resolver.mx("a.example"))
        assert resolver.source.asked == asked, "all was known"
        # The answers would end within the round after the next: so they are asked for anew, before anybody has to wait.
        for _ in range(12):
            await clock.advance(300)
            await resolver.fill(await resolver.mx("a.example"))
        assert resolver.counts().pending == 0
        by_mail = len(resolver.source.asked)
        await resolver.fill(await resolver.mx("xn--bcher-kva.example"))
        assert len(resolver.source.asked) == by_mail


@pytest.mark.directive("precached-refresh-interval", "precached-domains-file")
async def test_the_file_is_read_anew_and_a_missing_one_is_told_once(tmp_path: Path) -> None:
    file = tmp_path / "domains"
    clock = FakeClock()
    resolver = FakeResolver(ZONE, clock=clock)
    with capture_logs() as logs:
        async with running(resolver, DnsSettings(str(file), 60.0), clock):
            await clock.advance(130)
            assert [entry["event"] for entry in logs] == ["precached-domains-file cannot be read"]
            assert resolver.source.asked == []
            file.write_text("a.example\n")
            await clock.advance(60)
            assert ("a.example", "MX") in resolver.source.asked


async def test_a_failure_takes_nothing_away(tmp_path: Path) -> None:
    """What is still good stays good when it is asked for too early and nobody answers."""
    file = tmp_path / "domains"
    file.write_text("a.example\n")
    clock = FakeClock()
    resolver = FakeResolver(ZONE, clock=clock, ttl=400.0)
    async with running(resolver, DnsSettings(str(file), 300.0), clock):
        before = await resolver.mx("a.example")
        resolver.source.failing.add("a.example")
        await clock.advance(301)
        after = await resolver.mx("a.example")
        assert (after, resolver.counts().stale) == (before, 0)


@pytest.mark.directive("precached-max-domains")
def test_a_bound(tmp_path: Path) -> None:
    file = tmp_path / "domains"
    file.write_text("".join(f"d{at}.example\n" for at in range(1000)))
    assert len(read_domains(file, 500)) == 500
    assert read_domains(file, 2) == ["d0.example", "d1.example"]
    file.write_text("a.example\n" * 1000)
    assert read_domains(file, 500) == ["a.example"]
