"""What every request passes before it meets a route, and every answer after it: framing, TLS, host, identity, the head's fields, the log.

    framing     Content-Length and Transfer-Encoding together are how one request is smuggled behind another (RFC 9112 section 6.3): 400
    redirect    plain HTTP is sent to HTTPS where `http-redirect-to-https` says so
    host        a name that is not ours, on a loopback socket, is a page of a stranger whose DNS points at us (rebinding): 421
    identity    `access.Gate`; nobody without any right gets past here

Raises nothing: a refusal is an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import time
from collections.abc import Callable
from typing import Any, cast

from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from postwright.control.http.access import Identity, Refusal
from postwright.control.http.problems import as_bytes
from postwright.control.http.site import Site

_host = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?").fullmatch
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_FIELDS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_SECRET = ("authorization", "x-api-key", "cookie", "set-cookie", "x-csrf-token")
_holds_secrets = re.compile(r"/command$|/configFile$|/api/v1/config/").match  # keys of `digest`, passwords of the configuration
MOST_LOGGED = 4096  # octets of one piece of a body
MOST_DRAINED = 16 << 20  # octets
DRAIN = 3.0  # seconds


class Shield:
    """An ASGI application around another. `scope["identity"]` is who asks."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope = cast(HTTPScope, scope)  # uvicorn's lifespan and websockets are off
        headers = fields_of(scope)
        answer = _Answer(self._site, scope, headers, receive, send)
        refusal = _misframed(headers) or _redirect(self._site, scope, headers) or _misdirected(self._site, scope, headers)
        if refusal is None:
            refusal = self._admit(scope, headers)
        if refusal is not None:
            await answer.refuse(*refusal)
        else:
            await self._app(scope, answer.receive, answer.send)
        answer.told()

    def _admit(self, scope: HTTPScope, headers: dict[str, str]) -> _Refuse | None:
        found = self._site.identify(peer(scope), headers)
        if isinstance(found, Refusal):
            if found.status == 401:  # so many from one address, and it is told no more
                self._site.log.warning("an API key was refused", peer=peer(scope), why=found.why)
            wait = [(b"retry-after", str(found.retry_after).encode())] if found.retry_after else []
            # no `Basic`: a browser that is asked for one keeps it, and sends it with requests that others forge
            realm = [(b"www-authenticate", b'Bearer realm="postwright"')] if found.status == 401 else []
            return found.status, found.why, wait + realm
        if not found.scopes:
            return 403, "nothing is allowed from this address (see http-access)", []
        cast(dict[str, Any], scope)["identity"] = found
        return None


_Refuse = tuple[int, str, list[tuple[bytes, bytes]]]


