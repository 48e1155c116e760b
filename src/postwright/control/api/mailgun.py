"""Submission in the manner of Mailgun, so that its client libraries send through us by changing one address.

    POST /v3/DOMAIN/messages        form fields: from, to, cc, bcc, subject, text, html, amp-html, attachment, inline, h:NAME, v:NAME,
                                    o:tag, o:deliverytime, o:testmode, o:require-tls, recipient-variables
    POST /v3/DOMAIN/messages.mime   to, and message: a whole message

Basic auth `api:KEY`, as there. Answers have its form: `{"id": "<Message-ID>", "message": "Queued. Thank you."}`, and `refused` beside it
where some recipients were; errors are `{"message": ...}`. What we have not is refused where mail would be another without it (templates),
and else let pass (tracking). Values of recipient-variables go into HTML as they are, as with Mailgun.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.datastructures import UploadFile
from litestar.params import FromPath
from msgspec import Struct

from postwright.control.api.handing_in import Order, RefusedRecipient, hand_in, refused
from postwright.control.api.messages import LARGE, LARGEST
from postwright.control.api.mime_build import MADE_HERE, File, Holes, Letter, Mailbox, MimeError, build, checked
from postwright.control.http.guard import identity_of, site_of
from postwright.control.http.problems import Refused
from postwright.control.http.shield import peer
from postwright.engine.local_message import mailboxes as in_lists
from postwright.engine.scripts import Asked, To

QUEUED = "Queued. Thank you."
TAGS_MOST = 32
_hole = re.compile(r"%recipient[._]?([A-Za-z0-9_][^%\s]{0,99})?%")
_domain = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?").fullmatch
_message_id = re.compile(rb"^message-id[ \t]*:[ \t]*(<[^<>\s]{1,900}>)", re.IGNORECASE | re.MULTILINE).search
_YES = ("yes", "true", "1")


class Form(Struct):
    """The fields by name, each as often as it was given; files apart."""

    fields: dict[str, list[str]]
    files: dict[str, list[File]]

    def all(self, name: str) -> list[str]:
        return self.fields.get(name, [])

    def one(self, name: str) -> str:
        return self.fields.get(name, [""])[-1]

    def says(self, name: str) -> bool:
        return self.one(name).lower() in _YES


class Queued(Struct, omit_defaults=True):
    """Mailgun's answer; `refused` is ours."""

    id: str
    message: str
    refused: list[RefusedRecipient] = []


class Prepared(Struct, frozen=True):
    """What a form comes to; `message_id` with its brackets."""

    order: Order
    message_id: str


_OPT: Any = {"scope": "submit", "pace": False}


@post("/v3/{domain:str}/messages", opt=_OPT, include_in_schema=False, status_code=200, request_max_body_size=LARGEST)
async def messages(request: Request[Any, Any, Any], domain: FromPath[str]) -> Response[bytes]:
    """Hand in a message as to Mailgun: form fields and files."""
    return await _answered(request, domain, prepared)


@post("/v3/{domain:str}/messages.mime", opt=_OPT, include_in_schema=False, status_code=200, request_max_body_size=LARGEST)
async def mime(request: Request[Any, Any, Any], domain: FromPath[str]) -> Response[bytes]:
    """Hand in a whole message as to Mailgun: `to` and the file `message`."""
    return await _answered(request, domain, prepared_mime)


async def _answered(request: Request[Any, Any, Any], domain: str, prepare: Any) -> Response[bytes]:
    try:
        return _json(200, msgspec.json.encode(await _queued(request, domain, prepare)))
    except Refused as error:
        wait = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
        text = "; ".join([error.detail, *error.errors])
        return _json(400 if error.status == 422 else error.status, msgspec.json.encode({"message": text}), wait)


def _json(status: int, body: bytes, headers: dict[str, str] | None = None) -> Response[bytes]:
    return Response(body, status_code=status, media_type="application/json", headers=headers or {})


async def _queued(request: Request[Any, Any, Any], domain: str, prepare: Any) -> Queued:
    if _domain(domain) is None:
        raise Refused(404, "no domain looks like this")
    form, size = await read(request)
    try:
        ready: Prepared = prepare(form, domain) if size < LARGE else await asyncio.to_thread(prepare, form, domain)
    except (MimeError, ValueError) as error:
        raise Refused(422, str(error)) from None
    if form.says("o:testmode"):
        return Queued(ready.message_id, QUEUED)
    told = await hand_in(site_of(request), identity_of(request), peer(request.scope), ready.order)
    return Queued(ready.message_id, QUEUED, refused=refused(told, ready.order))


async def read(request: Request[Any, Any, Any]) -> tuple[Form, int]:
    """The form, and about how large it is."""
    found, size = Form({}, {}), 0
    for name, value in (await request.form()).multi_items():
        if isinstance(value, UploadFile):
            data = await value.read()
            file = File(value.filename or "", data, value.content_type or "application/octet-stream")
            found.files.setdefault(name, []).append(file)
            size += len(data)
        else:
            found.fields.setdefault(name, []).append(str(value))
            size += len(str(value))
    return found, size


