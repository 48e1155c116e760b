"""PROXY headers by table and by property: what they say, where they end, and that nothing malformed is believed."""

from __future__ import annotations

import socket
import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.wire.proxy_line import LOCAL, MOST_EXTRA, SIGNATURE, Bad, ProxyHeader, ProxyReader

V4 = ProxyHeader(False, "203.0.113.9", 56324, "192.0.2.1", 25)
V6 = ProxyHeader(False, "2001:db8::9", 56324, "2001:db8::1", 25)


def binary(command: int, family: int, body: bytes, extra: bytes = b"") -> bytes:
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(body) + len(extra)) + body + extra


def ends(source: str, destination: str) -> bytes:
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    return socket.inet_pton(family, source) + socket.inet_pton(family, destination) + struct.pack("!HH", 56324, 25)


E4, E6 = ends("203.0.113.9", "192.0.2.1"), ends("2001:db8::9", "2001:db8::1")
TLV = b"\x04\x00\x03abc" + b"\x20\x00\x05\x01\0\0\0\0"

GOOD = {
    "tcp4": (b"PROXY TCP4 203.0.113.9 192.0.2.1 56324 25\r\n", V4),
    "tcp6": (b"PROXY TCP6 2001:db8::9 2001:DB8:0::1 56324 25\r\n", V6),
    "mapped": (b"PROXY TCP6 ::ffff:203.0.113.9 ::ffff:192.0.2.1 56324 25\r\n", V4),
    "unknown": (b"PROXY UNKNOWN\r\n", LOCAL),
    "unknown with more": (b"PROXY UNKNOWN " + b"f" * 91 + b"\r\n", LOCAL),
    "port 0": (b"PROXY TCP4 203.0.113.9 192.0.2.1 0 65535\r\n", ProxyHeader(False, "203.0.113.9", 0, "192.0.2.1", 65535)),
    "2 tcp4": (binary(0x21, 0x11, E4), V4),
    "2 tcp6": (binary(0x21, 0x21, E6), V6),
    "2 with TLVs": (binary(0x21, 0x11, E4, TLV), V4),
    "2 mapped": (binary(0x21, 0x21, ends("::ffff:203.0.113.9", "::ffff:192.0.2.1")), V4),
    "2 LOCAL": (binary(0x20, 0x00, b""), LOCAL),
    "2 LOCAL with addresses": (binary(0x20, 0x11, E4), LOCAL),
    "2 UNSPEC": (binary(0x21, 0x00, b"whatever"), LOCAL),
    "2 UNIX": (binary(0x21, 0x31, b"\0" * 216), LOCAL),
    "2 datagrams": (binary(0x21, 0x12, E4), LOCAL),
    "2 as long as may be": (binary(0x21, 0x11, E4, b"\x04" * (MOST_EXTRA - 12)), V4),
}