class _Answer:
    """The way of one answer: adds the fields that all have, and knows what the log wants to know."""

    def __init__(self, site: Site, scope: HTTPScope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        self._site = site
        self._scope = scope
        self._receive = receive
        self._send = send
        # with Expect the body comes only when it is asked for
        self._unread = "expect" not in headers and ("transfer-encoding" in headers or headers.get("content-length", "0") != "0")
        self._began = time.monotonic()
        self._status = 0
        self._octets = 0
        self._data = site.settings.http.http_log_data
        if self._data:
            shown = {name: "***" if name in _SECRET else value for name, value in headers.items()}
            site.log.info("http data", peer=peer(scope), way="in", line=_line(scope), head=shown)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if self._unread and message["status"] >= 400:
                await self._drain()
            self._status = message["status"]
            named = {name.lower() for name, _ in message["headers"]}
            extra = [field for field in _FIELDS if field[0] not in named]
            if b"cache-control" not in named:
                extra.append((b"cache-control", b"no-store"))
            age = self._site.settings.http.http_strict_transport_security_max_age
            if age and self._scope["scheme"] == "https":  # RFC 6797 section 7.2: not over plain HTTP
                extra.append((b"strict-transport-security", b"max-age=%d" % age))
            message["headers"] = [*message["headers"], *extra]
            if self._data:
                head = {n.decode("latin-1").lower(): v.decode("latin-1") for n, v in message["headers"]}
                head = {name: "***" if name in _SECRET else value for name, value in head.items()}
                self._site.log.info("http data", peer=peer(self._scope), way="out", status=self._status, head=head)
        elif message["type"] == "http.response.body":
            self._octets += len(message["body"])
            if self._data:
                self._log_body("out", message["body"])
        await self._send(message)

    async def receive(self) -> Any:
        """The next piece of the request's body."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._unread = message["more_body"]
            if self._data:
                self._log_body("in", message["body"])
        else:
            self._unread = False
        return message

    async def _drain(self) -> None:
        """Take some of a body that nobody wants: who is still sending when we close never sees our answer (RFC 9112 section 9.6)."""
        left = MOST_DRAINED
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN):
                while self._unread and left > 0:
                    message: Any = await self._receive()
                    left -= len(message.get("body", b""))
                    self._unread = bool(message.get("more_body", False))

    def _log_body(self, way: str, octets: bytes) -> None:
        if octets:
            text = "***" if _holds_secrets(self._scope["path"]) else octets[:MOST_LOGGED].decode("utf-8", "backslashreplace")
            self._site.log.info("http data", peer=peer(self._scope), way=way, octets=len(octets), body=text)

    async def refuse(self, status: int, why: str, fields: list[tuple[bytes, bytes]]) -> None:
        media, body = as_bytes(self._scope["path"], status, why)
        head = [(b"content-type", media.encode()), (b"content-length", str(len(body)).encode()), (b"connection", b"close"), *fields]
        await self.send({"type": "http.response.start", "status": status, "headers": head})
        await self.send({"type": "http.response.body", "body": b"" if self._scope["method"] == "HEAD" else body, "more_body": False})

    def told(self) -> None:
        """The request's line of the log."""
        if not self._site.settings.http.http_log_requests:
            return
        who = identity_in(self._scope)
        seconds = round(time.monotonic() - self._began, 4)
        self._site.log.info(
            "http request",
            peer=peer(self._scope),
            who=who.name if who else "",
            line=_line(self._scope),
            status=self._status,
            octets=self._octets,
            seconds=seconds,
        )


def fields_of(scope: HTTPScope) -> dict[str, str]:
    """The head's fields by their lower-case names; of several with one name the last."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def peer(scope: HTTPScope) -> str:
    """The address that asks."""
    client = scope["client"]
    return client[0] if client else "127.0.0.1"


def identity_in(scope: Any) -> Identity | None:
    """Who asks, once that is known."""
    found = scope.get("identity")
    return found if isinstance(found, Identity) else None


def _line(scope: HTTPScope) -> str:
    query = scope["query_string"].decode("latin-1")
    if query and scope["path"] == "/command":
        query = "***"
    return f"{scope['method']} {scope['path']}{'?' if query else ''}{query}"


def _misframed(headers: dict[str, str]) -> _Refuse | None:
    if "content-length" in headers and "transfer-encoding" in headers:
        return 400, "Content-Length and Transfer-Encoding together", []
    return None


def _redirect(site: Site, scope: HTTPScope, headers: dict[str, str]) -> _Refuse | None:
    """301 keeps GET; 308 keeps what else it was, with its body (RFC 9110 section 15.4)."""
    if scope["scheme"] == "https" or not site.settings.http.http_redirect_to_https:
        return None
    host = headers.get("host", "")
    if not _host(host):
        return 400, "the host is no name", []
    raw = scope["raw_path"].decode("latin-1") + ("?" + scope["query_string"].decode("latin-1") if scope["query_string"] else "")
    status = 301 if scope["method"] in ("GET", "HEAD") else 308
    return status, "this is to be asked for over https", [(b"location", f"https://{host}{raw}".encode("latin-1"))]


def _misdirected(site: Site, scope: HTTPScope, headers: dict[str, str]) -> _Refuse | None:
    """A browser on this machine must not be led to us by the name of a stranger's page."""
    server = scope["server"]
    if server is None or not _loopback(server[0]) or "host" not in headers:
        return None
    name = headers["host"].rpartition(":")[0] if re.search(r":\d*$", headers["host"]) else headers["host"]
    if _is(ipaddress.ip_address, name.strip("[]")) or name.lower() in ("localhost", *map(str.lower, site.settings.general.host_name)):
        return None
    return 421, "no host of that name is here (on this machine: localhost, an address, or the host-name of the configuration)", []


def _loopback(address: str) -> bool:
    return _is(ipaddress.ip_address, address) and ipaddress.ip_address(address).is_loopback


def _is(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True
