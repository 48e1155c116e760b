"""Mail to the operator about what his queues do (`backoff-notify`, `disabled-source-ip-notify`): a few lines of text.

A notice goes through the spool like all mail, with the null reverse-path, so that none can come back. Of one queue and one kind of change
there is at most one in a minute: what flaps is told once, and the log has the rest. A spool that takes none loses the notice, not mail.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Protocol

from postwright.content import trace
from postwright.engine.hub import Hub
from postwright.model.address import NULL_PATH, Address, parse_mailbox
from postwright.model.envelope import Envelope, Notify, Recipient
from postwright.model.errors import AddressError, SpoolError
from postwright.model.message import Arrival, IdMaker, Message, SpoolRef, format_id
from postwright.policy.resolve import Resolved
from postwright.store.spool import Spool
from postwright.wire.body import scan

PAUSE = 60.0  # seconds between two notices about the same
MOST = 10_000  # queues remembered


class Notifier(Hub, Protocol):
    """The shard."""

    spool: Spool
    ids: IdMaker
    resolved: Resolved

    def accepted(self, message: Message, ref: SpoolRef) -> None:
        """A message of ours is on disk."""


class Notices:
    """Of one shard."""

    def __init__(self, node: Notifier) -> None:
        self._node = node
        self._told: dict[tuple[str, str], float] = {}

    async def tell(self, to: Sequence[str], queue: str, kind: str, lines: Sequence[str]) -> None:
        """`kind` is the subject; the lines are the text."""
        now = self._node.clock.now()
        if not to or now - self._told.get((queue, kind), -PAUSE) < PAUSE:
            return
        if len(self._told) >= MOST:
            self._told.clear()
        self._told[queue, kind] = now
        message, content = self._made(to, f"{kind}: {queue}", lines, now)
        try:
            ref = await self._node.spool.commit(message, (content,))
        except SpoolError as error:
            self._node.log.error("a notice is lost, the spool takes none", queue=queue, kind=kind, error=str(error))
            return
        self._node.accepted(message, ref)

    def _made(self, to: Sequence[str], subject: str, lines: Sequence[str], now: float) -> tuple[Message, bytes]:
        names = self._node.resolved.settings.general.host_name
        host = names[0] if names else "localhost"
        number = self._node.ids.next(now)
        head = [
            f'From: "Postwright" <postmaster@{host}>',
            f"To: {', '.join(to)}",
            f"Subject: {_plain(subject)}",
            f"Date: {trace.date(now)}",
            f"Message-ID: <{format_id(number)}@{host}>",
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=us-ascii",
        ]
        content = "\r\n".join([*head, "", *map(_plain, lines), ""]).encode("ascii")
        recipients = [Recipient(address, int(Notify.NEVER)) for address in _mailboxes(to)]
        arrival = Arrival(kind="notice", peer_name=host)
        return Message(number, now, Envelope(NULL_PATH, recipients), scan(content), arrival, suppress_dsn=True), content


def _mailboxes(texts: Sequence[str]) -> list[Address]:
    found: list[Address] = []
    for text in texts:
        with contextlib.suppress(AddressError):  # the load has told of it
            found.append(parse_mailbox(text))
    return found


def _plain(text: str) -> str:
    """One line of printable ASCII: a peer's words may be in it."""
    return "".join(letter if " " <= letter < "\x7f" else "?" for letter in text)[:900]