BAD = {
    "SMTP": b"EHLO client.example\r\n",
    "TLS": b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    "small letters": b"proxy TCP4 203.0.113.9 192.0.2.1 56324 25\r\n",
    "LF alone": b"PROXY TCP4 203.0.113.9 192.0.2.1 56324 25\n",
    "LF alone, unknown": b"PROXY UNKNOWN\n",
    "nothing behind": b"PROXY \r\n",
    "two blanks": b"PROXY TCP4  203.0.113.9 192.0.2.1 56324 25\r\n",
    "a blank at the end": b"PROXY TCP4 203.0.113.9 192.0.2.1 56324 25 \r\n",
    "a port missing": b"PROXY TCP4 203.0.113.9 192.0.2.1 56324\r\n",
    "another protocol": b"PROXY UDP4 203.0.113.9 192.0.2.1 56324 25\r\n",
    "the other family": b"PROXY TCP4 2001:db8::9 2001:db8::1 56324 25\r\n",
    "half of each": b"PROXY TCP6 2001:db8::9 192.0.2.1 56324 25\r\n",
    "an address of zeros in front": b"PROXY TCP4 203.0.113.009 192.0.2.1 56324 25\r\n",
    "a scope": b"PROXY TCP6 fe80::1%eth0 2001:db8::1 56324 25\r\n",
    "a name": b"PROXY TCP4 client.example 192.0.2.1 56324 25\r\n",
    "a port of zeros in front": b"PROXY TCP4 203.0.113.9 192.0.2.1 056324 25\r\n",
    "a port too high": b"PROXY TCP4 203.0.113.9 192.0.2.1 65536 25\r\n",
    "a port of other digits": "PROXY TCP4 203.0.113.9 192.0.2.1 ²5 25\r\n".encode(),
    "a sign": b"PROXY TCP4 203.0.113.9 192.0.2.1 +5 25\r\n",
    "too long": b"PROXY UNKNOWN " + b"f" * 92 + b"\r\n",
    "too long without end": b"PROXY UNKNOWN " + b"f" * 1000,
    "not ASCII": "PROXY TCP4 203.0.113.9 192.0.2.1é 56324 25\r\n".encode(),
    "2 version 1": binary(0x11, 0x11, E4),
    "2 unknown command": binary(0x22, 0x11, E4),
    "2 unknown family": binary(0x21, 0x41, E4),
    "2 unknown protocol": binary(0x21, 0x13, E4),
    "2 too short": binary(0x21, 0x11, E4[:-1]),
    "2 too short for six": binary(0x21, 0x21, E4),
    "2 too long": SIGNATURE + b"\x21\x11" + struct.pack("!H", MOST_EXTRA + 1),
    "2 broken signature": SIGNATURE[:-1] + b"X\x21\x11",
}


def read(octets: bytes, *cuts: int) -> tuple[ProxyHeader | Bad | None, bytes]:
    """The result, and what is left, when octets come in pieces and each piece is seen again until it is taken."""
    reader, rest = ProxyReader(), b""
    edges = [0, *sorted(cuts), len(octets)]
    for start, end in pairwise(edges):
        rest += octets[start:end]
        if reader.result is None:
            rest = rest[reader.feed(rest) :]
    return reader.result, rest


@pytest.mark.parametrize("name", GOOD)
def test_what_a_header_says_and_where_it_ends(name: str) -> None:
    octets, header = GOOD[name]
    for behind in (b"", b"EHLO client.example\r\n", b"\x16\x03\x01", octets):
        assert read(octets + behind) == (header, behind)
        for cut in range(len(octets)):
            assert read(octets + behind, cut) == (header, behind)


@pytest.mark.parametrize("name", GOOD)
def test_part_of_a_header_is_none_yet(name: str) -> None:
    octets, _ = GOOD[name]
    for end in range(len(octets)):
        assert read(octets[:end]) == (None, b"")


@pytest.mark.parametrize("name", BAD)
def test_nothing_else_is_believed(name: str) -> None:
    octets = BAD[name]
    assert read(octets)[0] is Bad.HEADER
    assert read(octets, *range(len(octets)))[0] is Bad.HEADER


@given(st.sampled_from(sorted(GOOD)), st.integers(0, 60), st.integers(0, 255))
def test_an_octet_changed_gives_a_header_or_none_but_no_surprise(name: str, at: int, octet: int) -> None:
    octets = bytearray(GOOD[name][0])
    octets[at % len(octets)] = octet
    result, _ = read(bytes(octets))
    assert result is None or isinstance(result, ProxyHeader | Bad)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_however_it_is_cut_the_result_is_the_same(octets: bytes, cuts: list[int]) -> None:
    whole = read(octets)
    assert read(octets, *[cut for cut in cuts if cut <= len(octets)])[0] == whole[0]


@given(st.ip_addresses(), st.integers(0, 65535), st.integers(0, 65535))
def test_version_1_and_2_say_the_same(address: object, source_port: int, destination_port: int) -> None:
    text = str(address)
    kind, family = ("TCP6", 0x21) if ":" in text else ("TCP4", 0x11)
    body = ends(text, text)[:-4] + struct.pack("!HH", source_port, destination_port)
    line = f"PROXY {kind} {text} {text} {source_port} {destination_port}\r\n".encode()
    assert read(line) == read(binary(0x21, family, body))
    assert isinstance(read(line)[0], ProxyHeader)
