"""Handing in mail to a simulated relay: texts to a transaction, and what came of it to one value."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from postwright.model.address import NULL_PATH, parse_mailbox
from postwright.model.envelope import MailExtras, Recipient
from postwright.model.message import parse_id
from postwright.model.outcome import TransactionResult
from postwright.model.reply import Reply
from postwright.wire.body import scan
from postwright.wire.client_states import Transaction

_ID = re.compile(r"id=(\w{13})")


class Submission(Struct, frozen=True):
    """The replies to a message handed in: to MAIL, to each RCPT, to the content (None: none came). `id` is that of the 250, else 0."""

    mail: Reply | None
    rcpt: list[Reply | None]
    final: Reply | None
    id: int

    @property
    def accepted(self) -> bool:
        return self.id != 0


def transaction(
    sender: str,
    recipients: Sequence[str | Recipient],
    content: bytes | str = b"",
    *,
    headers: Mapping[str, str] | None = None,
    ret: str = "",
    envid: str = "",
    body: str = "7BIT",
    smtputf8: bool = False,
    extras: MailExtras | None = None,
) -> Transaction:
    """What a client would send. `content` is the whole message or, without an empty line in it, its body; `headers` are put before it."""
    octets = content.encode() if isinstance(content, str) else content
    if b"\r\n\r\n" not in octets:
        octets = b"Subject: a test\r\n\r\n" + (octets or b"hello") + b"\r\n"
    octets = b"".join([f"{name}: {value}\r\n".encode() for name, value in (headers or {}).items()]) + octets
    reverse_path = parse_mailbox(sender, smtputf8=True) if sender else NULL_PATH
    to = [r if isinstance(r, Recipient) else Recipient(parse_mailbox(r, smtputf8=True)) for r in recipients]
    return Transaction(reverse_path, to, (octets,), scan(octets), ret, envid, body, smtputf8, extras)


def submission(result: TransactionResult) -> Submission:
    """The replies of a transaction."""
    final = result.final
    found = _ID.search(final.text) if final is not None and final.positive else None
    return Submission(result.mail, result.rcpt, final, parse_id(found.group(1)) if found else 0)
