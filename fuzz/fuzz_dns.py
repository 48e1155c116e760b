"""Replies of name servers: `wire.dns_message.decode_reply` may raise DnsFormatError, and never gives a name that could harm a terminal."""

from __future__ import annotations

from common import run

from postwright.wire.dns_message import DnsFormatError, decode_reply, encode_query, is_reply_to

_HEAD = b"\0\1\x81\x80\0\1\0\2\0\1\0\0\1a\7example\0"
_ALIAS = b"\xc0\x0c\0\5\0\1\0\0\0\x3c\0\4\1b\xc0\x0e"
_SOA = b"\xc0\x0e\0\6\0\1\0\0\0\x3c\0\x18\xc0\x0e\xc0\x0e" + bytes(20)
SEEDS = [
    _HEAD + b"\0\x0f\0\1" + _ALIAS + b"\xc0\x23\0\x0f\0\1\0\0\0\x3c\0\6\0\x0a\2mx\xc0\x0e" + _SOA,
    _HEAD + b"\0\1\0\1" + _ALIAS + b"\xc0\x23\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1" + _SOA,
    _HEAD + b"\0\x1c\0\1" + _ALIAS + b"\xc0\x23\0\x1c\0\1\0\0\0\x3c\0\x10" + bytes(16) + _SOA,
    _HEAD + b"\0\x10\0\1" + _ALIAS + b"\xc0\x23\0\x10\0\1\0\0\0\x3c\0\7\2ab\3cde" + _SOA,
    _HEAD + b"\0\x34\0\1" + _ALIAS + b"\xc0\x23\0\x34\0\1\0\0\0\x3c\0\5\3\1\1\xab\xcd" + _SOA,
]
_QUERY = encode_query(1, "a.example", "MX")


def fuzz_one(data: bytes) -> None:
    is_reply_to(data, _QUERY)
    try:
        reply = decode_reply(data)
    except DnsFormatError:
        return
    assert reply.ttl >= 0
    assert "\n" not in reply.canonical
    assert reply.canonical.isprintable()


if __name__ == "__main__":
    run(fuzz_one, SEEDS)
