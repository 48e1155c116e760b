"""The whole application, asked without a socket, and the same on one: what the tests of this folder share."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import structlog
from litestar import Litestar
from msgspec import Struct
from uvicorn.server import ServerState

from postwright.control.config import loads
from postwright.control.http.app import make_routes
from postwright.control.http.asking import RelayAway, RelayClient
from postwright.control.http.front import Front
from postwright.control.http.shield import Shield
from postwright.control.http.site import Site
from postwright.control.http.speaker import Speaker, make_config
from postwright.engine.frames import Told

KEY = "k" * 32
PLAIN = f"http-redirect-to-https no\nhttp-api-key {KEY}\n"


class Relay(RelayClient):
    """Stands for the control socket: `answers` by verb, `asked` what was asked."""

    def __init__(self) -> None:
        super().__init__(Path("nowhere"))
        self.answers: dict[str, Told] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def ask_with(self, verb: str, arguments: dict[str, str]) -> Told:
        self.asked.append((verb, arguments))
        if verb not in self.answers:
            raise RelayAway("nobody is there")
        return self.answers[verb]


class Log:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def _keep(self, event: str, **fields: Any) -> None:
        self.lines.append({"event": event, **fields})

    info = warning = error = debug = _keep


class Answer(Struct):
    """What came back; names of fields in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


_routes: list[Litestar] = []  # made once: it takes a tenth of a second


def routes_of(page: Page) -> Litestar:
    """The application without its shield."""
    return _routes[0]


class Page:
    """The application with these settings: `await page.get("/status")`."""

    def __init__(self, folder: Path, config: str = PLAIN, relay: Relay | None = None) -> None:
        result = loads(config, "test.conf", state_dir=folder)
        assert result.settings is not None, [problem.render() for problem in result.problems]
        self.log = Log()
        self.connections: Counter[str] = Counter()  # by address, while it is served
        self.site = Site(result.settings, folder, structlog.get_logger(), b"secret")
        self.site.log = self.log  # type: ignore[assignment]
        self.relay = relay or Relay()
        self.site.relay = self.relay
        if not _routes:
            _routes.append(make_routes(self.site))
        _routes[0].state["site"] = self.site
        self.app = Shield(_routes[0], self.site)

    @staticmethod
    def scope(
        method: str,
        target: str,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        client: str = "192.0.2.9",
        scheme: str = "http",
        key: str = "",
        server: str = "198.51.100.1",
    ) -> Any:
        """A request as ASGI has it."""
        path, _, query = target.partition("?")
        fields = {"host": "relay.example", "content-length": str(len(body)), **(headers or {})}
        if key:
            fields["x-api-key"] = key
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": scheme,
            "path": unquote(path),
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in fields.items()],
            "client": (client, 40000),
            "server": (server, 8080),
            "state": {},
        }

    async def get(self, path: str, **more: Any) -> Answer:
        return await self.ask("GET", path, **more)

    async def post(self, path: str, body: bytes = b"", **more: Any) -> Answer:
        return await self.ask("POST", path, body=body, **more)

    async def ask(self, method: str, target: str, body: bytes = b"", **more: Any) -> Answer:
        """One request, all of its answer."""
        scope = self.scope(method, target, body=body, **more)
        parts = [{"type": "http.request", "body": body, "more_body": False}]
        answered = asyncio.Event()
        got: dict[str, Any] = {"status": 0, "headers": {}, "body": b""}

        async def receive() -> Any:
            if parts:
                return parts.pop()
            await answered.wait()  # nobody goes away before
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                got["status"] = message["status"]
                got["headers"] = {name.decode().lower(): value.decode() for name, value in message["headers"]}
            else:
                got["body"] += message.get("body", b"")
                if not message.get("more_body", False):
                    answered.set()

        await self.app(scope, receive, send)
        return Answer(**got)


@contextlib.asynccontextmanager
async def serving(page: Page, **bounds: int) -> AsyncIterator[int]:
    """The page on a port of 127.0.0.1, as the process has it."""
    config, state = make_config(page.app), ServerState()

    front = Front(lambda gone: Speaker(config, state, gone), page.site.tls.context, page.log, **bounds)  # type: ignore[arg-type]
    page.connections = front.open
    front.log_tls = page.site.settings.http.http_log_tls
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setblocking(False)
        task = asyncio.get_running_loop().create_task(front.serve(sock))
        try:
            yield sock.getsockname()[1]
        finally:
            task.cancel()
            for connection in list(state.connections):
                connection.transport.abort()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def said(port: int, octets: bytes, wait: float = 10.0) -> bytes:
    """Everything that comes back for these octets until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(octets)
    try:
        return await asyncio.wait_for(reader.read(), wait)
    finally:
        writer.close()
