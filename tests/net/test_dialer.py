"""Opening sessions over real sockets on loopback: addresses, refusals, patience, TLS of every level and in every broken way, loops."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from postwright.model.address import parse_mailbox
from postwright.model.envelope import Recipient
from postwright.model.message import ContentFacts
from postwright.model.outcome import Failure, Fault, Stage
from postwright.model.route import ClientTls, Login, Route, SessionOptions, SourceHost, Timeouts, TlsLevel
from postwright.net import reach as reach_module
from postwright.net.channel import Channel
from postwright.net.clock import Sweep
from postwright.net.dialer import LOOP_TO_SELF, Dialer
from postwright.net.dialer_tls import TlsContexts, describe, server_name
from postwright.testing.fake_clock import FakeClock, settle
from postwright.testing.scripted_peer import CLOSE, SILENT, ScriptedPeer
from postwright.wire.client_states import Transaction

EVENT_LOOPS = ("asyncio", "uvloop")  # TLS differs between them

PLAIN = SessionOptions(tls=TlsLevel.NONE)
TEXT = b"Subject: x\r\n\r\nhello\r\n"


def order() -> Transaction:
    people = [Recipient(parse_mailbox("b@example.net"))]
    return Transaction(parse_mailbox("a@example.com"), people, (TEXT,), ContentFacts(len(TEXT), 14))


class Certificates:
    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.file = str(folder / "ca.pem")
        authority.cert_pem.write_to_path(self.file)
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("mx.example").configure_cert(self.server)
        self.client = TlsContexts(self.file)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls"))


class Receiver:
    """A listening scripted peer for each connection; TLS by `context`."""

    def __init__(self, make: Callable[[], ScriptedPeer], port: int) -> None:
        self.make = make
        self.port = port
        self.peers: list[ScriptedPeer] = []

    def route(self, *, host: str = "mx.example", source: str = "", address: str = "127.0.0.1", implicit: bool = False) -> Route:
        return Route(host, address, self.port, SourceHost(source, "client.example"), implicit)


@asynccontextmanager
async def receiver(
    answers: Any = None,
    *,
    offers: tuple[str, ...] = (),
    tls: ssl.SSLContext | None = None,
    implicit: bool = False,
    address: str = "127.0.0.1",
) -> AsyncIterator[Receiver]:
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    async def shake_hands(peer: ScriptedPeer) -> None:
        if tls is None:
            return
        try:
            transport = await loop.start_tls(peer.transport, peer, tls, server_side=True)
        except (OSError, ssl.SSLError):
            return
        if transport is not None:
            peer.tls_started(transport)

    def start(peer: ScriptedPeer) -> None:
        task = loop.create_task(shake_hands(peer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def make() -> ScriptedPeer:
        peer = ScriptedPeer(answers, offers=offers, on_starttls=start)
        found.peers.append(peer)
        return peer

    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = await loop.create_server(make, address, 0, family=family, ssl=tls if implicit else None)
    found = Receiver(make, server.sockets[0].getsockname()[1])
    try:
        yield found
    finally:
        server.close()
        for peer in found.peers:
            if peer.transport is not None:
                peer.transport.abort()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
        await settle()


async def opened(dialer: Dialer, route: Route, options: SessionOptions) -> Channel:
    channel = await dialer.open(route, options)
    assert isinstance(channel, Channel), channel
    return channel


async def deliver(channel: Channel) -> None:
    result = await channel.run(order())
    assert result.final is not None, result
    assert result.final.code == 250


async def gone(channel: Channel) -> None:
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    channel.on_close = lambda _: done.set_result(None)
    channel.close()
    await done


# connecting ----------------------------------------------------------------------------------------------------------


async def test_plain() -> None:
    async with receiver(offers=("PIPELINING",)) as there:
        channel = await opened(Dialer(), there.route(), PLAIN)
        assert (channel.tls, channel.cipher, channel.local_address) == ("", "", "127.0.0.1")
        await deliver(channel)
        await gone(channel)
        assert there.peers[0].lines[0] == "EHLO client.example"
        assert there.peers[0].contents == [TEXT]
        assert set(channel.profile()) <= set(Stage)


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.77"])
async def test_source_address(source: str) -> None:
    async with receiver() as there:
        channel = await opened(Dialer(), there.route(source=source), PLAIN)
        peer = there.peers[0].transport
        assert peer is not None
        assert (channel.local_address, peer.get_extra_info("peername")[0]) == (source, source)
        await gone(channel)


async def test_ipv6() -> None:
    async with receiver(address="::1") as there:
        for source in ("", "::1"):
            channel = await opened(Dialer(), there.route(source=source, address="::1"), PLAIN)
            assert channel.local_address == "::1"
            await deliver(channel)
            await gone(channel)


@pytest.mark.parametrize(
    ("source", "address"),
    [("192.0.2.1", "127.0.0.1"), ("127.0.0.1", "::1"), ("::1", "127.0.0.1")],
)
async def test_source_that_cannot_be_used(source: str, address: str) -> None:
    failure = await Dialer().open(Route("mx.example", address, 1, SourceHost(source, "c.example")), PLAIN)
    assert isinstance(failure, Failure)
    assert (failure.stage, failure.fault) == (Stage.CONNECT, Fault.SOURCE)
    assert source in failure.detail


async def test_refused() -> None:
    async with receiver() as there:
        route = there.route()
    failure = await Dialer().open(route, PLAIN)
    assert isinstance(failure, Failure)
    assert (failure.stage, failure.fault) == (Stage.CONNECT, Fault.REFUSED)


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        (errno.ENETUNREACH, Fault.UNREACHABLE),
        (errno.EHOSTUNREACH, Fault.UNREACHABLE),
        (errno.EACCES, Fault.UNREACHABLE),
        (errno.ETIMEDOUT, Fault.TIMEOUT),
        (errno.ECONNREFUSED, Fault.REFUSED),
        (errno.ECONNRESET, Fault.LOST),
        (errno.EADDRNOTAVAIL, Fault.SOURCE),
        (errno.EMFILE, Fault.LOCAL),
    ],
)
def test_connect_failures(number: int, fault: Fault) -> None:
    assert reach_module.connect_failure(OSError(number, "why")) == Failure(Stage.CONNECT, None, fault, "why")


async def test_out_of_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(reach_module.socket, "socket", none_left)
        failure = await Dialer().open(Route("mx.example", "127.0.0.1", 1, SourceHost("", "c.example")), PLAIN)
    assert isinstance(failure, Failure)
    assert failure.fault is Fault.LOCAL


@asynccontextmanager
async def full_backlog() -> AsyncIterator[int]:
    """A port on which connecting takes for ever: its queue is full and nobody accepts."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        try:
            yield listener.getsockname()[1]
        finally:
            for filler in fillers:
                filler.close()


