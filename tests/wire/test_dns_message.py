"""DNS messages: dnspython as the oracle of what is right, tables and random octets for what is not."""

from __future__ import annotations

import time

import dns.flags
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.wire.dns_message import (
    KINDS,
    MAX_ALIASES,
    DnsFormatError,
    DnsReply,
    decode_reply,
    encode_name,
    encode_query,
    is_reply_to,
    rcode_of,
)


def reply(
    *sets: tuple[str, int, str, list[str]], kind: str = "MX", name: str = "a.example", authority: tuple[str, int, str] | None = None
) -> bytes:
    message = dns.message.make_response(dns.message.from_wire(encode_query(7, name, kind)))
    for owner, ttl, rtype, texts in sets:
        message.answer.append(dns.rrset.from_text_list(dns.name.from_text(owner), ttl, dns.rdataclass.IN, rtype, texts))
    if authority is not None:
        owner, ttl, text = authority
        message.authority.append(dns.rrset.from_text(dns.name.from_text(owner), ttl, dns.rdataclass.IN, "SOA", text))
    return message.to_wire(want_shuffle=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_question_reads_back(kind: str) -> None:
    message = dns.message.from_wire(encode_query(513, "_25._tcp.MX.a.example.", kind, edns=1400, ask_ad=True, unchecked=True, dnssec=True))
    question = message.question[0]
    assert (message.id, question.name.to_text(), dns.rdatatype.to_text(question.rdtype)) == (513, "_25._tcp.MX.a.example.", kind)
    assert message.flags == dns.flags.RD | dns.flags.AD | dns.flags.CD
    assert (message.edns, message.payload, message.ednsflags) == (0, 1400, dns.flags.DO)
    plain = dns.message.from_wire(encode_query(1, "a.example", kind))
    assert (plain.flags, plain.edns) == (dns.flags.RD, -1)


@pytest.mark.parametrize(
    ("kind", "texts", "records"),
    [
        ("MX", ["10 MX.a.example.", "0 ."], ((10, "mx.a.example"), (0, ""))),
        ("A", ["192.0.2.1", "192.0.2.2"], ((0, "192.0.2.1"), (0, "192.0.2.2"))),
        ("AAAA", ["2001:db8::1"], ((0, "2001:db8::1"),)),
        ("PTR", ["x\\.y\\007.Example."], ((0, "x\\046y\\007.example"),)),
        ("TXT", ['"one " "two"', '"\\255"'], ((0, "one two"), (0, "\ufffd"))),
        ("TLSA", ["3 1 0 ABCD"], ((0, "3 1 0 abcd"),)),
        ("CNAME", ["b.example."], ((0, "b.example"),)),
    ],
)
def test_records(kind: str, texts: list[str], records: tuple[tuple[int, str], ...]) -> None:
    assert decode_reply(reply(("a.example", 300, kind, texts), kind=kind)) == DnsReply(0, records=records, ttl=300.0)


def test_aliases_are_followed_and_shorten_the_ttl() -> None:
    chain = [("A.example", 500, "CNAME", ["b.example."]), ("b.example", 50, "CNAME", ["C.example."]), ("c.example", 500, "MX", ["1 m."])]
    assert decode_reply(reply(*chain)) == DnsReply(0, records=((1, "m"),), canonical="c.example", ttl=50.0)
    assert decode_reply(reply(*reversed(chain))).records == ((1, "m"),), "in whatever order they come"
    assert decode_reply(reply(chain[0])) == DnsReply(0, canonical="b.example")


def test_what_was_not_asked_for_is_no_answer() -> None:
    stranger = ("victim.example", 5, "MX", ["0 evil.example."])
    mine = ("a.example", 300, "MX", ["10 mx.a.example."])
    other = ("a.example", 5, "A", ["192.0.2.1"])
    assert decode_reply(reply(stranger, mine, other)) == DnsReply(0, records=((10, "mx.a.example"),), ttl=300.0)
    assert decode_reply(reply(stranger)).records == ()


@pytest.mark.parametrize(("ttl", "minimum", "kept"), [(3600, 60, 60.0), (60, 3600, 60.0), (0, 60, 0.0)])
def test_the_time_of_a_denial(ttl: int, minimum: int, kept: float) -> None:
    assert decode_reply(reply(authority=("example", ttl, f"ns. h. 1 2 3 4 {minimum}"))).ttl == kept
    assert decode_reply(reply()).ttl == 0.0


def test_a_ttl_with_the_highest_bit_is_zero() -> None:
    wire = reply(("a.example", 0x7FFFFFFF, "A", ["192.0.2.1"]), kind="A")
    assert decode_reply(wire.replace(b"\x7f\xff\xff\xff", b"\x80\0\0\0")).ttl == 0.0


@pytest.mark.parametrize(
    ("name", "why"),
    [("a..b", "empty"), ("x" * 64, "too long"), ("ä.b", "ASCII"), ("a\0b", "ASCII"), (".".join(["abcdefg"] * 32), "name is too long")],
)
def test_names_that_no_message_can_carry(name: str, why: str) -> None:
    with pytest.raises(DnsFormatError, match=why):
        encode_name(name)
    assert len(encode_name(".".join(["abcdefg"] * 31))) == 249


def test_whose_reply_it_is() -> None:
    query = encode_query(7, "a.example", "MX")
    good = reply()
    assert is_reply_to(good, query)
    assert is_reply_to(good.replace(b"example", b"EXAMPLE"), query)
    for bad in (
        b"", good[:20], b"\0\x08" + good[2:], query, good.replace(b"example", b"exampl3"), reply(kind="A"),
        good[:4] + b"\0\2" + good[6:],
    ):  # fmt: skip
        assert not is_reply_to(bad, query)


def record(owner: bytes, rtype: int, data: bytes, length: int | None = None) -> bytes:
    return owner + rtype.to_bytes(2, "big") + b"\0\1\0\0\0\5" + (len(data) if length is None else length).to_bytes(2, "big") + data


def message(kind: int, *records: bytes) -> bytes:
    counts = b"\0\1" + len(records).to_bytes(2, "big") + b"\0\0\0\0"
    return b"\0\1\x81\x80" + counts + b"\1a\0" + kind.to_bytes(2, "big") + b"\0\1" + b"".join(records)


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"\0" * 12,
        message(1)[:14],
        message(1, record(b"\xc0\x0c", 1, b"abc")),
        message(1, record(b"\xc0\x0c", 1, b"abcd", 40)),
        message(28, record(b"\xc0\x0c", 28, b"abcd")),
        message(15, record(b"\xc0\x0c", 15, b"\0\1")),
        message(16, record(b"\xc0\x0c", 16, b"\x09ab")),
        message(1, record(b"\xc0\xff", 1, b"abcd")),
        message(1, record(b"\xc0\x13", 1, b"abcd")),  # at itself
        message(1, record(b"\x80a\0", 1, b"abcd")),
        message(1, *[record(b"\1" + bytes([97 + at]) + b"\0", 5, b"\1" + bytes([98 + at]) + b"\0") for at in range(MAX_ALIASES)]),
        message(1, record(b"\xc0\x0c", 5, b"\xc0\x0c")),
    ],
)
def test_broken_ones(wire: bytes) -> None:
    with pytest.raises(DnsFormatError):
        decode_reply(wire)


