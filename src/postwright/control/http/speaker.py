"""One HTTP connection: uvicorn's protocol on h11, lenient to PowerMTA's old clients, and impatient with whoever would hold it for ever.

Munin's plug-in for PowerMTA ends its lines with LF alone and sends no Host; h11 reads the former, and a Host is added to a first request
that has none, which is then the connection's last. What is no HTTP gets 400 of h11. Heads are bounded by h11, in time here: a head has
`HEAD` seconds, a body must come at `SLOWEST` octets a second or more, and an answer must be taken.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

LONGEST_HEAD = 32 * 1024
HEAD = 15.0  # seconds from the first octet of a head to its end
BODY = 20.0  # seconds that a body may take without being asked how fast it comes
SLOWEST = 1024  # octets a second after that
STUCK = 60.0  # seconds in which a client must take something of what we have for it
IDLE = 15.0  # seconds between two requests
LOOK = 2.0

_head_ends = re.compile(rb"\n\r?\n").search
_request_line = re.compile(rb"[!-~]+ [!-~]+ HTTP/1\.1[ \t]*\r?\n").match
_has_host = re.compile(rb"\nhost[ \t]*:", re.IGNORECASE).search


def with_host(head: bytes, host: bytes) -> bytes:
    """A request's first octets, with a Host and the word that it is the last if there is no Host in its head (RFC 9112 section 3.2 would
    refuse it)."""
    end = _head_ends(head)
    if end is None or _request_line(head) is None or _has_host(head, 0, end.end()):
        return head
    # at the end: behind the request line, a line that begins with a blank would become a part of ours
    at = end.start() + 1
    return head[:at] + b"Host: " + host + b"\r\nConnection: close\r\n" + head[at:]


class Speaker(H11Protocol):
    """`gone` is called once when the connection has ended."""

    def __init__(self, config: Config, server_state: ServerState, gone: Callable[[], None]) -> None:
        super().__init__(config, server_state, {}, asyncio.get_running_loop())
        self._gone = gone
        self._first: bytearray | None = bytearray()
        self._since = 0.0  # when the head, or the body, that is being read began
        self._octets = 0
        self._pending = 0
        self._moved = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self._moved = self.loop.time()
        self._timer = self.loop.call_later(LOOK, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)
        self._gone()

    def data_received(self, data: bytes) -> None:
        if self._first is not None:
            self._first += data
            if _head_ends(self._first) is None and len(self._first) <= LONGEST_HEAD:
                return
            data, self._first = with_host(bytes(self._first), self._local()), None
        if not self._since:
            self._since = self.loop.time()
            self._octets = 0
        self._octets += len(data)
        super().data_received(data)

    def _local(self) -> bytes:
        if self.server is None:
            return b"localhost"
        host, port = self.server[0], self.server[1]
        return (f"[{host}]:{port}" if ":" in host else f"{host}:{port}").encode("ascii", "replace")

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # a request that has come behind this one has begun already, or lies there in part
        begun = len(self.conn.trailing_data[0]) > 0 or not complete(self.cycle)
        self._since, self._octets = self.loop.time() if begun else 0.0, 0

    def _look(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        now = self.loop.time()
        if self._too_slow(now) or self._stuck(now):
            self.transport.abort()
            return
        self._timer = self.loop.call_later(LOOK, self._look)

    def _too_slow(self, now: float) -> bool:
        """Is a head or a body being read, and does it take too long?"""
        if not self._since or self.flow.read_paused:
            return False
        took = now - self._since
        if complete(self.cycle):
            return took > HEAD
        return bool(self.cycle.more_body) and took > BODY and self._octets < SLOWEST * took

    def _stuck(self, now: float) -> bool:
        """Have we something for it that it does not take?"""
        pending = self.transport.get_write_buffer_size()
        if not pending or pending != self._pending:
            self._pending, self._moved = pending, now
        return now - self._moved > STUCK


def complete(cycle: RequestResponseCycle | None) -> bool:
    """Is there no request that waits for its answer?"""
    return cycle is None or bool(cycle.response_complete)


def make_config(app: Any) -> Config:
    """uvicorn's configuration of a Speaker: no log of its own, no Server field, no proxy's word believed."""
    config = Config(
        app,
        interface="asgi3",
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=int(IDLE),
        h11_max_incomplete_event_size=LONGEST_HEAD,
    )
    config.load()
    return config
