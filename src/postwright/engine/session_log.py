"""What the log tells of inbound sessions: `log-connections`, `log-commands`, `log-data` and `log-tls` of a source.

    >>> MAIL FROM:<a@example.com>        received
    <<< 250 2.1.0 MAIL ok                sent
    >>> 0000  48 45 4c 4f 20 78 0d 0a                          |HELO x..|

Decided when a session begins, by the source that the client's address has, and once more when a login (or XCLIENT) has made it another's:
the others cost nothing. What is logged once is logged to its end. Secrets are hidden before
anything comes here (`wire.watched`). What a peer says is written with its control octets escaped, and lines are cut at a bound.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import structlog

from postwright.net.visit import PeerFacts
from postwright.policy.settings import SourceSettings

LONGEST = 2000  # characters of a line that are shown
_WIDTH = 16


class SessionLog:
    """One session's; see `wire.watched.Watch` and `net.visit.Onlooker`."""

    __slots__ = ("_commands", "_connections", "_data", "_heard", "_log", "_said", "_tls")

    def __init__(self, source: SourceSettings, log: structlog.stdlib.BoundLogger, peer: PeerFacts) -> None:
        self._connections, self._tls = source.log_connections, source.log_tls
        self._commands, self._data = source.log_commands, source.log_data
        self._log = log.bind(session=f"{peer.peer}:{peer.peer_port}")
        self._heard = self._said = 0  # octets that have been dumped
        if self._connections:
            self._log.info("session begins", at=f"{peer.local}:{peer.local_port}")

    def heard(self, line: bytes) -> None:
        if self._commands:
            self._line(">>>", line)
        if self._data:
            self._heard = self._dump(">>>", self._heard, line)

    def content(self, data: bytes) -> None:
        if self._data:
            self._heard = self._dump(">>>", self._heard, data)

    def said(self, data: bytes) -> None:
        if self._commands:
            for line in data.splitlines():
                self._line("<<<", line)
        if self._data:
            self._said = self._dump("<<<", self._said, data)

    def secured(self, version: str, cipher: str) -> None:
        if self._tls:
            self._log.info("TLS begins", version=version, cipher=cipher)

    def ended(self, error: BaseException | None) -> None:
        if self._tls and isinstance(error, ssl.SSLError):
            self._log.info("TLS did not begin", error=str(error) or type(error).__name__)
        if self._connections:
            self._log.info("session ends", error=str(error) if error is not None else "")

    def _line(self, arrow: str, line: bytes) -> None:
        self._log.info(f"{arrow} {line[:LONGEST].rstrip().decode('utf-8', 'backslashreplace')}")

    def _dump(self, arrow: str, at: int, data: bytes) -> int:
        for row in dump(data, at):
            self._log.info(f"{arrow} {row}")
        return at + len(data)


def dump(data: bytes, at: int = 0) -> Iterator[str]:
    """Rows of sixteen octets: where in the session, in hexadecimal, and as ASCII with dots for the others."""
    for start in range(0, len(data), _WIDTH):
        row = data[start : start + _WIDTH]
        shown = "".join([chr(octet) if 0x20 <= octet < 0x7F else "." for octet in row])
        yield f"{at + start:04x}  {row.hex(' '):<{_WIDTH * 3 - 1}}  |{shown}|"


def session_log(source: SourceSettings, log: structlog.stdlib.BoundLogger | None, peer: PeerFacts) -> SessionLog | None:
    """None where nothing of this session is to be logged."""
    wanted = source.log_connections or source.log_commands or source.log_data or source.log_tls
    return SessionLog(source, log, peer) if wanted and log is not None else None
