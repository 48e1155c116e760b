"""A test message: header and body as a CMS would write them, out of what was typed on a command line.

Pure but for the date and the Message-ID, and for the files that are read. Everything goes out in 7 bits, so that every server can take it.
Raises MessageError, whose text is for the person who typed: a line end in a header field, a file that cannot be read.
"""

from __future__ import annotations

import mimetypes
from email.headerregistry import Address as HeaderAddress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime, make_msgid
from pathlib import Path

from msgspec import Struct

from postwright.model.address import Address
from postwright.model.errors import PostwrightError

_POLICY = SMTP.clone(cte_type="7bit", raise_on_defect=False)
# Those belong to the fields above, or would make a second one of what may stand once (RFC 5322 section 3.6).
_OURS = {"from", "to", "subject", "date", "message-id", "mime-version", "content-type", "content-transfer-encoding"}


class MessageError(PostwrightError):
    """What was asked for makes no message."""


class Draft(Struct, frozen=True):
    """`html` "" for none; `headers` as ("Name", "value"); `attachments` are files."""

    sender: Address
    recipients: tuple[Address, ...]
    sender_name: str = ""
    subject: str = "Test message of Postwright"
    text: str = ""
    html: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Path, ...] = ()


class Composed(Struct, frozen=True):
    """The content with CRLF lines, and its Message-ID."""

    content: bytes
    message_id: str


def compose(draft: Draft) -> Composed:
    """Raises MessageError."""
    message = EmailMessage(_POLICY)
    try:
        _fields(message, draft)
        _bodies(message, draft)
        for file in draft.attachments:
            _attach(message, file)
        return Composed(message.as_bytes(policy=_POLICY), str(message["Message-ID"]))
    except (ValueError, UnicodeError, LookupError) as error:
        raise MessageError(f"the message cannot be written: {error}") from None


def _fields(message: EmailMessage, draft: Draft) -> None:
    message["From"] = _mailbox(draft.sender, draft.sender_name)
    message["To"] = tuple([_mailbox(address, "") for address in draft.recipients])
    message["Subject"] = draft.subject
    message["Date"] = localtime()
    domain = draft.sender.domain
    message["Message-ID"] = make_msgid(domain=domain if domain and not domain.startswith("[") else "localhost")
    for name, value in draft.headers:
        if name.lower() in _OURS:
            raise MessageError(f"{name} is made of the other options; it cannot be given by --header")
        message[name] = value


def _mailbox(address: Address, name: str) -> HeaderAddress:
    if not address.domain:
        raise MessageError(f"{address.text or '<>'} is no address for a header field")
    return HeaderAddress(name, address.local, address.domain)


def _bodies(message: EmailMessage, draft: Draft) -> None:
    if draft.text or not draft.html:
        message.set_content(draft.text or "This is a test message.\n")
        if draft.html:
            message.add_alternative(draft.html, subtype="html")
    else:
        message.set_content(draft.html, subtype="html")


def _attach(message: EmailMessage, file: Path) -> None:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise MessageError(f"{file}: {error.strerror}") from None
    kind, encoding = mimetypes.guess_type(file.name)
    main, _, sub = (kind if kind and not encoding else "application/octet-stream").partition("/")
    if main in ("message", "multipart"):
        main, sub = "application", "octet-stream"  # RFC 2046 section 5.2.1 forbids to encode those, and we could not promise 7 bits
    message.add_attachment(data, maintype=main, subtype=sub, filename=file.name)
