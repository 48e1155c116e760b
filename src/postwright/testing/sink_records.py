"""What a sink remembers: its connections, its messages, its numbers, and what it may be told to offer.

Plain values; nothing here does I/O but `save_message`, which raises OSError as the file system gives it.
"""

from __future__ import annotations

import email
import email.policy
import json
import re
from collections import Counter
from email.message import EmailMessage
from pathlib import Path

from msgspec import Struct, field

_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


class Extensions(Struct, frozen=True, kw_only=True):
    """What EHLO offers. STARTTLS follows from a TLS context, AUTH from users.

    `more` are further lines as they stand ("DELIVERBY", "LIMITS RCPTMAX=2"); of REQUIRETLS, DELIVERBY and MT-PRIORITY the parameters are
    taken, too. `size` in octets; None: SIZE is not offered, 0: offered without a limit (RFC 1870 section 4).
    """

    pipelining: bool = True
    eightbitmime: bool = True
    chunking: bool = True
    binarymime: bool = False
    dsn: bool = True
    smtputf8: bool = True
    enhanced_status_codes: bool = True
    size: int | None = 0
    more: tuple[str, ...] = ()
    ehlo: bool = True  # off: EHLO itself is not known (a server of RFC 821)


class SinkConnection(Struct, kw_only=True, eq=False):
    """One connection. `peer` is "address:port", `tls` the version such as "TLSv1.3" or "", `transcript` lines "C: ..." and "S: ..."."""

    id: int
    peer: str
    helo: str = ""
    esmtp: bool = False
    tls: str = ""
    cipher: str = ""
    user: str = ""
    opened: float = 0.0
    closed: float = 0.0
    commands: int = 0
    messages: int = 0
    violations: list[str] = field(default_factory=list)
    transcript: list[str] = field(default_factory=list)

    @property
    def peer_address(self) -> str:
        return self.peer.rpartition(":")[0]


class SinkMessage(Struct, kw_only=True, eq=False):
    """One message that was taken. `content` is without dot-stuffing; parameters are as sent: "SIZE=9 BODY=8BITMIME"."""

    id: int
    sender: str
    sender_params: str
    recipients: list[str]
    recipient_params: list[str]
    content: bytes
    size: int
    chunked: bool
    connection: SinkConnection
    at: float

    @property
    def has_bare_cr_or_lf(self) -> bool:
        """Whether a CR or LF stands alone in the content: what a relay must never pass on."""
        return _BARE.search(self.content) is not None

    @property
    def is_8bit(self) -> bool:
        return not self.content.isascii()

    @property
    def longest_line(self) -> int:
        """Octets of the longest line, without CRLF."""
        return max(map(len, self.content.split(b"\r\n")), default=0)

    @property
    def parsed(self) -> EmailMessage:
        message = email.message_from_bytes(self.content, policy=email.policy.SMTP)
        assert isinstance(message, EmailMessage)
        return message

    def envelope(self) -> dict[str, object]:
        """The envelope and circumstances, as they are saved beside the content."""
        return {
            "id": self.id,
            "mail_from": self.sender,
            "mail_params": self.sender_params,
            "rcpt_to": [{"address": a, "params": p} for a, p in zip(self.recipients, self.recipient_params, strict=True)],
            "size": self.size,
            "chunked": self.chunked,
            "at": self.at,
            "connection": self.connection.id,
            "peer": self.connection.peer,
            "helo": self.connection.helo,
            "tls": self.connection.tls,
            "user": self.connection.user,
        }


class SinkCounts(Struct, eq=False):
    """Numbers since the start. `replies` counts refusals by (stage, code), `acts` what rules did by (stage, action)."""

    connections: int = 0
    open: int = 0
    most_open: int = 0
    tls: int = 0
    messages: int = 0
    recipients: int = 0
    octets: int = 0
    violations: int = 0
    refusals: Counter[tuple[str, int]] = field(default_factory=Counter)
    acts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, object]:
        names = ("connections", "open", "most_open", "tls", "messages", "recipients", "octets", "violations")
        return {
            **{name: getattr(self, name) for name in names},
            "refusals": {f"{stage} {code}".strip(): n for (stage, code), n in sorted(self.refusals.items())},
            "acts": {f"{stage} {action}": n for (stage, action), n in sorted(self.acts.items())},
        }


def save_message(folder: Path, message: SinkMessage) -> Path:
    """Writes `00000001.eml` and `00000001.json`; the .eml appears complete or not at all, after its .json. Raises OSError."""
    stem = folder / f"{message.id:08d}"
    stem.with_suffix(".json").write_text(json.dumps(message.envelope(), indent=1) + "\n", "utf-8")
    part = stem.with_suffix(".part")
    part.write_bytes(message.content)
    return part.replace(stem.with_suffix(".eml"))
