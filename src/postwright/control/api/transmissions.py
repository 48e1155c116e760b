"""PowerMTA's transmissions API on ports of its own: `<transmissions-api-listener IP:PORT>`, HTTPS only (powermta.md section 4).

    POST /api/v1/transmissions       Authorization: KEY       Content-Length
    {"return_path": ..., "campaign_id": JOB, "options": {"smtputf8": true}, "content": {"email_rfc822": ...},
     "recipients": [{"address": "a@b" or {"email": "a@b"}, "return_path": ..., "substitution_data": {"*custommessageid": ...}}]}
    200 {"results": {"total_accepted_recipients": 1, "total_rejected_recipients": 0, "id": ...}}
    4xx, 5xx {"errors": [{"message": ..., "description": ...}]}

`id` is ours. Recipients with return paths of their own make it a mail merge whose template has no holes. An ASGI application that owns no
socket; what it was not asked for in this very form is 400, 403, 404 or 405. It raises nothing.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable
from typing import Any, cast

import msgspec
from litestar.types import HTTPScope, Receive, Scope, Send
from msgspec import Struct, structs

from postwright.control.api.handing_in import Order, hand_in, refused
from postwright.control.http.access import Identity
from postwright.control.http.problems import Refused
from postwright.control.http.shield import fields_of, peer
from postwright.control.http.site import Site
from postwright.engine.http_tls import HttpTls
from postwright.engine.injector import TRANSMISSIONS
from postwright.engine.scripts import Asked, To
from postwright.model.errors import PostwrightError
from postwright.policy.settings import ApiListener, ApiSettings, Settings

PATH = "/api/v1/transmissions"
LARGEST = 60 * 1024 * 1024  # octets of a request
MOST_LOGGED = 4096  # octets of a body
_SUBSTITUTION = "*custommessageid"


class Email(Struct):
    email: str


class Recipient(Struct):
    address: str | Email
    return_path: str | None = None
    substitution_data: dict[str, str] = {}


class Content(Struct):
    email_rfc822: str


class Options(Struct, frozen=True):
    smtputf8: bool = False


class Transmission(Struct):
    """The request; names that we do not know are let pass."""

    recipients: list[Recipient]
    content: Content
    return_path: str = ""
    campaign_id: str = ""
    options: Options = Options()


class No(PostwrightError):
    """The request's end: a status, and the two texts of an error."""

    def __init__(self, status: int, message: str, description: str = "", retry_after: int = 0) -> None:
        super().__init__(message)
        self.status, self.message, self.description, self.retry_after = status, message, description, retry_after


class Transmissions:
    """The application for all its listeners; settings are those of `site` as of now."""

    def __init__(self, site: Site) -> None:
        self._site = site

    @property
    def settings(self) -> ApiSettings:
        return self._site.settings.transmissions_api or ApiSettings()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope = cast(HTTPScope, scope)  # uvicorn's lifespan and websockets are off
        began, headers = time.monotonic(), fields_of(scope)
        try:
            status, answer = 200, await self._answer(scope, headers, receive)
            wait = 0
        except No as error:
            status, wait = error.status, error.retry_after
            answer = msgspec.json.encode({"errors": [{"message": error.message, "description": error.description}]})
        except Exception as error:
            self._site.log.error("unexpected", what=f"{scope['method']} {scope['path']}", exc_info=error)
            status, wait, answer = 500, 0, b'{"errors":[{"message":"internal error","description":""}]}'
        await _send(send, status, answer, wait)
        if self.settings.log_requests:
            seconds = round(time.monotonic() - began, 4)
            line = f"{scope['method']} {scope['path']}"
            self._site.log.info("transmissions request", peer=peer(scope), line=line, status=status, seconds=seconds)

    async def _answer(self, scope: HTTPScope, headers: dict[str, str], receive: Receive) -> bytes:
        if scope["scheme"] != "https":
            raise No(400, "HTTPS is expected on this port")
        if scope["path"] != PATH:
            raise No(404, "not found", f"POST {PATH} is all there is")
        if scope["method"] != "POST":
            raise No(405, "method not allowed", f"POST {PATH} is all there is")
        who = self._known(headers.get("authorization", ""), peer(scope))
        body = await self._body(headers, receive)
        if self.settings.log_data:
            text = body[:MOST_LOGGED].decode("utf-8", "replace")
            self._site.log.info("transmissions data", peer=peer(scope), octets=len(body), body=text)
        order = await asyncio.to_thread(order_of, body) if len(body) > 256 * 1024 else order_of(body)
        try:
            told = await hand_in(self._site, who, peer(scope), order)
        except Refused as error:
            status = 400 if error.status == 422 else error.status
            raise No(status, error.detail, "; ".join(error.errors), error.retry_after) from None
        rejected = len(refused(told, order))
        results = {"total_accepted_recipients": told.recipients - rejected, "total_rejected_recipients": rejected, "id": told.id}
        return msgspec.json.encode({"results": results})

    def _known(self, shown: str, address: str) -> Identity:
        """Whose key it is. All are compared, so that time tells nothing."""
        found = 0
        for number, key in enumerate(self.settings.api_key, 1):
            if hmac.compare_digest(key.encode(), shown.strip().encode("utf-8", "surrogateescape")):
                found = number
        if not found:
            raise No(403, "forbidden", "the key in Authorization is not known here")
        return Identity(f"key transmissions-api {found}", address, frozenset({"submit"}), by_key=True)

    async def _body(self, headers: dict[str, str], receive: Receive) -> bytes:
        length = headers.get("content-length", "")
        if not length.isdecimal() or "transfer-encoding" in headers:
            raise No(400, "Content-Length is required")
        if int(length) > LARGEST:
            raise No(400, f"the request has more than {LARGEST} octets")
        parts = bytearray()
        while True:
            message: Any = await receive()
            if message["type"] == "http.disconnect":
                raise No(400, "the request was cut short")
            parts += message.get("body", b"")
            if not message.get("more_body"):
                return bytes(parts)