@pytest.mark.directive("connect-timeout")
async def test_connect_timeout() -> None:
    clock = FakeClock()
    async with full_backlog() as port:
        options = SessionOptions(tls=TlsLevel.NONE, timeouts=Timeouts(connect=5))
        task = asyncio.ensure_future(Dialer(clock).open(Route("mx.example", "127.0.0.1", port, SourceHost("", "c.example")), options))
        await settle()
        assert not task.done()
        await clock.advance(6)
        failure = await task
        assert failure == Failure(Stage.CONNECT, None, Fault.TIMEOUT, "no connection within 5 s")


async def test_cancelled_while_connecting() -> None:
    clock = FakeClock()
    async with full_backlog() as port:
        task = asyncio.ensure_future(Dialer(clock).open(Route("mx.example", "127.0.0.1", port, SourceHost("", "c.example")), PLAIN))
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert clock.pending == 0


async def until(condition: Callable[[], object]) -> None:
    """Real sockets take a few turns of the loop."""
    while not condition():  # noqa: ASYNC110 - what happens is the kernel's doing, and it sets no event
        await asyncio.sleep(0.001)


async def test_cancelled_while_greeted() -> None:
    async with receiver({"BANNER": SILENT}) as there:
        task = asyncio.ensure_future(Dialer().open(there.route(), PLAIN))
        await until(lambda: there.peers)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: there.peers[0].closed)


