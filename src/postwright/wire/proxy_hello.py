"""What a client says to a proxy before it speaks to the host behind it: a PROXY header (HAProxy, versions 1 and 2), or SOCKS5.

A PROXY header names who wants the connection and to whom; it has no answer, and the host's first octets follow. SOCKS5 (RFC 1928, with the
login of RFC 1929) is a short dialogue: octets in, octets out, until it is `done` or has a `Refused`. Bounded: no answer of a proxy has
more than some 260 octets. Pure; nothing here raises for what a proxy says.
"""

from __future__ import annotations

import ipaddress
from enum import Enum
from typing import Final

from msgspec import Struct

from postwright.model.outcome import Fault
from postwright.wire.proxy_line import SIGNATURE

_PROXY_TCP4: Final = b"\x21\x11"  # version 2 and PROXY; INET and STREAM (proxy-protocol.txt section 2.2)
_PROXY_TCP6: Final = b"\x21\x21"

# RFC 1928
_VERSION: Final = 5
_NO_LOGIN, _LOGIN, _NONE_FITS = 0, 2, 0xFF
_CONNECT, _IPV4, _NAME, _IPV6 = 1, 1, 3, 4
_LOGIN_VERSION: Final = 1  # RFC 1929


def header(version: int, source: tuple[str, int], destination: tuple[str, int]) -> bytes:
    """The header for a connection from `source` to `destination`, (IP address, port) both of one family. Raises ValueError if not."""
    ours, theirs = ipaddress.ip_address(source[0]), ipaddress.ip_address(destination[0])
    if ours.version != theirs.version:
        raise ValueError(f"{ours} cannot reach {theirs}: different address families")
    if version == 1:
        return f"PROXY TCP{ours.version} {ours} {theirs} {source[1]} {destination[1]}\r\n".encode("ascii")
    body = ours.packed + theirs.packed + source[1].to_bytes(2, "big") + destination[1].to_bytes(2, "big")
    return SIGNATURE + (_PROXY_TCP4 if ours.version == 4 else _PROXY_TCP6) + len(body).to_bytes(2, "big") + body


class Refused(Struct, frozen=True):
    """Why there is no way through. `fault` PROXY: it is the proxy's; else the host behind it is meant."""

    fault: Fault
    detail: str


# RFC 1928 section 6. What a proxy says of the host counts as if we had met it ourselves.
_REPLIES: Final = {
    1: Refused(Fault.PROXY, "the proxy failed"),
    2: Refused(Fault.PROXY, "the proxy does not allow this connection"),
    3: Refused(Fault.UNREACHABLE, "network unreachable, says the proxy"),
    4: Refused(Fault.UNREACHABLE, "host unreachable, says the proxy"),
    5: Refused(Fault.REFUSED, "connection refused, says the proxy"),
    6: Refused(Fault.TIMEOUT, "no connection, says the proxy (TTL expired)"),
    7: Refused(Fault.PROXY, "the proxy knows no CONNECT"),
    8: Refused(Fault.PROXY, "the proxy does not know this type of address"),
}
_NONSENSE: Final = Refused(Fault.PROXY, "the proxy does not speak SOCKS5")
_LOGIN_REFUSED: Final = Refused(Fault.PROXY, "the proxy refused the login")
_LOGIN_WANTED: Final = Refused(Fault.PROXY, "the proxy wants another login")


class _Step(Enum):
    METHOD = "method"
    LOGIN = "login"
    CONNECT = "connect"


class Socks5:
    """One dialogue, up to the reply to CONNECT. `receive` what comes, send what `data_to_send` gives.

    `user` "" for none; else user and password of at most 255 octets each (raises ValueError). Who reads no more than `wants` leaves the
    host's first words where they are; what came behind the last reply all the same is `rest`.
    """

    __slots__ = ("_buffer", "_out", "_password", "_step", "_target", "_user", "done", "refused", "rest")

    def __init__(self, address: str, port: int, user: str = "", password: str = "") -> None:
        self._user, self._password = user.encode(), password.encode()
        if len(self._user) > 255 or len(self._password) > 255:
            raise ValueError("a user name or password of a SOCKS5 proxy has at most 255 octets")
        target = ipaddress.ip_address(address)
        kind = _IPV4 if target.version == 4 else _IPV6
        self._target = bytes((_VERSION, _CONNECT, 0, kind)) + target.packed + port.to_bytes(2, "big")
        self._buffer = b""
        self._step = _Step.METHOD
        methods = bytes((_NO_LOGIN, _LOGIN)) if user else bytes((_NO_LOGIN,))
        self._out = bytes((_VERSION, len(methods))) + methods
        self.done = False
        self.refused: Refused | None = None
        self.rest = b""

    def data_to_send(self) -> bytes:
        """What to send now."""
        out, self._out = self._out, b""
        return out

    @property
    def wants(self) -> int:
        """Octets that are still missing, as far as can be told now; 0 when there is an outcome."""
        if self.done or self.refused is not None:
            return 0
        have = len(self._buffer)
        if self._step is not _Step.CONNECT:
            return 2 - have
        return (5 if have < 5 else self._end()) - have

    @property
    def asked(self) -> bool:
        """The proxy knows whom we want, and answers when the host does."""
        return self._step is _Step.CONNECT

    def receive(self, data: bytes) -> None:
        """What the proxy said. Nothing is taken in after `done` or `refused`."""
        self._buffer += data
        while not self.done and self.refused is None and self._advance():
            pass

    def _advance(self) -> bool:
        """One answer, if it is there whole."""
        if self._step is _Step.CONNECT:
            return self._connected()
        if len(self._buffer) < 2:
            return False
        answer, self._buffer = self._buffer[:2], self._buffer[2:]
        if self._step is _Step.METHOD:
            self._method(answer)
        elif answer[1]:
            self.refused = _LOGIN_REFUSED
        else:
            self._ask()
        return True

    def _method(self, answer: bytes) -> None:
        version, method = answer
        if version != _VERSION:
            self.refused = _NONSENSE
        elif method == _NO_LOGIN:
            self._ask()
        elif method == _LOGIN and self._user:
            user, password = self._user, self._password
            self._out += bytes((_LOGIN_VERSION, len(user))) + user + bytes((len(password),)) + password
            self._step = _Step.LOGIN
        else:
            self.refused = _LOGIN_WANTED if method in (_LOGIN, _NONE_FITS) else _NONSENSE

    def _ask(self) -> None:
        self._out += self._target
        self._step = _Step.CONNECT

    def _connected(self) -> bool:
        """The reply to CONNECT: version, code, 0, and an address that nobody needs."""
        head = self._buffer
        if len(head) < 2:
            return False
        if head[0] != _VERSION:
            self.refused = _NONSENSE
            return True
        if head[1]:
            self.refused = _REPLIES.get(head[1], _REPLIES[1])
            return True
        if len(head) < 5:
            return False
        end = self._end()
        if not end:
            self.refused = _NONSENSE
            return True
        if len(head) < end:
            return False
        self.rest, self._buffer, self.done = head[end:], b"", True
        return True

    def _end(self) -> int:
        """Where a reply to CONNECT ends, of which five octets are there; 0 for an address of no kind."""
        size = {_IPV4: 4, _IPV6: 16, _NAME: 1 + self._buffer[4]}.get(self._buffer[3])
        return 4 + size + 2 if size is not None else 0
