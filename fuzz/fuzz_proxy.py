"""Fuzzes the reader of PROXY headers, versions 1 and 2: it raises nothing, and takes no octet that is not the header's.

Its result must not depend on how the octets are cut.
"""

from __future__ import annotations

import ipaddress

import common

from postwright.wire.proxy_line import LONGEST_V1, MOST_EXTRA, SIGNATURE, Bad, ProxyHeader, ProxyReader

SEEDS = (
    b"PROXY TCP4 203.0.113.9 192.0.2.1 56324 25\r\nEHLO",
    b"PROXY TCP6 2001:db8::9 2001:db8::1 56324 25\r\n",
    b"PROXY UNKNOWN ffff::f...f\r\n",
    SIGNATURE + b"\x21\x11\0\x0f\xcb\0\x71\x09\xc0\0\x02\x01\xdc\x04\0\x19\x04\0\0EHLO",
    SIGNATURE + b"\x21\x21\0\x24" + bytes(36),
    SIGNATURE + b"\x20\0\0\0",
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


def _sane(result: ProxyHeader | Bad | None) -> None:
    if isinstance(result, ProxyHeader) and not result.local:
        for address in (result.source, result.destination):
            assert str(ipaddress.ip_address(address)) == address
        assert 0 <= min(result.source_port, result.destination_port) <= max(result.source_port, result.destination_port) < 65536


if __name__ == "__main__":
    common.run(fuzz_one, SEEDS)