async def test_cancelled_in_the_turn_in_which_it_opens() -> None:
    async with receiver({"EHLO": SILENT}) as there:
        task = asyncio.ensure_future(Dialer().open(there.route(), PLAIN))
        await until(lambda: "EHLO" in (there.peers[0].verbs if there.peers else ()))
        there.peers[0].speak(b"250 mx.example")
        # The reply is in the kernel before the loop looks: it is read in the turn in which the task learns that it was cancelled.
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: there.peers[0].closed)


async def test_lost_before_the_transport_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loop:
        """The running loop, but for one method (uvloop's cannot be replaced)."""

        def __init__(self) -> None:
            self.real = asyncio.get_running_loop()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

        async def create_connection(self, *_: object, **__: object) -> None:
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    async with receiver() as there:
        loop = Loop()
        with monkeypatch.context() as patch:
            patch.setattr(reach_module.asyncio, "get_running_loop", lambda: loop)
            failure = await Dialer().open(there.route(), PLAIN)
        assert isinstance(failure, Failure)
        assert (failure.stage, failure.fault) == (Stage.CONNECT, Fault.LOST)


@pytest.mark.directive("smtp-greeting-timeout")
async def test_greeting_timeout() -> None:
    clock = FakeClock()
    async with receiver({"BANNER": SILENT}) as there:
        sweep = Sweep(clock)
        task = asyncio.ensure_future(Dialer(clock, sweep=sweep).open(there.route(), PLAIN))
        await until(lambda: len(sweep))
        await clock.advance(302)
        failure = await task
        assert isinstance(failure, Failure)
        assert (failure.stage, failure.fault) == (Stage.BANNER, Fault.TIMEOUT)
        await until(lambda: there.peers[0].closed)


@pytest.mark.parametrize(
    ("answers", "stage", "fault"),
    [
        ({"BANNER": b"554 no"}, Stage.BANNER, Fault.NONE),
        ({"BANNER": b"!421 busy"}, Stage.BANNER, Fault.NONE),
        ({"BANNER": CLOSE}, Stage.BANNER, Fault.LOST),
        ({"EHLO": CLOSE}, Stage.EHLO, Fault.LOST),
        ({"EHLO": b"\x00\xff"}, Stage.EHLO, Fault.PROTOCOL),
        ({"EHLO": b"502 what", "HELO": b"550 no"}, Stage.EHLO, Fault.NONE),
    ],
)
async def test_refused_session(answers: dict[str, Any], stage: Stage, fault: Fault) -> None:
    async with receiver(answers) as there:
        failure = await Dialer().open(there.route(), PLAIN)
        assert isinstance(failure, Failure)
        assert (failure.stage, failure.fault) == (stage, fault)
        await until(lambda: there.peers[0].closed)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"!250 mx.example", Fault.LOST),
        (b"!250 mx.example\r\n421 4.3.2 but not now", Fault.NONE),
        (b"250 mx.example\r\n250 and more", Fault.PROTOCOL),
    ],
)
async def test_closed_as_soon_as_it_opened(answer: bytes, fault: Fault) -> None:
    """A channel that is given away is one that still lives, or one that says so to its new owner."""
    async with receiver({"EHLO": answer}) as there:
        outcome = await Dialer().open(there.route(), PLAIN)
        if isinstance(outcome, Channel):
            assert not outcome.closed
            closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            outcome.on_close = lambda _: closed.set_result(None)
            await closed
            assert outcome.ending is not None
            assert outcome.ending.fault is fault
        else:
            assert outcome.fault is fault
        await until(lambda: there.peers[0].closed)


async def test_reset_by_peer() -> None:
    async with receiver({"MAIL": SILENT}) as there:
        channel = await opened(Dialer(), there.route(), PLAIN)
        future = channel.run(order())
        await until(lambda: "MAIL" in there.peers[0].verbs)
        transport = there.peers[0].transport
        assert transport is not None
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        result = await future
        assert result.failure is not None
        assert (result.failure.stage, result.failure.fault) == (Stage.MAIL, Fault.LOST)


# AUTH ----------------------------------------------------------------------------------------------------------------


