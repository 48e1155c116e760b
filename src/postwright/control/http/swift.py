"""A connection on which most requests come in one piece: a message that is handed in, head and body whole in one read.

Such a request is read here, by the strictest form of HTTP/1.1, and goes to the same application; every other one, in whatever form, is
h11's as before. Reading and writing by h11 costs more than all else of such a request (140 us instead of 235). A request is taken whole
or not at all, and only while h11 holds nothing of another, so there is one opinion about where each begins and ends.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import h11
from uvicorn.config import Config
from uvicorn.server import ServerState

from postwright.control.http.speaker import LONGEST_HEAD, Speaker, complete

_LINE: Final = b"POST /api/v1/messages HTTP/1.1\r\n"
_field = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([!-~](?:[ -~\t]*[!-~])?)").fullmatch
_ONCE: Final = frozenset({b"host", b"content-length", b"content-type", b"authorization", b"x-api-key", b"idempotency-key"})
_NEVER: Final = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"connection", b"trailer", b"te"})
_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}

Fields = list[tuple[bytes, bytes]]


def whole(data: bytes) -> tuple[Fields, bytes] | None:
    """The fields (names in lower case) and the body of the only request that `data` is; None for what is anything else."""
    end = data.find(b"\r\n\r\n", 0, LONGEST_HEAD)
    if end < 0 or not data.startswith(_LINE):
        return None
    fields: Fields = []
    for line in data[len(_LINE) : end].split(b"\r\n"):
        found = _field(line)
        if found is None:
            return None
        fields.append((found[1].lower(), found[2]))
    names = [name for name, _ in fields]
    once = [name for name in names if name in _ONCE]
    if len(once) != len(set(once)) or not _NEVER.isdisjoint(names) or b"host" not in once:
        return None
    length = next((value for name, value in fields if name == b"content-length"), b"")
    if not length.isdigit() or len(length) > 9 or int(length) != len(data) - end - 4:
        return None
    return fields, data[end + 4 :]


class SwiftSpeaker(Speaker):
    """See the module. `_behind` is what has come while a request of this kind is answered."""

    def __init__(self, config: Config, server_state: ServerState, gone: Callable[[], None]) -> None:
        super().__init__(config, server_state, gone)
        self._busy = False
        self._last = False
        self._behind: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        if self._busy:
            self._behind.append(data)
            self.flow.pause_reading()
            return
        request = whole(data) if data.startswith(_LINE) and self._between() else None
        if request is None:
            super().data_received(data)
            return
        self._first = None
        self._since = 0.0  # it has come whole: nobody is waited for
        self._busy = True
        self._unset_keepalive_if_required()
        task = self.loop.create_task(self._serve(*request))
        task.add_done_callback(self._served)
        self.tasks.add(task)

    def _between(self) -> bool:
        """Has nothing of a request come, and is none being answered?"""
        conn = self.conn
        idle = conn.our_state is h11.IDLE and conn.their_state is h11.IDLE and not conn.trailing_data[0]
        return idle and not self._first and complete(self.cycle)

    async def _serve(self, fields: Fields, body: bytes) -> None:
        parts: list[Any] = [{"type": "http.request", "body": body, "more_body": False}]
        answer: list[bytes] = []

        async def receive() -> Any:
            return parts.pop() if parts else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                head = [*self.server_state.default_headers, *message["headers"]]
                lines = b"".join([b"%s: %s\r\n" % field for field in head])
                if lines.count(b"\n") != len(head) or lines.count(b"\r") != len(head):
                    raise ValueError("a field of an answer with a line end in it")
                answer.append(_LINES[message["status"]] + lines)
            else:
                answer.append(message.get("body", b""))
                if not message.get("more_body"):
                    self._write(answer)

        await self.app(self._scope(fields), receive, send)

    def _scope(self, fields: Fields) -> dict[str, Any]:
        return {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": "POST",
            "root_path": "",
            "path": "/api/v1/messages",
            "raw_path": b"/api/v1/messages",
            "query_string": b"",
            "headers": fields,
            "state": {},
        }

    def _write(self, answer: list[bytes]) -> None:
        """Head and body in one piece. A length is there, or made; `Connection: close` in an answer is obeyed."""
        head, *parts = answer
        body, low = b"".join(parts), head.lower()
        if b"\r\ncontent-length:" not in low:
            head += b"content-length: %d\r\n" % len(body)
        self._last = self._last or b"\r\nconnection: close\r\n" in low
        if self._last and b"\r\nconnection:" not in low:
            head += b"connection: close\r\n"
        if not self.transport.is_closing():
            self.transport.write(head + b"\r\n" + body)

    def _served(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self.server_state.total_requests += 1
        self._busy = False
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.loop.call_exception_handler({"message": "an HTTP request failed", "exception": error})
        if self.transport.is_closing():
            return
        if error is not None or task.cancelled() or self._last:
            self.transport.close()
            return
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
        self.flow.resume_reading()
        behind, self._behind = b"".join(self._behind), []
        if behind:
            self.data_received(behind)

    def shutdown(self) -> None:
        """After the answer that is under way, if one is."""
        if self._busy:
            self._last = True
        else:
            super().shutdown()
