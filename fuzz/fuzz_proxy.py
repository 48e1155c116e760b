"""Fuzzes the reader of PROXY headers, versions 1 and 2, and the dialogue with a SOCKS5 proxy: they raise nothing, and take no octet that is
not the header's. Results must not depend on how the octets are cut.
"""

from __future__ import annotations

import ipaddress

import common

from postwright.wire.proxy_hello import Socks5
from postwright.wire.proxy_line import LONGEST_V1, MOST_EXTRA, SIGNATURE, Bad, ProxyHeader, ProxyReader

SEEDS = (
    b"PROXY TCP4 203.0.113.9 192.0.2.1 56324 25\r\nEHLO",
    b"PROXY TCP6 2001:db8::9 2001:db8::1 56324 25\r\n",
    b"PROXY UNKNOWN ffff::f...f\r\n",
    SIGNATURE + b"\x21\x11\0\x0f\xcb\0\x71\x09\xc0\0\x02\x01\xdc\x04\0\x19\x04\0\0EHLO",
    SIGNATURE + b"\x21\x21\0\x24" + bytes(36),
    SIGNATURE + b"\x20\0\0\0",
    b"\5\0\5\0\0\1\x0a\0\0\1\x12\x34220 hi",
    b"\5\2\1\0\5\0\0\3\5proxy\0\0",
    b"\5\0\5\5\0\1",
)


def fuzz_one(data: bytes) -> None:
    whole, piecewise = ProxyReader(), ProxyReader()
    taken = whole.feed(data)
    assert 0 <= taken <= min(len(data), max(LONGEST_V1, 16 + MOST_EXTRA))
    if whole.result is None:
        assert taken == len(data)
    for at in range(len(data)):
        if piecewise.result is not None:
            break
        assert piecewise.feed(data[at : at + 1]) <= 1
    assert piecewise.result == whole.result
    _sane(whole.result)
    _socks(data)


def _socks(data: bytes) -> None:
    whole, piecewise = (Socks5("2001:db8::1", 25, "joe", "secret") for _ in range(2))
    whole.receive(data)
    for at in range(len(data)):
        if piecewise.done or piecewise.refused is not None:
            break
        piecewise.receive(data[at : at + 1])
    assert (piecewise.done, piecewise.refused) == (whole.done, whole.refused)
    assert not (whole.done and whole.refused is not None)
    assert piecewise.data_to_send() == whole.data_to_send()


def _sane(result: ProxyHeader | Bad | None) -> None:
    if isinstance(result, ProxyHeader) and not result.local:
        for address in (result.source, result.destination):
            assert str(ipaddress.ip_address(address)) == address
        assert 0 <= min(result.source_port, result.destination_port) <= max(result.source_port, result.destination_port) < 65536


if __name__ == "__main__":
    common.run(fuzz_one, SEEDS)
