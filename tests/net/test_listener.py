"""Listeners on real sockets, under both event loops: smtplib in plain, STARTTLS and immediate TLS; limits, sweeping, draining."""

from __future__ import annotations

import asyncio
import errno
import smtplib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from postwright.model.reply import Reply
from postwright.net.listener import Listener, _plain, bind
from postwright.net.load_board import LoadBoard
from postwright.net.session_book import SessionBook, SessionLimits
from postwright.net.visit import PeerFacts
from postwright.wire.options import Limits, ServerOptions

EVENT_LOOPS = ("asyncio", "uvloop")
MESSAGE = b"Subject: x\r\n\r\n.leading dot\r\n"
STARTTLS = ServerOptions(starttls=True)
LOGIN = ServerOptions(auth=("CRAM-MD5", "PLAIN", "LOGIN"))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


class Server:
    """A listener on a free port of the loopback, its book under a clock of ours, and every visit that was made."""

    def __init__(self, make: Callable[..., Any], **more: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.clock = Clock()
        self.book = SessionBook(self.clock, more.pop("limits", None), more.pop("board", None))
        self.visits: list[Any] = []
        self.tls: ssl.SSLContext | None = more.pop("visit_tls", None)
        self.answers: dict[str, Any] = more.pop("answers", {})
        self.offered: ServerOptions = more.pop("options", ServerOptions())
        self.errors: list[dict[str, Any]] = []
        self.failed = asyncio.Event()
        self.loop.set_exception_handler(self._note)
        self._make = make
        self.sock = bind("127.0.0.1", 0)
        self.listener = Listener(self.sock, self.visit, self.book, **more)
        self.listener.start()
        self.port = self.listener.port

    def _note(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.errors.append(context)
        self.failed.set()

    def visit(self, peer: PeerFacts) -> Any:
        visit = self._make(peer, self.answers, self.offered)
        visit.tls = self.tls
        self.visits.append(visit)
        return visit

    async def closed(self) -> None:
        """All sessions are over."""
        async with asyncio.timeout(10):
            await self.book._empty.wait()

    async def talk(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@pytest.fixture
async def serve(scripted_visit: Callable[..., Any]) -> AsyncIterator[Callable[..., Server]]:
    made: list[Server] = []

    def start(**more: Any) -> Server:
        made.append(Server(scripted_visit, **more))
        return made[-1]

    yield start
    for server in made:
        server.listener.close()
        server.book.stop()
        await server.book.drain(1.0)
        server.sock.close()


# smtplib -------------------------------------------------------------------------------------------------------------


def send(client: smtplib.SMTP) -> None:
    refused = client.sendmail("a@example.com", ["b@example.org", "c@example.org"], MESSAGE)
    assert refused == {}


async def test_smtplib(serve: Callable[..., Server]) -> None:
    server = serve(options=LOGIN)

    def client() -> None:
        with smtplib.SMTP("127.0.0.1", server.port, "client.example", timeout=10) as smtp:
            smtp.login("anna", "secret")
            send(smtp)
            send(smtp)
            assert smtp.verify("x")[0] == 252

    await asyncio.to_thread(client)
    await server.closed()
    (visit,) = server.visits
    assert visit.contents() == [MESSAGE, MESSAGE]
    assert ("authenticated", "anna", "CRAM-MD5", True) in visit.asked
    assert visit.peer.peer == visit.peer.local == "127.0.0.1"
    assert visit.peer.local_port == server.port
    assert visit.names()[-1] == "closed"
    assert server.errors == []


async def test_smtplib_over_starttls(serve: Callable[..., Server], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    server = serve(options=STARTTLS, visit_tls=server_tls)

    def client() -> None:
        with smtplib.SMTP("localhost", server.port, "client.example", timeout=10) as smtp:
            smtp.starttls(context=client_tls)
            send(smtp)

    for _ in range(5):
        await asyncio.to_thread(client)
    await server.closed()
    for visit in server.visits:
        assert visit.contents() == [MESSAGE]
        assert visit.peer.tls == "TLSv1.3"
        assert visit.peer.cipher
        assert visit.names()[:4] == ["greeting", "ehlo", "start_tls", "tls_started"]
    assert server.errors == []


async def test_smtplib_over_immediate_tls(serve: Callable[..., Server], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    server = serve(tls=server_tls)

    def client() -> None:
        with smtplib.SMTP_SSL("localhost", server.port, "client.example", timeout=10, context=client_tls) as smtp:
            send(smtp)

    await asyncio.to_thread(client)
    await server.closed()
    (visit,) = server.visits
    assert visit.names()[:2] == ["tls_started", "greeting"]
    assert visit.contents() == [MESSAGE]
    assert server.errors == []


@pytest.mark.parametrize("said", [b"", b"EHLO client.example\r\n"], ids=["silence", "in the clear"])
async def test_who_does_not_begin_tls_is_told_what_to_choose(serve: Callable[..., Server], server_tls: ssl.SSLContext, said: bytes) -> None:
    server = serve(tls=server_tls)
    server.listener.patience = 60.0 if said else 0.05  # who speaks is not waited for
    reader, writer = await server.talk()
    writer.write(said)
    async with asyncio.timeout(10):
        assert await reader.read() == b"421 4.7.0 this port wants TLS from the start: choose SSL/TLS, not STARTTLS, or another port\r\n"
    writer.close()
    await server.closed()
    assert server.visits[0].names() == ["closed"]
    assert server.errors == []


async def test_who_leaves_before_tls_is_forgotten(serve: Callable[..., Server], server_tls: ssl.SSLContext) -> None:
    server = serve(tls=server_tls)
    _, writer = await server.talk()
    writer.close()
    await server.closed()
    assert server.errors == []


async def test_a_large_message_over_tls(serve: Callable[..., Server], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    server = serve(options=STARTTLS, visit_tls=server_tls)
    content = b"Subject: x\r\n\r\n" + b"x" * 70 + b"\r\n"
    content += (b"y" * 76 + b"\r\n") * 20_000

    def client() -> None:
        with smtplib.SMTP("localhost", server.port, "client.example", timeout=30) as smtp:
            smtp.starttls(context=client_tls)
            smtp.sendmail("a@example.com", "b@example.org", content)

    await asyncio.to_thread(client)
    await server.closed()
    assert server.visits[0].contents() == [content]


# STARTTLS ------------------------------------------------------------------------------------------------------------


def handshake(connection: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    return context.wrap_socket(connection, server_hostname="localhost")


async def test_commands_injected_behind_starttls_are_never_heard(
    serve: Callable[..., Server], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    server = serve(options=STARTTLS, visit_tls=server_tls)

    def client() -> bytes:
        with socket.create_connection(("localhost", server.port), timeout=10) as connection:
            connection.recv(1000)
            connection.sendall(b"STARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<evil@example.com>\r\n")
            assert connection.recv(1000) == b"220 2.0.0 ready to start TLS\r\n"
            with handshake(connection, client_tls) as secure:
                secure.sendall(b"MAIL FROM:<a@example.com>\r\nQUIT\r\n")
                heard = b""
                while part := secure.recv(1000):
                    heard += part
        return heard

    heard = await asyncio.to_thread(client)
    assert heard == b"503 5.5.1 send HELO or EHLO first\r\n221 2.0.0 goodbye\r\n"
    await server.closed()
    assert server.visits[0].names() == ["greeting", "start_tls", "plain_text_dropped", "tls_started", "closed"]


async def test_a_client_that_speaks_with_its_last_handshake_flight(
    serve: Callable[..., Server], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    """Under the stdlib loop its EHLO arrives before start_tls has returned (dependencies.md, trap 1)."""
    server = serve(options=STARTTLS, visit_tls=server_tls)

    def client() -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_tls.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with socket.create_connection(("localhost", server.port), timeout=10) as connection:
            connection.recv(1000)
            connection.sendall(b"STARTTLS\r\n")
            connection.recv(1000)
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    connection.sendall(outgoing.read())
                    incoming.write(connection.recv(65536))
            tls.write(b"EHLO x\r\nQUIT\r\n")
            connection.sendall(outgoing.read())  # Finished and EHLO in one segment
            heard = b""
            while b"221" not in heard:
                incoming.write(connection.recv(65536))
                try:
                    while part := tls.read(1000):
                        heard += part
                except ssl.SSLWantReadError:
                    pass
        assert heard.startswith(b"250-mx.example\r\n")

    for _ in range(10):
        await asyncio.to_thread(client)
    await server.closed()
    assert server.errors == []


@pytest.mark.parametrize("immediate", [True, False])
async def test_a_handshake_that_fails(immediate: bool, serve: Callable[..., Server], server_tls: ssl.SSLContext) -> None:
    server = serve(options=STARTTLS, visit_tls=server_tls, **({"tls": server_tls} if immediate else {}))
    reader, writer = await server.talk()
    if not immediate:
        await reader.readline()
        writer.write(b"STARTTLS\r\n")
        await reader.readline()
    writer.write(b"this is no TLS\r\n" * 10)
    await reader.read()
    writer.close()
    await server.closed()
    assert server.visits[0].names()[-1] == "closed"


async def test_the_peer_leaves_during_the_handshake(serve: Callable[..., Server], server_tls: ssl.SSLContext) -> None:
    server = serve(options=STARTTLS, visit_tls=server_tls)
    reader, writer = await server.talk()
    await reader.readline()
    writer.write(b"STARTTLS\r\n")
    await reader.readline()
    writer.close()
    await server.closed()
    assert server.visits[0].names() == ["greeting", "start_tls", "closed"]


async def test_a_visit_that_raises_at_tls(serve: Callable[..., Server], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    server = serve(options=STARTTLS, visit_tls=server_tls, answers={"tls_started": ValueError("ours")})

    def client() -> None:
        with socket.create_connection(("localhost", server.port), timeout=10) as connection:
            connection.recv(1000)
            connection.sendall(b"STARTTLS\r\n")
            connection.recv(1000)
            with handshake(connection, client_tls) as secure:
                assert secure.recv(1000) == b""

    await asyncio.to_thread(client)
    await server.closed()
    assert len(server.errors) == 1


async def test_a_drain_during_the_handshake_cuts_it_off(serve: Callable[..., Server], server_tls: ssl.SSLContext) -> None:
    server = serve(options=STARTTLS, visit_tls=server_tls)
    reader, writer = await server.talk()
    await reader.readline()
    writer.write(b"STARTTLS\r\n")
    await reader.readline()
    assert await server.book.drain(0.01) == 1
    assert await reader.read() == b""
    writer.close()
    await server.closed()


async def test_time_is_up_during_the_handshake(serve: Callable[..., Server], server_tls: ssl.SSLContext) -> None:
    server = serve(options=STARTTLS, visit_tls=server_tls)
    reader, writer = await server.talk()
    await reader.readline()
    writer.write(b"STARTTLS\r\n")
    await reader.readline()
    server.book.sweep()
    (session,) = server.book._sessions
    session.timed_out()
    assert await reader.read() == b""
    writer.close()
    await server.closed()


@pytest.mark.parametrize("secure", [False, True])
async def test_who_takes_no_replies_is_read_no_further(
    secure: bool, serve: Callable[..., Server], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    """And at most 64 KB of replies, with one read, are kept for it; then its time is over."""
    endless = ServerOptions(limits=Limits(junk=None))
    server = serve(options=endless, **({"tls": server_tls} if secure else {}))
    pushed = 0

    def push() -> None:
        nonlocal pushed
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(10)
            connection.connect(("127.0.0.1", server.port))
            sock = handshake(connection, client_tls) if secure else connection
            sock.settimeout(0.5)
            while not over.is_set():
                try:
                    pushed += sock.send(b"NOOP\r\n" * 100)
                except TimeoutError:  # for half a second the server has read nothing: for good, or because the machine is busy
                    loop.call_soon_threadsafe(stuck.set)
                except OSError:
                    break
            sock.close()

    loop, stuck, over = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    pushing = asyncio.create_task(asyncio.to_thread(push))
    await asyncio.wait_for(stuck.wait(), 30)
    (session,) = server.book._sessions
    while not session._blocked:
        stuck.clear()
        await asyncio.wait_for(stuck.wait(), 30)
    assert session._transport is not None
    assert session._transport.get_write_buffer_size() < 65536 + 20_000  # and what a thousand commands are answered with
    server.clock.time = 101.0
    server.book.sweep()
    await server.closed()
    over.set()
    await pushing
    assert 0 < pushed < 60_000_000


# the book ------------------------------------------------------------------------------------------------------------


async def test_sessions_in_total_and_per_address(serve: Callable[..., Server]) -> None:
    server = serve(limits=SessionLimits(total=3, per_address=2))
    first, second = [await server.talk() for _ in range(2)]
    for reader, _ in (first, second):
        assert (await reader.readline()).startswith(b"220")
    third, _ = await server.talk()
    assert await third.read() == b"421 4.7.0 too many sessions, try again later\r\n"
    assert (len(server.book), server.book.refusals.crowded) == (2, 1)
    first[1].close()
    await server.visits[0].over.wait()
    fourth, _ = await server.talk()
    assert (await fourth.readline()).startswith(b"220")
    server.book.limits = SessionLimits(total=2)
    fifth, _ = await server.talk()
    assert (await fifth.read()).startswith(b"421")


async def test_turning_away_where_tls_is_expected(serve: Callable[..., Server], server_tls: ssl.SSLContext) -> None:
    server = serve(tls=server_tls, limits=SessionLimits(total=0))
    reader, _ = await server.talk()
    assert await reader.read() == b""


async def test_the_sweep_gives_up_silent_peers(serve: Callable[..., Server]) -> None:
    server = serve()
    reader, writer = await server.talk()
    await reader.readline()
    server.clock.time = 90.0
    server.book.sweep()
    writer.write(b"NOOP\r\n")
    await reader.readline()
    server.clock.time = 150.0
    server.book.sweep()
    assert len(server.book) == 1
    server.clock.time = 191.0
    server.book.sweep()
    assert await reader.read() == b"421 4.4.2 waited too long, closing\r\n"
    await server.closed()


async def test_the_book_sweeps_by_itself(serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postwright.net.session_book.SWEEP_INTERVAL", 0.001)
    server = serve()
    reader, _ = await server.talk()
    await reader.readline()
    server.book.start(server.loop)
    server.clock.time = 101.0
    assert (await reader.read()).startswith(b"421 4.4.2")
    server.book.stop()
    server.book.stop()


async def test_draining_lets_a_transaction_end(serve: Callable[..., Server]) -> None:
    server = serve()
    reader, writer = await server.talk()
    writer.write(b"HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@example.com>\r\nDATA\r\n")
    for _ in range(5):
        await reader.readline()
    drained = asyncio.create_task(server.book.drain(10.0))
    await asyncio.sleep(0)
    writer.write(b".\r\n")
    assert await reader.read() == b"250 2.6.0 message received\r\n421 4.3.2 service is stopping, try again later\r\n"
    assert await drained == 0


async def test_draining_cuts_off_what_does_not_end(serve: Callable[..., Server]) -> None:
    server = serve()
    reader, writer = await server.talk()
    writer.write(b"HELO x\r\nMAIL FROM:<>\r\n")
    for _ in range(3):
        await reader.readline()
    assert await server.book.drain(0.01) == 1
    await server.closed()
    assert server.visits[0].over.is_set()


# accepting -----------------------------------------------------------------------------------------------------------


async def test_a_closed_listener_leaves_sessions_and_socket_alone(serve: Callable[..., Server]) -> None:
    server = serve()
    reader, writer = await server.talk()
    await reader.readline()
    server.listener.close()
    writer.write(b"NOOP\r\n")
    assert (await reader.readline()).startswith(b"250")
    waiting, _ = await server.talk()  # in the backlog
    server.listener.start()
    assert (await waiting.readline()).startswith(b"220")


async def test_many_at_once(serve: Callable[..., Server]) -> None:
    server = serve()
    talks = await asyncio.gather(*[server.talk() for _ in range(50)])
    for reader, _ in talks:
        assert (await reader.readline()).startswith(b"220")
    assert len(server.book) == 50
    for _, writer in talks:
        writer.close()
    await server.closed()


async def test_a_factory_that_raises_costs_one_connection(serve: Callable[..., Server]) -> None:
    server = serve()
    make, server._make = server._make, lambda *_: 1 / 0
    reader, _ = await server.talk()
    assert await reader.read() == b""
    assert len(server.errors) == 1
    server._make = make
    reader, _ = await server.talk()
    assert (await reader.readline()).startswith(b"220")


class BrokenSocket:
    """Fails as told, and then is the socket it stands for."""

    def __init__(self, sock: socket.socket, *errors: int) -> None:
        self._sock = sock
        self._errors = list(errors)

    def accept(self) -> Any:
        if self._errors:
            raise OSError(self._errors.pop(0), "injected")
        return self._sock.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


async def test_out_of_descriptors_is_waited_out(serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postwright.net.listener.REST", 0.01)
    server = serve()
    server.listener._sock = BrokenSocket(server.sock, errno.EMFILE)  # type: ignore[assignment]  # a stand-in
    reader, _ = await server.talk()
    assert (await reader.readline()).startswith(b"220")
    assert len(server.errors) == 1


async def test_closing_while_resting(serve: Callable[..., Server]) -> None:
    server = serve()
    server.listener._sock = BrokenSocket(server.sock, errno.ENFILE)  # type: ignore[assignment]  # a stand-in
    await server.talk()
    await server.failed.wait()
    server.listener.close()
    assert server.listener._retry is None


async def test_a_peer_that_left_the_backlog_is_no_trouble(serve: Callable[..., Server]) -> None:
    server = serve()
    server.listener._sock = BrokenSocket(server.sock, errno.ECONNABORTED)  # type: ignore[assignment]  # a stand-in
    reader, _ = await server.talk()
    assert (await reader.readline()).startswith(b"220")
    assert server.errors == []


async def test_a_process_that_is_ahead_lets_others_go_first(serve: Callable[..., Server], tmp_path: Path) -> None:
    ours, theirs = LoadBoard.open(tmp_path / "board", 0, 2), LoadBoard.open(tmp_path / "board", 1, 2)
    server = serve(board=ours)
    other = Listener(server.sock, server.visit, SessionBook(server.clock, board=theirs))
    talks = []
    for _ in range(3):
        talks.append(await server.talk())
        assert (await talks[-1][0].readline()).startswith(b"220")  # nobody else takes them: only a hesitation
    assert len(server.book) == 3
    other.start()
    for _ in range(2):
        talks.append(await server.talk())
        assert (await talks[-1][0].readline()).startswith(b"220")
    assert (len(server.book), len(other._book)) == (3, 2)
    other.close()
    await other._book.drain(1.0)


async def test_closing_while_hesitating(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(board=LoadBoard.open(tmp_path / "board", 0, 2))
    server.book.ahead = lambda: True  # type: ignore[method-assign]
    server.listener._accept()
    hesitation = server.listener._retry
    assert hesitation is not None
    server.listener.close()
    assert hesitation.cancelled()
    assert server.visits == []


def test_addresses_are_plain() -> None:
    assert _plain("::ffff:192.0.2.1") == "192.0.2.1"
    assert _plain("fe80::1%eth0") == "fe80::1"
    assert _plain("2001:db8::1") == "2001:db8::1"
    assert _plain("192.0.2.1") == "192.0.2.1"


def test_binding() -> None:
    with bind("127.0.0.1", 0) as sock:
        assert sock.getsockname()[1] > 0
        with pytest.raises(OSError, match=r"."):
            bind("192.0.2.1", 1)


async def test_ipv6(serve: Callable[..., Server]) -> None:
    server = serve()
    try:
        sock = bind("::1", 0)
    except OSError:
        pytest.skip("no IPv6 on the loopback here")
    listener = Listener(sock, server.visit, server.book)
    listener.start()
    reader, writer = await asyncio.open_connection("::1", listener.port)
    assert (await reader.readline()).startswith(b"220")
    assert server.visits[0].peer.peer == "::1"
    writer.close()
    await server.closed()
    listener.close()
    sock.close()


async def test_a_refusal_reply_reaches_the_peer(serve: Callable[..., Server]) -> None:
    server = serve(answers={"greeting": Reply(521, "", ("mx.example does not accept mail from you",))})
    reader, _ = await server.talk()
    assert await reader.read() == b"521 mx.example does not accept mail from you\r\n"
