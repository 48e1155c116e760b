"""What `/api/v1/messages` takes, as JSON, and how it becomes a letter (`mime_build`) or a template with its variables.

Every value has a bound; what is none raises MimeError or ValueError, whose text names the field. Nothing is sent here.
"""

from __future__ import annotations

import re
import time
from base64 import b64decode
from datetime import UTC, datetime

import msgspec
from msgspec import Struct, field

from postwright.control.api.mime_build import MADE_HERE, File, Holes, Letter, Mailbox, MimeError, build, checked
from postwright.engine.local_message import mailboxes as in_lists
from postwright.engine.scripts import Asked, To

_NOTIFY = ("never", "success", "failure", "delay")
_name = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}").fullmatch
_plain = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}").fullmatch  # nearly all that programs send to
TAGS_MOST = 32
VARIABLES_MOST = 128


class NamedAddress(Struct):
    """A mailbox with a name for people."""

    email: str
    name: str = ""


Someone = str | NamedAddress


class Attachment(Struct):
    """A file; `content` in base64. With `content_id` it is part of the HTML (`<img src="cid:ID">`), else it is attached."""

    content: str
    filename: str = ""
    type: str = "application/octet-stream"
    content_id: str = ""


class BatchRecipient(Struct):
    """One who gets a copy of his own, addressed to him alone, with his own values for `{{name}}` in subject, headers, text and HTML."""

    email: str
    name: str = ""
    variables: dict[str, str] = {}


class Options(Struct):
    """What is asked of delivery. Times are RFC 3339 (`2030-01-31T08:00:00Z`) or Unix seconds.

    `virtual_mta` names a virtual MTA or a pool; `priority` 0 to 100 in steps of five, 50 the usual one; `expires_at` and `expires_in`
    (seconds): what is not delivered by then bounces; `notify`: reports wanted (`success`, `failure`, `delay`, or `never`), and whether
    they have the whole message, by `return_content`. `tags` and `metadata` go into the fields X-Tag and X-Metadata, for accounting and
    events.
    """

    virtual_mta: str = ""
    job: str = ""
    envelope_id: str = ""
    priority: int = 50
    send_at: str | float | None = None
    expires_at: str | float | None = None
    expires_in: float | None = None
    require_tls: bool = False
    verp: bool = False
    notify: list[str] = []
    return_content: bool | None = None
    tags: list[str] = []
    metadata: dict[str, str] = {}


class NewMessage(Struct, rename={"sender": "from"}):
    """A message to be sent. Either `raw` (a whole message of RFC 5322, as text) or `raw_base64` with `from` and `to`, or its pieces.

    `return_path` is where bounces go, the address of `from` if it is not said. `recipients` instead of `to`, `cc` and `bcc` is a batch:
    each gets a copy of his own.
    """

    sender: Someone
    to: Someone | list[Someone] = []
    cc: Someone | list[Someone] = []
    bcc: Someone | list[Someone] = []
    recipients: list[BatchRecipient] = []
    reply_to: Someone | list[Someone] = []
    return_path: str | None = None
    subject: str = ""
    text: str = ""
    html: str = ""
    amp: str = ""
    headers: dict[str, str] = {}
    attachments: list[Attachment] = []
    raw: str = ""
    raw_base64: str = ""
    options: Options = field(default_factory=Options)


class Made(Struct, frozen=True):
    """What is to be handed in."""

    sender: str
    recipients: list[To]
    content: bytes
    asked: Asked
    merge: bool


def made(message: NewMessage) -> Made:
    """Raises MimeError, ValueError."""
    sender = mailbox("from", message.sender)
    asked = _asked(message.options)
    back = sender.address if message.return_path is None else message.return_path
    to, cc, bcc = (mailboxes(name, who) for name, who in (("to", message.to), ("cc", message.cc), ("bcc", message.bcc)))
    everybody = [To(one.address) for one in (*to, *cc, *bcc)]
    if message.recipients and everybody:
        raise ValueError("recipients (a batch) and to, cc, bcc exclude each other")
    if message.raw or message.raw_base64:
        _only_raw(message)
        content = _fields_before(message.options) + _raw(message)
        return Made(back, everybody or [To(one.email) for one in message.recipients], content, asked, merge=False)
    if message.recipients:
        return _batch(message, sender, back, asked)
    return Made(back, everybody, build(_letter(message, sender, to, cc)), asked, merge=False)


def _batch(message: NewMessage, sender: Mailbox, back: str, asked: Asked) -> Made:
    """One template, and what each recipient's copy has in its holes."""
    own = [_variables(one) for one in message.recipients]
    to = [mailbox("recipients", NamedAddress(one.email, one.name)) for one in message.recipients]
    holes = Holes(own, to=to, escapes_html=True)
    content = build(_letter(message, sender, (), ()), holes)
    recipients = [To(one.email, values) for one, values in zip(message.recipients, holes.values, strict=True)]
    return Made(back, recipients, content, asked, merge=True)


