"""Asks name servers over UDP, and over TCP what UDP cannot carry: a stub resolver (RFC 1034 section 5.3.1) without a cache.

Every question has a socket, and so a port, of its own and a random number: whoever is not on the way has to guess both
(RFC 5452 section 9.2). What is no reply to the question is not listened to. Raises nothing: no answer is the answer FAILED, with the
reason of each server. Validates nothing itself: `secure` is the AD bit of a server on a loopback address, when that is asked for.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable, Sequence

from msgspec import Struct

from postwright.net.clock import Clock, SystemClock
from postwright.net.dns_query import DnsAnswer, DnsStatus
from postwright.net.dns_servers import Server, ServerBook
from postwright.wire import dns_message as m

MOST_UDP = 4096
TRUSTED_EDNS = 1232  # the AD bit needs none, but signatures make answers long (dnsflagday.net/2020)


class Asked(Struct, frozen=True):
    """What went on, for whoever looks on: `way` "udp" or "tcp", `reply` b"" and a `trouble` when there was none. `seconds` it took."""

    server: Server
    way: str
    query: bytes
    reply: bytes = b""
    trouble: str = ""
    seconds: float = 0.0


class ClientOptions(Struct, frozen=True):
    """`timeout` seconds for the first try of a server, doubled for each further of `tries`; `edns` the longest UDP reply to ask for, 0: no
    EDNS; `trust_local`: believe the AD bit of servers on this machine; `tcp`: nothing by UDP; `source` the address to ask from."""

    timeout: float = 3.0
    tries: int = 3
    edns: int = 0
    trust_local: bool = False
    tcp: bool = False
    source: str = ""


class _NoReply(Exception):
    """A server did not answer; the text says how."""


class DnsClient:
    """`DnsSource` of `servers` as `dns_servers.read_server` has them; none: those of the system. `seen` is told of every exchange."""

    def __init__(
        self,
        servers: Sequence[str] | ServerBook = (),
        options: ClientOptions | None = None,
        *,
        clock: Clock | None = None,
        seen: Callable[[Asked], None] | None = None,
    ) -> None:
        self._book = servers if isinstance(servers, ServerBook) else ServerBook(servers)
        self._options = options if options is not None else ClientOptions()
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._seen = seen
        self._waiting: set[asyncio.Future[bytes]] = set()
        self._closed = False

    @property
    def validates(self) -> bool:
        return self._options.trust_local and any(server.local for server in self._book.all())

    async def query(self, name: str, kind: str) -> DnsAnswer:
        """As `DnsSource` has it."""
        reasons: dict[Server, str] = {}
        silent = self._book.order(self._clock.monotonic())
        patience = self._options.timeout
        for _ in range(self._options.tries):
            servers, silent = silent, []
            for server in servers:
                try:
                    answer = await self._ask(server, name, kind, patience)
                except m.DnsFormatError as error:
                    return DnsAnswer(DnsStatus.NO_NAME, detail=str(error))
                except _NoReply as trouble:
                    reasons[server] = str(trouble)
                    silent.append(server)
                    self._book.silent(server, self._clock.monotonic())
                    continue
                self._book.healthy(server)
                if answer.status is not DnsStatus.FAILED or answer.bogus:
                    return answer
                reasons[server] = answer.detail
            patience *= 2
            if self._closed or not silent:
                break
        return DnsAnswer(DnsStatus.FAILED, detail=_told(reasons) if not self._closed else "the resolver is closed")

    async def close(self) -> None:
        self._closed = True
        for reply in self._waiting:
            _give_up(reply, "the resolver is closed")

    # one server ------------------------------------------------------------------------------------------------------

    async def _ask(self, server: Server, name: str, kind: str, patience: float) -> DnsAnswer:
        """Raises `_NoReply`, and DnsFormatError for a name that cannot be asked."""
        trusted = self._options.trust_local and server.local
        edns = max(self._options.edns, TRUSTED_EDNS) if trusted else self._options.edns
        ask = m.encode_query(secrets.randbits(16), name, kind, edns=edns, ask_ad=trusted)
        reply = await self._exchange(server, ask, patience)
        if edns and m.rcode_of(reply) in (1, 4):
            # RFC 6891 section 7: FORMERR or NOTIMP is how old servers say that they do not know EDNS.
            reply = await self._exchange(server, m.encode_query(secrets.randbits(16), name, kind, ask_ad=trusted), patience)
        answer = _meaning(reply, server, trusted)
        if trusted and answer.status is DnsStatus.FAILED and m.rcode_of(reply) == 2:
            return await self._why_servfail(server, name, kind, patience, answer)
        return answer

    async def _why_servfail(self, server: Server, name: str, kind: str, patience: float, answer: DnsAnswer) -> DnsAnswer:
        """A validator says SERVFAIL of what is bogus; when it has an answer without checking (CD), that was it (RFC 4035 section 3.2.2)."""
        ask = m.encode_query(secrets.randbits(16), name, kind, edns=TRUSTED_EDNS, unchecked=True)
        try:
            unchecked = m.rcode_of(await self._exchange(server, ask, patience))
        except _NoReply:
            return answer
        if unchecked not in (0, 3):
            return answer
        return DnsAnswer(DnsStatus.FAILED, detail=f"{server}: DNSSEC validation failed", bogus=True)

    async def _exchange(self, server: Server, query: bytes, patience: float) -> bytes:
        if not self._options.tcp:
            reply = await self._watched(server, "udp", query, patience)
            if not reply[2] & 0x02:
                return reply
        return await self._watched(server, "tcp", query, patience)

    async def _watched(self, server: Server, way: str, query: bytes, patience: float) -> bytes:
        start = self._clock.monotonic()
        reply, trouble = b"", ""
        try:
            if self._closed:
                raise _NoReply("the resolver is closed")
            reply = await (self._udp if way == "udp" else self._tcp)(server, query, patience)
            return reply
        except OSError as error:
            trouble = (error.strerror or type(error).__name__).lower()
            raise _NoReply(trouble) from error
        except _NoReply as error:
            trouble = str(error)
            raise
        finally:
            if self._seen is not None:
                self._seen(Asked(server, way, query, reply, trouble, self._clock.monotonic() - start))

    async def _udp(self, server: Server, query: bytes, patience: float) -> bytes:
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[bytes] = loop.create_future()
        with self._socket(server) as sock:
            sock.connect(socket.getaddrinfo(server.address, server.port, flags=socket.AI_NUMERICHOST)[0][4])
            sock.send(query)
            loop.add_reader(sock.fileno(), _read, sock, query, reply)
            timer = self._clock.call_later(patience, lambda: _give_up(reply, "timed out"))
            self._waiting.add(reply)
            try:
                return await reply
            finally:
                self._waiting.discard(reply)
                timer.cancel()
                loop.remove_reader(sock.fileno())

    def _socket(self, server: Server) -> socket.socket:
        sock = socket.socket(socket.AF_INET6 if ":" in server.address else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            if self._options.source:
                sock.bind((self._options.source, 0))
        except OSError:
            sock.close()
            raise
        return sock

    async def _tcp(self, server: Server, query: bytes, patience: float) -> bytes:
        local = (self._options.source, 0) if self._options.source else None
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(patience):
                reader, writer = await asyncio.open_connection(server.address, server.port, local_addr=local)
                writer.write(len(query).to_bytes(2, "big") + query)
                while True:
                    reply = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
                    if m.is_reply_to(reply, query):
                        return reply
        except TimeoutError:
            raise _NoReply("timed out") from None
        except asyncio.IncompleteReadError:
            raise _NoReply("closed the connection") from None
        finally:
            if writer is not None:
                writer.transport.abort()


def _read(sock: socket.socket, query: bytes, reply: asyncio.Future[bytes]) -> None:
    """What came in may be anybody's: only the reply to our question ends the wait."""
    try:
        octets = sock.recv(MOST_UDP)
    except (BlockingIOError, InterruptedError):
        return
    except OSError as error:  # ICMP says that nobody is there
        _give_up(reply, (error.strerror or type(error).__name__).lower())
        return
    if not reply.done() and m.is_reply_to(octets, query):
        reply.set_result(octets)


