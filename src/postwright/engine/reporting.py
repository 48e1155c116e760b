"""Reports on their way: what a sender is owed becomes messages of our own, on disk before the failure that they tell of is forgotten.

Copies of what was delivered go the same way. A full disk makes them wait for room; a content that cannot be read is left out of them. What
a report says is `engine.bounces`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from postwright.content.dsn_template import Templates, Words
from postwright.engine import bounces
from postwright.engine.copies import copy_of
from postwright.engine.dsn_words import templates_of, words_of
from postwright.engine.hub import Hub
from postwright.engine.settle import Due, Session
from postwright.model.address import Address
from postwright.model.errors import SpoolError
from postwright.model.message import IdMaker, Message, SpoolRef, format_id
from postwright.model.work import Lease
from postwright.policy.resolve import Resolved
from postwright.policy.settings import GeneralSettings
from postwright.store.spool import Spool


class Reporter(Hub, Protocol):
    """The shard that reports."""

    spool: Spool
    ids: IdMaker
    resolved: Resolved

    def accepted(self, message: Message, ref: SpoolRef) -> None:
        """A message of ours is on disk."""


class Reporting:
    """Of one shard."""

    def __init__(self, node: Reporter) -> None:
        self._node = node
        self._templates = Templates()
        self._of: GeneralSettings | None = None  # whose templates these are

    async def send(self, lease: Lease, message: Message, dues: list[Due], session: Session, now: float) -> None:
        """Commit what senders are to hear of `dues`, and queue it; done when it is on disk."""
        for report, body in self._made(lease, message, dues, session, now):
            await self._commit(report, body)

    async def copy(self, lease: Lease, message: Message, to: Address, now: float) -> None:
        """Commit a copy of what was delivered, and queue it. What cannot be read any more is not copied, and that is said."""
        try:
            _, content = self._node.read(lease.entry)
        except (KeyError, SpoolError) as error:
            self._node.log.error("a copy is not made", message=format_id(message.id), error=str(error))
            return
        await self._commit(copy_of(message, to, self._vmta(lease), now, self._node.ids.next(now)), content)

    async def _commit(self, message: Message, content: bytes) -> None:
        while True:
            try:
                ref = await self._node.spool.commit(message, (content,))
            except SpoolError as error:
                self._node.log.error("a report waits for room in the spool", error=str(error))
                await self._node.clock.sleep(1.0)
                continue
            self._node.accepted(message, ref)
            return

    def _words(
        self, lease: Lease, message: Message, content: bytes, general: GeneralSettings, now: float
    ) -> Callable[[Sequence[Due]], Words] | None:
        """The operator's own words for failures, None where he has none. A file that cannot be read is told once a generation."""
        if self._of is not general:
            self._of = general
            self._templates, wrong = templates_of(general)
            if wrong:
                self._node.log.error("reports have the usual words", error=wrong)
        if self._templates == Templates():
            return None
        queue = self._node.resolved.queue(lease.key.domain, lease.key.vmta)
        host = general.host_name[0] if general.host_name else "localhost"
        return lambda failed: words_of(self._templates, message, content, failed, queue, host, now)

    def _vmta(self, lease: Lease) -> str:
        return lease.key.vmta if self._node.resolved.vmta(lease.key.vmta) is not None else "{default}"

    def _made(self, lease: Lease, message: Message, dues: list[Due], session: Session, now: float) -> list[tuple[Message, bytes]]:
        """What senders are to hear. A content that cannot be read, or that no report can be made of, is left out of it."""
        due = bounces.wanted(message, dues)
        general = self._node.resolved.settings.general
        ids = [self._node.ids.next(now) for _ in range(4)]
        vmta = self._vmta(lease)
        there = self._node.resolved.queue(message.envelope.reverse_path.domain, vmta)  # where the report goes
        if not there.deliver_local_dsn:
            return []
        plain = there.dsn_format == "plain-text"
        try:
            _, content = self._node.read(lease.entry)
            words = self._words(lease, message, content, general, now)
            return bounces.reports(message, content, due, session, general, now, ids, vmta, plain=plain, words=words)
        except Exception as error:  # a report of little is better than none, and than a recipient in flight for ever
            self._node.log.error("a report is made without the message", message=format_id(message.id), exc_info=error)
            return bounces.reports(message, b"\r\n", due, session, general, now, ids, vmta, plain=plain)