def _variables(one: BatchRecipient) -> dict[str, str]:
    if len(one.variables) > VARIABLES_MOST:
        raise ValueError(f"recipients: more than {VARIABLES_MOST} variables for one")
    wrong = next((name for name in one.variables if _name(name) is None), None)
    if wrong is not None:
        raise ValueError(f"recipients: {wrong[:40]!a} is no name of a variable (a letter, then letters, digits and _)")
    return {"email": one.email, "name": one.name, **one.variables}


def _letter(message: NewMessage, sender: Mailbox, to: tuple[Mailbox, ...], cc: tuple[Mailbox, ...]) -> Letter:
    for name in message.headers:
        if name.lower() in MADE_HERE:
            raise MimeError(f"headers: {name[:40]} is made of other values")
    return Letter(
        sender,
        to,
        cc,
        mailboxes("reply_to", message.reply_to),
        checked("subject", message.subject),
        message.text,
        message.html,
        message.amp,
        tuple([_file(one) for one in message.attachments]),
        (*message.headers.items(), *_told(message.options)),
    )


def _only_raw(message: NewMessage) -> None:
    pieces = ("subject", "text", "html", "amp", "headers", "attachments", "reply_to")
    also = [name for name in pieces if getattr(message, name)]
    if also or (message.raw and message.raw_base64):
        raise ValueError(f"a raw message is whole: {', '.join(also) or 'raw_base64'} cannot be given beside it")


def _raw(message: NewMessage) -> bytes:
    octets = message.raw.encode("utf-8", "surrogatepass") if message.raw else _base64("raw_base64", message.raw_base64)
    return octets if octets.endswith(b"\n") else octets + b"\r\n"


def _told(options: Options) -> list[tuple[str, str]]:
    if len(options.tags) > TAGS_MOST:
        raise ValueError(f"options.tags: more than {TAGS_MOST}")
    fields = [("X-Tag", tag) for tag in options.tags]
    if options.metadata:
        fields.append(("X-Metadata", _ascii_json(options.metadata)))
    return fields


def _ascii_json(values: dict[str, str]) -> str:
    text = msgspec.json.encode(values).decode()
    return "".join([c if c.isascii() else f"\\u{ord(c):04x}" if ord(c) < 0x10000 else _pair(ord(c)) for c in text])


def _pair(point: int) -> str:
    high, low = divmod(point - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def _fields_before(options: Options) -> bytes:
    lines = []
    for name, value in _told(options):
        checked(name, value)
        if not value.isascii() or len(value) > 900:
            raise MimeError(f"{name}: of a raw message this has to be short ASCII")
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines).encode()


def _file(one: Attachment) -> File:
    return File(one.filename, _base64("attachments", one.content), one.type, one.content_id)


def _base64(place: str, text: str) -> bytes:
    try:
        return b64decode("".join(text.split()), validate=True)
    except ValueError:
        raise ValueError(f"{place}: not base64") from None


def mailbox(place: str, who: Someone) -> Mailbox:
    """The only one. Raises ValueError."""
    found = mailboxes(place, who)
    if len(found) != 1:
        raise ValueError(f"{place}: one address is expected")
    return found[0]


def mailboxes(place: str, who: Someone | list[Someone]) -> tuple[Mailbox, ...]:
    """`a@b`, `Name <a@b>`, both parts apart; one or several, also in one text with commas. Raises ValueError."""
    return tuple([one for some in (who if isinstance(who, list) else [who]) for one in _said(place, some)])


def _said(place: str, who: Someone) -> list[Mailbox]:
    if isinstance(who, NamedAddress):
        return [Mailbox(who.email.strip(), who.name)]
    if _plain(who) is not None:
        return [Mailbox(who)]
    found = in_lists([checked(place, who)])
    if who.strip() and not all(address for _, address in found):
        raise ValueError(f"{place}: {who[:100]!a} is no address")
    return [Mailbox(address, name) for name, address in found if address]


def _asked(options: Options) -> Asked:
    words = [word.lower() for word in options.notify]
    if any(word not in _NOTIFY for word in words) or ("never" in words and len(words) > 1):
        raise ValueError("options.notify: a list of success, failure, delay; or never alone")
    if options.expires_at is not None and options.expires_in is not None:
        raise ValueError("options: expires_at and expires_in exclude each other")
    expires = when("options.expires_at", options.expires_at)
    if options.expires_in is not None:
        if not 0 < options.expires_in < 1e9:
            raise ValueError("options.expires_in: seconds, more than none")
        expires = max(time.time(), when("options.send_at", options.send_at)) + options.expires_in
    return Asked(
        virtual_mta=options.virtual_mta,
        job=options.job,
        envelope_id=options.envelope_id,
        priority=options.priority,
        send_at=when("options.send_at", options.send_at),
        expires_at=expires,
        require_tls=options.require_tls,
        verp=options.verp,
        notify=",".join(words).upper(),
        ret={None: "", True: "FULL", False: "HDRS"}[options.return_content],
    )


def when(place: str, value: str | float | None) -> float:
    """Unix seconds of a time with a zone; 0 for none. Raises ValueError."""
    if value is None or value == "":
        return 0.0
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{place}: {value[:40]!a} is no time such as 2030-01-31T08:00:00Z") from None
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    if not 0 <= value < 1e11:
        raise ValueError(f"{place}: Unix seconds were expected")
    return float(value)