def test_pointers_cost_no_time() -> None:
    """A chain of pointers that is as long as the message, and thousands of records that begin at its end."""
    pointers = b"".join((0xC000 | (30 + 2 * (at - 1))).to_bytes(2, "big") for at in range(1, 8000))
    head = record(b"\xc0\x0c", 99, b"\1z\0" + pointers)
    end = len(message(1, head)) - 2
    wire = message(1, head, *[record((0xC000 | end).to_bytes(2, "big"), 1, b"abcd") for _ in range(2000)])
    began = time.process_time()
    with pytest.raises(DnsFormatError):
        decode_reply(wire)
    assert time.process_time() - began < 0.5


@given(st.binary(max_size=200), st.integers(0, 60), st.binary(min_size=1, max_size=4))
def test_whatever_comes_is_read_or_refused(octets: bytes, at: int, change: bytes) -> None:
    good = reply(("a.example", 1, "CNAME", ["b.example."]), ("b.example", 300, "MX", ["10 mx.a.example."]))
    for wire in (octets, good[:12] + octets, good[:at] + change + good[at + len(change) :], good[: at + 12]):
        try:
            read = decode_reply(wire)
        except DnsFormatError:
            continue
        assert read.canonical.isprintable()
        assert wire is octets or all(text.isprintable() for _, text in read.records)
        assert rcode_of(wire) == read.rcode
