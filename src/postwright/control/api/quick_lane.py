"""The way of most requests: a message that is handed in with a key. It goes past the framework, which costs as much as the rest of it.

It takes `POST /api/v1/messages` of whoever shows a key with the scope, as JSON of a known length, and gives the answers that the route
(`messages.submit`) gives; all else goes on to the routes. A quarter of the processor time of such a request is saved. Raises nothing.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from postwright.control.api.idempotency import LONGEST
from postwright.control.api.message_models import NewMessage
from postwright.control.api.messages import LARGEST, PATH, answered
from postwright.control.http.problems import Refused, as_bytes
from postwright.control.http.shield import fields_of, identity_in, peer
from postwright.control.http.site import Site

_decode = msgspec.json.Decoder(NewMessage).decode


class QuickLane:
    """An ASGI application around the routes, behind the shield."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope = cast(HTTPScope, scope)
        if scope["path"] != PATH or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        who, headers = identity_in(scope), fields_of(scope)
        media = headers.get("content-type", "").partition(";")[0].strip().lower()
        length, key = headers.get("content-length", ""), headers.get("idempotency-key", "")
        known = length.isdecimal() and int(length) <= LARGEST and media == "application/json" and len(key) <= LONGEST
        basic = headers.get("authorization", "")[:5].lower() == "basic"  # a browser may send that by itself: the routes look closer
        if who is None or not who.by_key or not who.may("submit") or basic or not known:
            await self._app(scope, receive, send)
            return
        try:
            body = await _body(receive)
            answer = await answered(self._site, who, peer(scope), _read(body), body, key)
            extra = [(b"idempotent-replayed", b"true")] if answer.again else []
            await _send(send, answer.status, b"application/json", answer.body, extra)
        except Refused as error:
            wait = [(b"retry-after", str(error.retry_after).encode())] if error.retry_after else []
            media, octets = as_bytes(PATH, error.status, error.detail, error.errors)
            await _send(send, error.status, media.encode(), octets, wait)
        except Exception as error:  # a defect of ours: the log has it, the peer has not
            self._site.log.error("unexpected", what=f"POST {PATH}", exc_info=error)
            media, octets = as_bytes(PATH, 500, "the log has more")
            await _send(send, 500, media.encode(), octets, [])


def _read(body: bytes) -> NewMessage:
    try:
        return _decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Refused(400, str(error)) from None


async def _body(receive: Receive) -> bytes:
    """All of it; h11 has seen to its length."""
    message: Any = await receive()
    if not message.get("more_body"):
        return bytes(message.get("body", b""))
    parts = [message["body"]]
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "the request was cut short")
        parts.append(message.get("body", b""))
    return b"".join(parts)


async def _send(send: Send, status: int, media: bytes, body: bytes, extra: list[tuple[bytes, bytes]]) -> None:
    head = [(b"content-type", media), (b"content-length", str(len(body)).encode()), *extra]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body, "more_body": False})
