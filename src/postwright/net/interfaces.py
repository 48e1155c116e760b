"""The addresses of this machine, for `smtp-source-host` given as a network. Reads /proc (Linux); elsewhere it knows none."""

from __future__ import annotations

import ipaddress
from itertools import pairwise
from pathlib import Path


def local_addresses() -> tuple[str, ...]:
    """All local addresses, IPv4 first, without loopback's own."""
    found: dict[str, None] = {}
    for address in (*_four(), *_six()):
        if not ipaddress.ip_address(address).is_loopback:
            found[address] = None
    return tuple(found)


def _four() -> list[str]:
    try:
        lines = Path("/proc/net/fib_trie").read_text().splitlines()
    except OSError:
        return []
    return [before.split()[-1] for before, line in pairwise(lines) if "/32 host LOCAL" in line]


def _six() -> list[str]:
    try:
        lines = Path("/proc/net/if_inet6").read_text().splitlines()
    except OSError:
        return []
    raw = [line.split()[0] for line in lines if line]
    return [str(ipaddress.IPv6Address(int(text, 16))) for text in raw if not text.startswith("fe80")]
