"""The sandbox's inbox: what its receiver was given, and a form that sends a test through the sandbox. A relay at work has none.

Messages are strangers' words: they are shown as text, with their header fields decoded, never as HTML, and cut where they are long. A
message is known by the number that the receiver gave it, and by nothing that could be a path.
"""

from __future__ import annotations

import asyncio
import re
import socket
from email import policy
from email.errors import MessageError as EmailError
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from litestar import Response, get, post
from litestar.params import QueryParameter
from msgspec import Struct

from postwright.control.http.problems import Refused
from postwright.control.monitor.frame import AnyRequest, Page
from postwright.engine import trial
from postwright.engine.trial import Order
from postwright.engine.trial_message import Draft, MessageError, compose
from postwright.model.address import parse_mailbox
from postwright.model.errors import AddressError

ROWS: Final = 50
LARGEST: Final = 1 << 20  # octets of a message that are read
GLANCE: Final = 1 << 16  # octets of each one in the list, which wants no more than its header
LONGEST: Final = 20_000  # characters of its text that are shown
PATIENCE: Final = 10.0
FROM, TO, SUBJECT = "you@example.org", "friend@example.com", "My first message"

_number = re.compile(r"\d{1,12}").fullmatch


class Envelope(Struct):
    """What the receiver has written beside each message (a part of it). `at` Unix seconds."""

    at: float = 0.0
    mail_from: str = ""
    rcpt_to: list[dict[str, str]] = []
    size: int = 0
    tls: str = ""


class Letter(Struct):
    """One message."""

    number: str
    envelope: Envelope
    subject: str
    fields: list[tuple[str, str]]
    text: str


def letters(folder: Path, most: int) -> tuple[int, list[Letter]]:
    """How many there are, and the newest. Raises OSError."""
    numbers = sorted((path.stem for path in folder.glob("*.eml") if _number(path.stem)), key=int, reverse=True)
    return len(numbers), [letter(folder, number, GLANCE) for number in numbers[:most]]


def letter(folder: Path, number: str, octets: int = LARGEST) -> Letter:
    """Of so many octets. Raises OSError, ValueError for what is no number."""
    if not _number(number):
        raise ValueError("no such message")
    with (folder / f"{number}.eml").open("rb") as file:
        content = file.read(octets)
    message = BytesParser(EmailMessage, policy=policy.default.clone(raise_on_defect=False)).parsebytes(content)
    fields = [(name, _shown(value)) for name, value in message.raw_items()] if message.keys() else []
    return Letter(number, _envelope(folder / f"{number}.json"), _decoded(message, "subject"), fields, _text(message, content))


def _envelope(path: Path) -> Envelope:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Envelope)
    except (OSError, msgspec.MsgspecError):
        return Envelope()  # the receiver writes it a moment later


def _decoded(message: EmailMessage, name: str) -> str:
    try:
        return str(message.get(name, ""))
    except (ValueError, IndexError, AttributeError, EmailError):  # the standard library's parsers, on what strangers write
        return ""


def _shown(value: object) -> str:
    return str(value).encode("utf-8", "replace").decode("utf-8")[:2000]


def _text(message: EmailMessage, content: bytes) -> str:
    try:
        body = message.get_body(("plain", "html"))
        text = body.get_content() if body is not None else ""
    except (ValueError, LookupError, AttributeError, EmailError):
        text = ""
    return (text if isinstance(text, str) and text else content.decode("utf-8", "replace"))[:LONGEST]


def _folder(page: Page) -> Path:
    if page.site.config_file is not None:
        raise Refused(404, "only the sandbox has an inbox")
    return page.site.state_dir / "inbox"


def _smtp(page: Page) -> tuple[str, int]:
    listener = next((one for one in page.site.settings.listeners if not one.immediate_tls and one.protocol == "smtp"), None)
    return (listener.address, listener.port) if listener is not None else ("127.0.0.1", 25)


async def _list(page: Page, **values: Any) -> Response[str]:
    count, shown = await asyncio.to_thread(letters, _folder(page), ROWS)
    host, port = _smtp(page)
    given = {"sender": FROM, "to": TO, "subject": SUBJECT} | values.pop("given", {})
    template = "inbox_rows.html" if page.is_fragment else "inbox.html"
    return page.shown(template, count=count, letters=shown, smtp=f"{host}:{port}", given=given, **({"told": None} | values))


@get("/ui/inbox", opt={"scope": "logs"}, include_in_schema=False)
async def inbox(request: AnyRequest) -> Response[str]:
    """What came; as a fragment, only this."""
    return await _list(Page(request, "inbox"))


@get("/ui/letter", opt={"scope": "logs"}, include_in_schema=False)
async def one(request: AnyRequest, number: Annotated[str, QueryParameter(max_length=12)]) -> Response[str]:
    """One message."""
    page = Page(request, "inbox")
    try:
        found = await asyncio.to_thread(letter, _folder(page), number)
    except (OSError, ValueError):
        raise Refused(404, "there is no such message") from None
    return page.shown("letter.html", letter=found)


@post("/ui/inbox", opt={"scope": "submit"}, include_in_schema=False, status_code=200)
async def send(request: AnyRequest) -> Response[str]:
    """Sends a test by SMTP, as a program would."""
    page = Page(request, "inbox")
    _folder(page)
    form = await request.form()
    given = {name: str(form.get(name, ""))[:300] for name in ("sender", "to", "subject")}
    try:
        ok, said = await asyncio.to_thread(_sent, _smtp(page), given)
    except (AddressError, MessageError) as error:
        ok, said = False, str(error)
    return await _list(page, told=(ok, said), given=given)


def _sent(place: tuple[str, int], given: dict[str, str]) -> tuple[bool, str]:
    sender, to = parse_mailbox(given["sender"].strip()), parse_mailbox(given["to"].strip())
    content = compose(Draft(sender, (to,), subject=given["subject"], text="It works.\n")).content
    outcome = trial.run(Order(place[0], place[1], "none", sender, (to,), content, patience=PATIENCE, helo=socket.gethostname()))
    return outcome.sent, outcome.said or outcome.detail


ROUTES: list[Any] = [inbox, one, send]
