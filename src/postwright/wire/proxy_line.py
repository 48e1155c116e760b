"""The PROXY protocol's header, versions 1 and 2, as a receiver reads it (HAProxy's proxy-protocol.txt of 2020).

Octets in, cut anywhere; what comes out is who is at the far end, and how many octets were the header's, so that not one of those behind
it is touched. Nothing is believed that is not exactly as the text says. A header is bounded: 107 octets, or 16 and `MOST_EXTRA`.
Malformed is a value, not an exception; nothing here raises.
"""

from __future__ import annotations

import ipaddress
import struct
from enum import Enum
from typing import Final

from msgspec import Struct

SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
LONGEST_V1: Final = 107  # octets with CRLF (section 2.1)
MOST_EXTRA: Final = 4096  # octets of addresses and TLVs; what is known of TLVs comes to some hundreds, and certificates are not sent
_HEADER_V2: Final = 16
_PORT: Final = struct.Struct("!H")


class Bad(Enum):
    """The one way in which a header fails: no header."""

    HEADER = 0


class ProxyHeader(Struct, frozen=True):
    """Who speaks through the proxy: plain IP texts and ports. `local`: it says nothing of others."""

    local: bool
    source: str = ""
    source_port: int = 0
    destination: str = ""
    destination_port: int = 0


LOCAL: Final = ProxyHeader(True)


class ProxyReader:
    """Reads one header. `result` is None until it has come whole."""

    __slots__ = ("_data", "result")

    def __init__(self) -> None:
        self._data = b""
        self.result: ProxyHeader | Bad | None = None

    def feed(self, data: bytes) -> int:
        """How many octets of `data` are the header's. Feed what follows those, until there is a `result`."""
        before = len(self._data)
        whole = self._data + data
        start = whole[: len(SIGNATURE)]
        if start == SIGNATURE[: len(start)]:
            end = self._version_2(whole)
        elif start[:6] == b"PROXY "[: len(start)]:
            end = self._version_1(whole)
        else:
            self.result = Bad.HEADER
            return 0
        self._data = whole[:end]
        return max(0, end - before)

    def _version_1(self, whole: bytes) -> int:
        """The end of what belongs to a text header."""
        end = whole.find(b"\n", 0, LONGEST_V1)
        if end < 0:
            if len(whole) >= LONGEST_V1:
                self.result = Bad.HEADER
            return min(len(whole), LONGEST_V1)
        self.result = _line(whole[: end + 1])
        return end + 1

    def _version_2(self, whole: bytes) -> int:
        """The end of what belongs to a binary header."""
        if len(whole) < _HEADER_V2:
            return len(whole)
        size: int = _PORT.unpack_from(whole, 14)[0]
        if size > MOST_EXTRA:
            self.result = Bad.HEADER
            return _HEADER_V2
        end = _HEADER_V2 + size
        if len(whole) >= end:
            self.result = _binary(whole[12], whole[13], whole[_HEADER_V2:end])
        return min(len(whole), end)


def _line(line: bytes) -> ProxyHeader | Bad:
    """`PROXY TCP4 192.0.2.1 192.0.2.2 56324 25` with CRLF; behind UNKNOWN anything may stand, and nothing of it counts."""
    if not line.endswith(b"\r\n"):
        return Bad.HEADER
    words = line[:-2].split(b" ")
    if words[1] == b"UNKNOWN":
        return LOCAL
    if len(words) != 6 or words[1] not in (b"TCP4", b"TCP6"):
        return Bad.HEADER
    version = 4 if words[1] == b"TCP4" else 6
    source, destination = _address(words[2], version), _address(words[3], version)
    ports = [_port(words[4]), _port(words[5])]
    if not source or not destination or min(ports) < 0:
        return Bad.HEADER
    return ProxyHeader(False, source, ports[0], destination, ports[1])


def _address(word: bytes, version: int) -> str:
    """An address in its canonical form, "" for what is none."""
    try:
        text = word.decode("ascii")
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    return _plain(address) if address.version == version and "%" not in text else ""


def _plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """IPv4 as IPv4, even where it comes as IPv6: rules are written for plain addresses."""
    return str(getattr(address, "ipv4_mapped", None) or address)


def _port(word: bytes) -> int:
    """-1 for what is no port. No leading zeros (section 2.1)."""
    if not word.isdigit() or len(word) > 5 or (word.startswith(b"0") and word != b"0"):
        return -1
    port = int(word)
    return port if port < 65536 else -1


def _binary(version_command: int, family_protocol: int, body: bytes) -> ProxyHeader | Bad:
    """Version and command, family and protocol, then addresses, then TLVs, which are skipped (section 2.2)."""
    version, command = version_command >> 4, version_command & 15
    family, protocol = family_protocol >> 4, family_protocol & 15
    if version != 2 or command > 1 or family > 3 or protocol > 2:
        return Bad.HEADER
    if command == 0 or protocol != 1 or family not in (1, 2):
        return LOCAL  # LOCAL, UNSPEC, a Unix socket, a datagram: "the receiver should ignore the addresses" and use the real ones
    width = 4 if family == 1 else 16
    if len(body) < 2 * width + 4:
        return Bad.HEADER
    source, destination = (_plain(ipaddress.ip_address(body[at : at + width])) for at in (0, width))
    source_port, destination_port = (_PORT.unpack_from(body, 2 * width + at)[0] for at in (0, 2))
    return ProxyHeader(False, source, source_port, destination, destination_port)
