"""What delivery and reports ask of their shard: the shared parts, and the few verbs that order effects. `engine.node` is the real one."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

from postwright.engine.moves import Moves
from postwright.engine.queue_events import Events
from postwright.engine.queue_state import QueueState
from postwright.engine.receiver_logins import ReceiverLogins
from postwright.engine.settle import Session
from postwright.engine.suppressing import Suppressing
from postwright.engine.transport import TransportPolicy
from postwright.engine.whereabouts import Whereabouts
from postwright.model.message import Message, SpoolRef
from postwright.model.outcome import Judgement
from postwright.model.record import Record
from postwright.model.work import Entry, Lease
from postwright.net.clock import Clock, Sweep
from postwright.net.dialer import Dialer
from postwright.net.resolver import Resolver
from postwright.schedule.queue import Queue
from postwright.schedule.scheduler import Scheduler


class ContentReader(Protocol):
    """Reads what another shard keeps. KeyError: it is not there (any more); SpoolError: it is damaged."""

    def read(self, ref: SpoolRef) -> tuple[Message, bytes]:
        """Message and content."""

    def read_message(self, ref: SpoolRef) -> Message:
        """The message without its content."""

    def close(self) -> None:
        """That shard is gone."""


class Hub(Protocol):
    """One shard, as seen from inside."""

    loop: asyncio.AbstractEventLoop
    clock: Clock
    sweep: Sweep
    scheduler: Scheduler
    resolver: Resolver
    dialer: Dialer
    logins: ReceiverLogins
    transport: TransportPolicy
    log: structlog.stdlib.BoundLogger
    stopping: bool
    events: Events
    where: Whereabouts
    moves: Moves
    suppressing: Suppressing

    def disable_source(self, queue: Queue, address: str, why: str, after: float | None) -> None:
        """See `DisabledSources.disable`."""

    def state(self, queue: Queue) -> QueueState:
        """What the settings say for this queue."""

    def pump_soon(self) -> None:
        """Look for queues that want a connection, at the end of this turn of the loop."""

    def read(self, entry: Entry) -> tuple[Message, bytes]:
        """Message and content, from whichever shard's spool. KeyError: it is not there any more; SpoolError: it is damaged."""

    def read_message(self, entry: Entry) -> Message:
        """As `read`, without the content."""

    def begin(self, lease: Lease) -> None:
        """A lease is under way; it ends with exactly one of `apply`, `lost`, `unreadable`."""

    def lost(self, queue: Queue, lease: Lease) -> None:
        """The reference leads nowhere: the entry is dropped here, and handed over anew if it is still alive."""

    def unreadable(self, queue: Queue, lease: Lease, error: Exception) -> None:
        """Nothing can be done for the entry now: it waits, and is never forgotten."""

    def later(self, queue: Queue, lease: Lease, at: float) -> None:
        """The lease ends without an attempt; its entry waits until `at`."""

    def account(self, record: Record) -> None:
        """Write an accounting record that no message gives rise to; it survives a crash as the others do."""

    def apply(self, queue: Queue, lease: Lease, message: Message, judgement: Judgement, session: Session) -> None:
        """Settle an attempt: reports, marks, scheduler, in that order."""
