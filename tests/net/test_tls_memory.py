"""What a dialer remembers: hosts whose TLS is broken, for an hour and never where TLS is a must; sessions, in bounds."""

from __future__ import annotations

import ssl

import pytest
import trustme

from postwright.model.outcome import Failure
from postwright.model.route import Route, SessionOptions, SourceHost, TlsDemand, TlsLevel, TlsRule
from postwright.net.channel import Channel
from postwright.net.clock import Sweep
from postwright.net.dialer import Dialer
from postwright.net.dialer_tls import TlsContexts
from postwright.net.tls_memory import BROKEN_FOR, MOST, Memory
from postwright.testing.certificate import self_signed
from postwright.testing.fake_clock import FakeClock
from postwright.testing.sink import SinkServer

EVENT_LOOPS = ("asyncio", "uvloop")  # they hand on a server's name each in its own way

ANYHOW, MUST = SessionOptions(), SessionOptions(tls=TlsLevel.REQUIRED)


def broken() -> SinkServer:
    """A host that offers STARTTLS and cannot shake hands."""
    context = self_signed()
    context.set_ciphers("ECDHE-RSA-AES128-SHA")  # its key is no RSA key
    context.maximum_version = context.maximum_version.TLSv1_2
    return SinkServer(tls=context)


def route(sink: SinkServer, demand: TlsDemand | None = None) -> Route:
    return Route("localhost", "127.0.0.1", sink.port, SourceHost("", "client.example"), demand=demand)


async def test_broken_tls_is_tried_once_an_hour() -> None:
    clock = FakeClock()
    dialer = Dialer(clock, sweep=Sweep(clock))
    async with broken() as sink:

        async def connections() -> int:
            before = len(sink.connections)
            channel = await dialer.open(route(sink), ANYHOW)
            assert isinstance(channel, Channel)
            assert channel.tls == ""
            assert channel.tls_failure is not None  # the report counts it, though nobody tried
            channel.close()
            return len(sink.connections) - before

        assert [await connections() for _ in range(3)] == [2, 1, 1]
        await clock.advance(BROKEN_FOR)
        assert await connections() == 2


async def test_where_tls_is_a_must_nothing_is_remembered_and_nothing_goes_in_the_clear() -> None:
    clock = FakeClock()
    dialer = Dialer(clock, sweep=Sweep(clock))
    demand = TlsDemand(TlsRule.DANE_UNUSABLE, ("localhost",))
    async with broken() as sink:
        first = await dialer.open(route(sink), ANYHOW)
        assert isinstance(first, Channel)
        first.close()
        for options, wanted in ((MUST, None), (ANYHOW, demand)):
            before = len(sink.connections)
            outcome = await dialer.open(route(sink, wanted), options)
            assert isinstance(outcome, Failure)
            assert len(sink.connections) - before == 1
        assert not sink.messages


async def test_a_host_that_is_mended_is_trusted_with_tls_at_once_where_it_is_a_must() -> None:
    authority = trustme.CA()
    context = self_signed()
    authority.issue_cert("localhost").configure_cert(context)
    async with SinkServer(tls=context) as sink:
        with authority.cert_pem.tempfile() as file:
            channel = await Dialer(tls=TlsContexts(file)).open(route(sink, TlsDemand(TlsRule.STS, ("localhost",))), ANYHOW)
        assert isinstance(channel, Channel)
        assert channel.tls
        assert channel.tls_failure is None
        channel.close()


@pytest.mark.directive("reuse-ssl-session")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_sessions_are_taken_up_where_that_is_wanted(version: ssl.TLSVersion) -> None:
    context = self_signed()
    context.maximum_version = version
    dialer = Dialer()

    async def reused(options: SessionOptions) -> bool:
        channel = await dialer.open(route(sink), options)
        assert isinstance(channel, Channel)
        assert channel.transport is not None
        found = channel.transport.get_extra_info("ssl_object").session_reused
        channel.close()
        return bool(found)

    async with SinkServer(tls=context) as sink:
        wanted = SessionOptions(resume=True)
        assert [await reused(options) for options in (ANYHOW, wanted, wanted, ANYHOW)] == [False, False, True, False]


def test_bounds() -> None:
    memory: Memory[int] = Memory(FakeClock(), 10.0)
    for number in range(MOST + 10):
        memory.keep(number, number)
    assert len(memory) == MOST
    assert memory.find(0) is None
    assert memory.find(MOST) == MOST
    memory.drop(MOST)
    assert memory.find(MOST) is None