def order_of(body: bytes) -> Order:
    """What is to be handed in. Raises No."""
    try:
        asked = msgspec.json.decode(body, type=Transmission)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise No(400, "the request is not JSON of the expected form", str(error)) from None
    if not asked.recipients:
        raise No(400, "recipients is empty")
    content = asked.content.email_rfc822.encode("utf-8", "replace")
    merge = any(one.return_path is not None for one in asked.recipients)
    recipients = [_recipient(one, merge=merge) for one in asked.recipients]
    if not asked.options.smtputf8 and not all(to.address.isascii() for to in recipients):
        raise No(400, "an address is not ASCII", "options.smtputf8 is needed for it")
    if merge:
        content = content.replace(b"[", b"[[]")  # a template without holes: there a bracket stands for itself like that
    return Order(asked.return_path, recipients, content, Asked(job=asked.campaign_id), merge, TRANSMISSIONS)


def _recipient(one: Recipient, *, merge: bool) -> To:
    strange = next((name for name in one.substitution_data if name.lower() != _SUBSTITUTION), None)
    if strange is not None:
        raise No(400, "substitution_data takes *custommessageid only", strange[:100])
    address = one.address if isinstance(one.address, str) else one.address.email
    own = {name.lower(): value for name, value in one.substitution_data.items()} if merge else {}
    return To(address, own | ({"*from": one.return_path} if one.return_path is not None else {}))


async def _send(send: Send, status: int, body: bytes, wait: int) -> None:
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store")]
    if wait:
        head.append((b"retry-after", str(wait).encode()))
    if status == 405:
        head.append((b"allow", b"POST"))
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def listener_tls(settings: Settings, listener: ApiListener, site: Site) -> Callable[[], Any]:
    """The context of a listener: by its own directives the rules that the monitor's port has by others."""
    http = structs.replace(
        settings.http,
        http_tls_certificate=listener.tls_certificate,
        http_tls_certificate_password=listener.tls_certificate_password,
        http_tls_ca_file=listener.tls_ca_file,
        http_tls_allow_tlsv1=listener.tls_allow_tlsv1,
        http_tls_allow_tlsv1_1=listener.tls_allow_tlsv1_1,
        http_tls_allow_tlsv1_2=listener.tls_allow_tlsv1_2,
        http_tls_allow_tlsv1_3=listener.tls_allow_tlsv1_3,
        http_tls_ciphers=listener.tls_ciphers,
        http_tls_tlsv1_3_ciphersuites=listener.tls_tlsv1_3_ciphersuites,
    )
    return HttpTls(structs.replace(settings, http=http), site.state_dir).context
