"""A small authoritative name server for tests, on a free port of 127.0.0.1, UDP and TCP.

    async with DnsServer({"example.com": {"MX": ["10 mx.example.com."]}}) as server:
        source = DnsClient([server.address])

`zone` maps names to types to record texts; a name that is not there is NXDOMAIN, a type that is not there NODATA, aliases are
followed within the zone. `faults` maps a name to what goes wrong: "servfail", "refused", "drop" (no answer), "truncate" (TC over
UDP, the whole over TCP), "close" (TC over UDP, nothing over TCP), "garbage" (octets that are no DNS message), "no-edns" (FORMERR to
EDNS), "foreign" (others' replies first), "bogus" (SERVFAIL unless the question has CD). Names at or below `signed` get the AD bit when
it is asked for; a negative answer has an SOA record of `negative` seconds. Answers nothing but IN queries; never to be used beyond tests.
"""

from __future__ import annotations

import asyncio
import socket
from types import TracebackType
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from postwright.testing.fake_resolver import MAX_ALIASES, Zone

_ATTEMPTS = 20


class DnsServer:
    """`queries` lists what was asked, as (name, type, "udp" or "tcp"); `ttls` overrides `ttl` by name."""

    def __init__(self, zone: Zone, *, ttl: int = 300, faults: dict[str, str] | None = None) -> None:
        self.zone: Zone = zone
        self.ttl = ttl
        self.ttls: dict[str, int] = {}
        self.negative = 600
        self.signed: set[str] = set()
        self.faults: dict[str, str] = dict(faults or {})
        self.queries: list[tuple[str, str, str]] = []
        self.port = 0
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """As a name server is configured: "127.0.0.1:40053"."""
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> DnsServer:
        loop = asyncio.get_running_loop()
        udp, tcp = _sockets()
        self.port = udp.getsockname()[1]
        transport, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), sock=udp)
        self._udp = transport
        self._tcp = await asyncio.start_server(self._serve, sock=tcp)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        # The transport leaves the loop in a later turn.
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(2), "big")
                reply = self.answer(await reader.readexactly(size), "tcp")
                if reply == b"":
                    return
                if reply is not None:
                    writer.write(len(reply).to_bytes(2, "big") + reply)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def answer(self, wire: bytes, way: str) -> bytes | None:
        """The reply to one query; None for silence, b"" for an end of the connection."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        self.queries.append((name, dns.rdatatype.to_text(question.rdtype), way))
        fault = self.faults.get(name, "")
        if fault == "drop":
            return None
        if fault == "garbage":
            return wire[:2] + b"\xff" * 20
        if fault == "close" and way == "tcp":
            return b""
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA | dns.flags.RA
        code = _rcode(fault, query)
        if code is not None:
            reply.set_rcode(code)
        elif fault in ("truncate", "close") and way == "udp":
            reply.flags |= dns.flags.TC
        else:
            self._fill(reply, name, question.rdtype)
            if query.flags & dns.flags.AD and any(name == apex or name.endswith(f".{apex}") for apex in self.signed):
                reply.flags |= dns.flags.AD
        return reply.to_wire(max_size=65535, want_shuffle=False)

    def foreign(self, reply: bytes) -> bool:
        """Whether others' replies come before this one: of another number, of another name, cut short."""
        if "foreign" not in self.faults.values():
            return False
        name = dns.message.from_wire(reply, ignore_trailing=True).question[0].name
        return self.faults.get(name.to_text(omit_final_dot=True).lower()) == "foreign"

    def _fill(self, reply: dns.message.Message, name: str, kind: dns.rdatatype.RdataType) -> None:
        for _ in range(MAX_ALIASES):
            records = self.zone.get(name)
            if records is None:
                reply.set_rcode(dns.rcode.NXDOMAIN)
                break
            texts = records.get(dns.rdatatype.to_text(kind))
            if texts:
                reply.answer.append(self._rrset(name, kind, list(texts)))
                return
            if "CNAME" not in records:
                break
            reply.answer.append(self._rrset(name, dns.rdatatype.CNAME, list(records["CNAME"])))
            name = records["CNAME"][0].rstrip(".").lower()
        soa = f"ns.{name}. hostmaster.{name}. 1 3600 600 86400 {self.negative}"
        reply.authority.append(dns.rrset.from_text(dns.name.from_text(name), 86400, dns.rdataclass.IN, dns.rdatatype.SOA, soa))

    def _rrset(self, name: str, kind: dns.rdatatype.RdataType, texts: list[str]) -> dns.rrset.RRset:
        owner = dns.name.from_text(name)
        ttl = self.ttls.get(name, self.ttl)
        return dns.rrset.from_text_list(owner, ttl, dns.rdataclass.IN, kind, texts, origin=dns.name.root, relativize=False)


def _rcode(fault: str, query: dns.message.Message) -> dns.rcode.Rcode | None:
    if fault in ("servfail", "refused"):
        return dns.rcode.from_text(fault.upper())
    if fault == "bogus" and not query.flags & dns.flags.CD:
        return dns.rcode.SERVFAIL
    return dns.rcode.FORMERR if fault == "no-edns" and query.edns >= 0 else None


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | None, int]) -> None:
        reply = self._server.answer(data, "udp")
        if reply is None or self._transport is None:
            return
        if self._server.foreign(reply):
            self._transport.sendto(bytes([reply[0] ^ 1]) + reply[1:], addr)
            self._transport.sendto(reply[:13] + b"?" + reply[14:], addr)
            self._transport.sendto(reply[:7], addr)
        self._transport.sendto(reply, addr)


def _sockets() -> tuple[socket.socket, socket.socket]:
    """UDP and TCP on one free port."""
    for _ in range(_ATTEMPTS):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            udp.bind(("127.0.0.1", 0))
            tcp.bind(udp.getsockname())
        except OSError:
            udp.close()
            tcp.close()
            continue
        udp.setblocking(False)
        tcp.setblocking(False)
        return udp, tcp
    raise OSError("no port is free for both UDP and TCP")