def prepared(form: Form, domain: str) -> Prepared:
    """Raises MimeError, ValueError."""
    if form.one("template"):
        raise ValueError("templates are not kept here: send text or html")
    senders = people("from", form.all("from"))
    if len(senders) != 1:
        raise ValueError("from parameter is missing" if not senders else "from: one sender is expected")
    to, cc, bcc = (people(name, form.all(name)) for name in ("to", "cc", "bcc"))
    if not to:
        raise ValueError("to parameter is missing")
    message_id = f"<{int(time.time())}.{secrets.token_hex(10)}@{domain}>"
    letter = Letter(
        senders[0],
        subject=checked("subject", form.one("subject")),
        text=form.one("text"),
        html=form.one("html"),
        amp=form.one("amp-html"),
        files=(*form.files.get("attachment", ()), *map(_inline, form.files.get("inline", ()))),
        fields=(*_fields(form), ("Message-ID", message_id)),
    )
    asked = asked_of(form)
    if form.one("recipient-variables"):
        if cc or bcc:
            raise ValueError("cc and bcc cannot be given with recipient-variables: each has a copy of his own")
        return Prepared(_batch(letter, to, _variables(form.one("recipient-variables")), asked), message_id)
    content = build(msgspec.structs.replace(letter, to=to, cc=cc))
    return Prepared(Order(senders[0].address, [To(one.address) for one in (*to, *cc, *bcc)], content, asked), message_id)


def prepared_mime(form: Form, domain: str) -> Prepared:
    """Raises ValueError."""
    files = form.files.get("message")
    content = files[0].data if files else form.one("message").encode()
    to = people("to", form.all("to"))
    if not to or not content:
        raise ValueError("to parameter is missing" if not to else "message parameter is missing")
    if not content.endswith(b"\n"):
        content += b"\r\n"
    head = content[: _header_end(content)]
    known = _message_id(head)
    message_id = known[1].decode("ascii", "replace") if known else f"<{int(time.time())}.{secrets.token_hex(10)}@{domain}>"
    if known is None:
        content = f"Message-ID: {message_id}\r\n".encode() + content
    senders = in_lists([_unfolded(head, b"sender") or _unfolded(head, b"from")])
    sender = next((address for _, address in senders if address), "")
    if not sender:
        raise ValueError("message: there is no From")
    return Prepared(Order(sender, [To(one.address) for one in to], content, asked_of(form)), message_id)


def _header_end(content: bytes) -> int:
    found = re.search(rb"\r?\n\r?\n", content)
    return found.start() + 1 if found else len(content)


def _unfolded(head: bytes, name: bytes) -> str:
    found = re.search(rb"^%s[ \t]*:((?:[^\r\n]|\r?\n[ \t])*)" % name, head, re.IGNORECASE | re.MULTILINE)
    return re.sub(r"\r?\n[ \t]", " ", found[1].decode("utf-8", "replace")).strip() if found else ""


def _batch(letter: Letter, to: tuple[Mailbox, ...], known: Mapping[str, Mapping[str, str]], asked: Asked) -> Order:
    holes = Holes([_values(one, known.get(one.address, {})) for one in to], to=to, escapes_html=False, pattern=_hole)
    content = build(letter, holes)
    recipients = [To(one.address, values) for one, values in zip(to, holes.values, strict=True)]
    return Order(letter.sender.address, recipients, content, asked, merge=True)


def _values(one: Mailbox, own: Mapping[str, str]) -> dict[str, str]:
    first, _, last = one.name.partition(" ")
    return {"email": one.address, "name": one.name, "fname": first, "lname": last, **own}


def _variables(text: str) -> dict[str, dict[str, str]]:
    try:
        found = msgspec.json.decode(text, type=dict[str, dict[str, str | int | float | bool | None]])
    except (msgspec.MsgspecError, RecursionError):
        raise ValueError("recipient-variables: a JSON object of objects was expected, by address") from None
    return {who: {name: _text(value) for name, value in own.items()} for who, own in found.items()}


def _text(value: str | int | float | bool | None) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def people(name: str, lists: list[str]) -> tuple[Mailbox, ...]:
    """Mailboxes, several in one field or each in its own. Raises ValueError."""
    found = [Mailbox(address, who) for who, address in in_lists([checked(name, one) for one in lists])]
    if lists and any(one.strip() for one in lists) and not all(one.address for one in found):
        raise ValueError(f"'{name}' parameter is not a valid address. please check documentation")
    return tuple([one for one in found if one.address])


def _inline(file: File) -> File:
    """Mailgun's Content-ID is the name of the file."""
    return msgspec.structs.replace(file, content_id=re.sub(r"[^!-~]|[<>]", "_", file.name) or "inline")


def _fields(form: Form) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    for name, values in form.fields.items():
        if name.startswith("h:"):
            if name[2:].lower() in MADE_HERE - {"reply-to", "sender"}:
                continue
            fields += [(name[2:], value) for value in values]
    tags = form.all("o:tag")
    if len(tags) > TAGS_MOST:
        raise ValueError(f"o:tag: more than {TAGS_MOST}")
    fields += [("X-Mailgun-Tag", tag) for tag in tags]
    variables = {name[2:]: values[-1] for name, values in form.fields.items() if name.startswith("v:")}
    if variables:
        fields.append(("X-Mailgun-Variables", json.dumps(variables)))
    return fields


def asked_of(form: Form) -> Asked:
    """Raises ValueError."""
    text = form.one("o:deliverytime")
    at = 0.0
    if text:
        try:
            at = float(text) if text.isdecimal() else parsedate_to_datetime(text).timestamp()
        except (ValueError, TypeError, OverflowError):
            raise ValueError("o:deliverytime: a date of RFC 2822 was expected") from None
    return Asked(send_at=at, require_tls=form.says("o:require-tls"))


ROUTES = [messages, mime]