def _give_up(reply: asyncio.Future[bytes], why: str) -> None:
    if not reply.done():
        reply.set_exception(_NoReply(why))


def _meaning(reply: bytes, server: Server, trusted: bool) -> DnsAnswer:
    rcode = m.rcode_of(reply)
    if rcode not in (0, 3):
        return DnsAnswer(DnsStatus.FAILED, detail=f"{server}: {m.RCODES.get(rcode, f'RCODE{rcode}')}")
    try:
        read = m.decode_reply(reply)
    except m.DnsFormatError as error:
        return DnsAnswer(DnsStatus.FAILED, detail=f"{server}: {error}")
    return answer_of(read, secure=trusted and read.checked)


def answer_of(read: m.DnsReply, *, secure: bool) -> DnsAnswer:
    """A reply that answers (NOERROR or NXDOMAIN), as a value."""
    if read.records:
        return DnsAnswer(DnsStatus.FOUND, read.records, read.ttl, secure=secure, canonical=read.canonical)
    status, detail = (DnsStatus.NO_NAME, "no such name") if read.rcode == 3 else (DnsStatus.NO_DATA, "no such record")
    return DnsAnswer(status, (), read.ttl, detail, secure=secure, canonical=read.canonical)


def _told(reasons: dict[Server, str]) -> str:
    """One reason of each server; those that name their server do not need it again."""
    return "; ".join(why if why.startswith(str(server)) else f"{server}: {why}" for server, why in reasons.items())