async def test_auth() -> None:
    options = SessionOptions(tls=TlsLevel.NONE, login=Login("anna", "secret", unencrypted=True))
    async with receiver(offers=("AUTH PLAIN",)) as there:
        channel = await opened(Dialer(), there.route(), options)
        assert there.peers[0].lines[1] == "AUTH PLAIN AGFubmEAc2VjcmV0"
        await gone(channel)
    async with receiver({"AUTH": b"535 5.7.8 no"}, offers=("AUTH PLAIN",)) as there:
        failure = await Dialer().open(there.route(), options)
        assert isinstance(failure, Failure)
        assert failure.stage is Stage.AUTH


# TLS -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [TlsLevel.OPPORTUNISTIC, TlsLevel.REQUIRED, TlsLevel.VERIFIED])
async def test_starttls(level: TlsLevel, certificates: Certificates) -> None:
    async with receiver(offers=("STARTTLS", "PIPELINING", "SIZE 1000"), tls=certificates.server) as there:
        channel = await opened(Dialer(tls=certificates.client), there.route(), SessionOptions(tls=level))
        assert (channel.tls, bool(channel.cipher)) == ("TLSv1.3", True)
        for _ in range(3):
            await deliver(channel)
        assert there.peers[0].verbs[:4] == ["EHLO", "STARTTLS", "EHLO", "MAIL"]
        assert there.peers[0].contents == [TEXT] * 3
        assert channel.capabilities.size == 1000
        await gone(channel)


async def test_big_content_over_tls(certificates: Certificates) -> None:
    content = (b"x" * 78 + b"\r\n") * 30000
    async with receiver(offers=("STARTTLS", "PIPELINING"), tls=certificates.server) as there:
        channel = await opened(Dialer(tls=certificates.client), there.route(), SessionOptions(tls=TlsLevel.REQUIRED))
        big = order()
        big.content = (content,)
        for future in [channel.run(big), channel.run(order()), channel.run(big)]:
            result = await future
            assert result.final is not None, result
        assert there.peers[0].contents == [content, TEXT, content]
        await gone(channel)


async def test_lost_over_tls_with_commands_behind(certificates: Certificates) -> None:
    async with receiver({"END": CLOSE}, offers=("STARTTLS", "PIPELINING"), tls=certificates.server) as there:
        channel = await opened(Dialer(tls=certificates.client), there.route(), SessionOptions(tls=TlsLevel.REQUIRED))
        one, two = [await future for future in [channel.run(order()), channel.run(order())]]
        assert one.failure is not None
        assert (one.failure.stage, one.failure.fault, one.maybe_taken) == (Stage.END_OF_DATA, Fault.LOST, True)
        assert (two.untouched, two.maybe_taken) == (True, False)


async def test_peer_over_tls_that_does_not_read(certificates: Certificates) -> None:
    clock = FakeClock()
    content = (b"x" * 78 + b"\r\n") * 150_000
    async with receiver({"DATA": SILENT}, offers=("STARTTLS",), tls=certificates.server) as there:
        channel = await opened(Dialer(clock, tls=certificates.client), there.route(), SessionOptions(tls=TlsLevel.REQUIRED))
        big = order()
        big.content = (content,)
        future = channel.run(big)
        await until(lambda: "DATA" in there.peers[0].verbs)
        transport = there.peers[0].transport
        assert transport is not None
        transport.write(b"354 go\r\n")
        transport.pause_reading()
        await until(lambda: "body" in repr(channel))
        while not future.done():  # each octet that the kernels in between still take is progress
            await clock.advance(10)
            await asyncio.sleep(0.001)
        result = await future
        assert result.failure is not None
        assert (result.failure.stage, result.failure.fault, result.maybe_taken) == (Stage.BODY, Fault.TIMEOUT, False)
        transport.abort()


@pytest.mark.parametrize("level", [TlsLevel.NONE, TlsLevel.OPPORTUNISTIC])
async def test_in_the_clear(level: TlsLevel, certificates: Certificates) -> None:
    offers = ("STARTTLS",) if level is TlsLevel.NONE else ()
    async with receiver(offers=offers, tls=certificates.server) as there:
        channel = await opened(Dialer(tls=certificates.client), there.route(), SessionOptions(tls=level))
        assert channel.tls == ""
        await deliver(channel)
        await gone(channel)


