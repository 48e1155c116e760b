"""Sessions through proxies: real sockets on loopback, and what fails is told apart: the proxy, or the host behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.net.test_dialer import Certificates, certificates, deliver, opened, receiver

from postwright.model.outcome import Failure, Fault, Stage
from postwright.model.route import Proxy, Route, SessionOptions, SourceHost, Timeouts, TlsLevel
from postwright.net.dialer import Dialer
from postwright.testing.forward_proxy import Asked, ForwardProxy
from postwright.testing.sockets import free_port

PLAIN = SessionOptions(tls=TlsLevel.NONE)
__all__ = ["certificates"]


def by(proxy: Proxy, port: int, *, client: str = "127.0.0.7", host: str = "mx.example") -> Route:
    return Route(host, "127.0.0.1", port, SourceHost(client, "client.example", proxy))


@pytest.mark.directive("use-proxy", "protocol-version", "proxy-protocol")
@pytest.mark.parametrize("kind", [1, 2])
async def test_a_header_and_then_the_host(kind: int) -> None:
    async with receiver() as there, ForwardProxy() as proxy:
        channel = await opened(Dialer(), by(Proxy("p", kind, "127.0.0.1", proxy.port), there.port), PLAIN)
        await deliver(channel)
        assert proxy.asked == [Asked(f"proxy{kind}", "127.0.0.7", "127.0.0.1", there.port)]
        assert channel.local_address == "127.0.0.7", "records name the address that the receiver sees"
        [peer] = there.peers
        assert peer.transport.get_extra_info("peername")[0] == "127.0.0.7"
        channel.abort()


async def test_tls_is_with_the_host(certificates: Certificates) -> None:
    async with receiver(offers=("STARTTLS",), tls=certificates.server) as there, ForwardProxy() as proxy:
        dialer = Dialer(tls=certificates.client)
        channel = await opened(dialer, by(Proxy("p", 2, "127.0.0.1", proxy.port), there.port), SessionOptions(tls=TlsLevel.VERIFIED))
        assert channel.tls
        await deliver(channel)
        channel.abort()


@pytest.mark.parametrize(("user", "password"), [("", ""), ("joe", "secret")])
async def test_socks5(user: str, password: str) -> None:
    async with receiver() as there, ForwardProxy(user=user, password=password) as proxy:
        entry = Proxy("p", 5, "localhost", proxy.port, user=user, password=password)
        channel = await opened(Dialer(), by(entry, there.port), PLAIN)
        await deliver(channel)
        assert proxy.asked == [Asked("socks5", "", "127.0.0.1", there.port, f"{user}:{password}" if user else "")]
        channel.abort()


@pytest.mark.parametrize(("code", "fault"), [(1, Fault.PROXY), (2, Fault.PROXY), (4, Fault.UNREACHABLE), (5, Fault.REFUSED)])
async def test_what_socks5_says_of_the_host_is_the_hosts(code: int, fault: Fault) -> None:
    async with ForwardProxy(answer=code) as proxy:
        failure = await Dialer().open(by(Proxy("p", 5, "127.0.0.1", proxy.port), 25), PLAIN)
        assert isinstance(failure, Failure)
        assert (failure.stage, failure.fault) == (Stage.CONNECT, fault)


async def test_a_login_that_the_proxy_refuses_does_not_show_the_password() -> None:
    async with ForwardProxy(user="joe", password="other") as proxy:
        entry = Proxy("p", 5, "127.0.0.1", proxy.port, user="joe", password="secret")
        failure = await Dialer().open(by(entry, 25), PLAIN)
        assert isinstance(failure, Failure)
        assert failure.fault is Fault.PROXY
        assert failure.detail == "p: the proxy refused the login"
        assert "secret" not in repr(entry) + repr(by(entry, 25))


@asynccontextmanager
async def silent() -> AsyncIterator[int]:
    """Takes connections and says nothing."""
    ended = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        ended.set()
        server.close()


async def test_proxies_that_are_not_there_or_do_not_answer() -> None:
    impatient = SessionOptions(tls=TlsLevel.NONE, timeouts=Timeouts(connect=0.2, greeting=5.0))
    async with silent() as port:
        for entry, detail in (
            (Proxy("p", 2, "127.0.0.1", free_port()), "p: connection refused"),
            (Proxy("p", 2, "no-such-host.invalid", 5000), "p: a local error: no-such-host.invalid cannot be looked up"),
            (Proxy("p", 2, "127.0.0.1", port, local="203.0.113.1"), "p: the local source address cannot be used"),
        ):
            failure = await Dialer().open(by(entry, 25), impatient)
            assert isinstance(failure, Failure)
            assert failure.fault is Fault.PROXY
            assert failure.detail.startswith(detail), failure.detail
        failure = await Dialer().open(by(Proxy("p", 5, "127.0.0.1", port), 25), impatient)
        assert failure == Failure(Stage.CONNECT, None, Fault.PROXY, "p: no connection within 0.2 s")


async def test_a_host_that_does_not_answer_behind_a_proxy_that_does() -> None:
    impatient = SessionOptions(tls=TlsLevel.NONE, timeouts=Timeouts(connect=0.2))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(3)
        writer.write(b"\5\0")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    failure = await Dialer().open(by(Proxy("p", 5, "127.0.0.1", server.sockets[0].getsockname()[1]), 25), impatient)
    server.close()
    assert failure == Failure(Stage.CONNECT, None, Fault.TIMEOUT, "no connection within 0.2 s")


async def test_a_proxy_that_only_ever_closes() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    failure = await Dialer().open(by(Proxy("p", 5, "127.0.0.1", port), 25), PLAIN)
    server.close()
    assert isinstance(failure, Failure)
    assert failure.fault is Fault.PROXY


async def test_a_dial_that_is_given_up_leaves_no_socket() -> None:
    called, ended = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(3)
        called.set()
        assert await reader.read() == b""
        ended.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    dial = asyncio.create_task(Dialer().open(by(Proxy("p", 5, "127.0.0.1", server.sockets[0].getsockname()[1]), 25), PLAIN))
    async with asyncio.timeout(10):
        await called.wait()
        dial.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dial
        await ended.wait()
    server.close()