@pytest.mark.parametrize("level", [TlsLevel.REQUIRED, TlsLevel.VERIFIED])
async def test_not_offered(level: TlsLevel) -> None:
    async with receiver() as there:
        failure = await Dialer().open(there.route(), SessionOptions(tls=level))
        assert isinstance(failure, Failure)
        assert (failure.stage, failure.fault) == (Stage.STARTTLS, Fault.NOT_OFFERED)


async def test_implicit(certificates: Certificates) -> None:
    async with receiver(tls=certificates.server, implicit=True) as there:
        channel = await opened(Dialer(tls=certificates.client), there.route(implicit=True), SessionOptions())
        assert channel.tls == "TLSv1.3"
        await deliver(channel)
        await gone(channel)


async def test_implicit_to_a_plain_receiver(certificates: Certificates) -> None:
    async with receiver() as there:
        failure = await Dialer(tls=certificates.client).open(there.route(implicit=True), SessionOptions())
        assert isinstance(failure, Failure)
        assert (failure.stage, failure.fault) == (Stage.STARTTLS, Fault.TLS)
        assert not any("EHLO" in line for line in there.peers[0].lines)


def stranger() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("mx.example").configure_cert(context)
    return context


@pytest.mark.parametrize(
    ("level", "works"),
    [(TlsLevel.OPPORTUNISTIC, True), (TlsLevel.REQUIRED, True), (TlsLevel.VERIFIED, False)],
)
async def test_unknown_authority(level: TlsLevel, works: bool, certificates: Certificates) -> None:
    async with receiver(offers=("STARTTLS",), tls=stranger()) as there:
        outcome = await Dialer(tls=certificates.client).open(there.route(), SessionOptions(tls=level))
        if works:
            assert isinstance(outcome, Channel)
            assert outcome.tls
            await gone(outcome)
        else:
            assert isinstance(outcome, Failure)
            assert (outcome.stage, outcome.fault) == (Stage.STARTTLS, Fault.TLS)
            assert outcome.detail.startswith("certificate not accepted")
            assert len(there.peers) == 1


async def test_wrong_name(certificates: Certificates) -> None:
    async with receiver(offers=("STARTTLS",), tls=certificates.server) as there:
        for host in ("other.example", "127.0.0.1", "[127.0.0.1]", ""):
            failure = await Dialer(tls=certificates.client).open(there.route(host=host), SessionOptions(tls=TlsLevel.VERIFIED))
            assert isinstance(failure, Failure)
            assert failure.fault is Fault.TLS
            channel = await opened(Dialer(tls=certificates.client), there.route(host=host), SessionOptions(tls=TlsLevel.REQUIRED))
            await gone(channel)


class Broken(ScriptedPeer):
    """Agrees to STARTTLS and then does something else than a handshake."""

    def __init__(self, after: bytes | None) -> None:
        super().__init__(offers=("STARTTLS",), on_starttls=lambda _: None)
        self._after = after
        self.hello = False

    def data_received(self, data: bytes) -> None:
        if self.verbs[-1:] == ["STARTTLS"] and self.transport is not None:
            self.hello = True
            if self._after is None:
                self.transport.abort()
            elif self._after:
                self.transport.write(self._after)
            return
        super().data_received(data)


@pytest.mark.parametrize("after", [None, b"220 still in the clear\r\n", b"\x15\x03\x01\x00\x02\x02\x28"])
@pytest.mark.parametrize(("level", "falls_back"), [(TlsLevel.OPPORTUNISTIC, True), (TlsLevel.REQUIRED, False)])
async def test_broken_handshake(after: bytes | None, level: TlsLevel, falls_back: bool) -> None:
    peers: list[Broken] = []

    def make() -> Broken:
        peers.append(Broken(after))
        return peers[-1]

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    route = Route("mx.example", "127.0.0.1", server.sockets[0].getsockname()[1], SourceHost("", "client.example"))
    outcome = await Dialer().open(route, SessionOptions(tls=level))
    if falls_back:
        assert isinstance(outcome, Channel)
        assert (outcome.tls, outcome.options.tls, len(peers)) == ("", level, 2)
        await deliver(outcome)
        assert "STARTTLS" not in peers[1].verbs
        await gone(outcome)
    else:
        assert isinstance(outcome, Failure)
        assert (outcome.stage, outcome.fault) == (Stage.STARTTLS, Fault.TLS)
        assert len(peers) == 1
    server.close()
    await until(lambda: all(peer.closed for peer in peers))


async def test_handshake_that_hangs() -> None:
    clock = FakeClock()
    peers: list[Broken] = []

    def make() -> Broken:
        peers.append(Broken(b""))
        return peers[-1]

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    route = Route("mx.example", "127.0.0.1", server.sockets[0].getsockname()[1], SourceHost("", "client.example"))
    task = asyncio.ensure_future(Dialer(clock).open(route, SessionOptions(tls=TlsLevel.REQUIRED)))
    await until(lambda: peers and peers[0].hello)
    await clock.advance(302)
    failure = await task
    assert isinstance(failure, Failure)
    assert (failure.stage, failure.fault) == (Stage.STARTTLS, Fault.TIMEOUT)
    server.close()
    await until(lambda: peers[0].closed)


@pytest.mark.parametrize("level", [TlsLevel.OPPORTUNISTIC, TlsLevel.REQUIRED])
async def test_response_injection(level: TlsLevel, certificates: Certificates) -> None:
    """What stands behind the 220 in the same segment was not said by who holds the key."""
    answers = {"STARTTLS": b"220 go\r\n250-mx.example\r\n250 AUTH PLAIN"}
    async with receiver(answers, offers=("STARTTLS",), tls=certificates.server) as there:
        failure = await Dialer(tls=certificates.client).open(there.route(), SessionOptions(tls=level))
        assert isinstance(failure, Failure)
        assert (failure.stage, failure.fault) == (Stage.STARTTLS, Fault.PROTOCOL)
        assert len(there.peers) == 1


def test_contexts_are_shared() -> None:
    contexts = TlsContexts()
    assert contexts.context() is contexts.context(ClientTls())
    verified = contexts.context(verify=True)
    assert verified is contexts.context(verify=True)
    assert (verified.verify_mode, verified.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert contexts.context().verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize(
    ("host", "name"),
    [("mx.example.", "mx.example"), ("", "192.0.2.1"), ("[192.0.2.9]", "192.0.2.9"), ("[IPv6:2001:db8::1]", "2001:db8::1")],
)
def test_server_name(host: str, name: str) -> None:
    assert server_name(Route(host, "192.0.2.1", 25, SourceHost("", "c"))) == name


def test_describe() -> None:
    assert describe(ConnectionResetError("gone")) == "gone"
    assert describe(ConnectionResetError()) == "ConnectionResetError"
    assert "odd" in describe(ssl.SSLError(1, "odd"))


# loops ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "endpoint", "loop"),
    [
        (["MX.example."], ("127.0.0.1", True), True),
        (["mx.example"], ("0.0.0.0", True), True),
        (["mx.example"], ("::", True), True),
        (["mx.example"], ("127.0.0.1", False), False),
        (["mx.example"], ("192.0.2.1", True), False),
        (["other.example"], ("127.0.0.1", True), False),
        ([], ("127.0.0.1", True), False),
    ],
)
async def test_loop_to_self(names: list[str], endpoint: tuple[str, bool], loop: bool) -> None:
    async with receiver() as there:
        port = there.port if endpoint[1] else there.port + 1
        dialer = Dialer(own_names=names, own_endpoints=[(endpoint[0], port)])
        outcome = await dialer.open(there.route(), PLAIN)
        if loop:
            assert outcome == Failure(Stage.EHLO, None, Fault.LOCAL, LOOP_TO_SELF)
            await until(lambda: there.peers[0].closed)
            assert "MAIL" not in there.peers[0].verbs
        else:
            assert isinstance(outcome, Channel)
            await gone(outcome)
