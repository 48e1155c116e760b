"""`view-queues`: queues by pattern and state, with what happened to them lately. And `view-queue`: all that is known of one.

A queue lives in one shard, so what all shards find first is what there is first. Each answers with no more rows than are wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from postwright.engine.queue_events import Event, Outcome
from postwright.engine.views import asked
from postwright.engine.views.asked import Mode, Order
from postwright.engine.views.passing import batches
from postwright.engine.views.rows import First, first, place
from postwright.model.queue_pattern import QueuePattern

if TYPE_CHECKING:
    from postwright.engine.views.seen import Seen
    from postwright.schedule.queue import Queue

_MODE = "mode"  # the kind of an event that tells of a change of mode


class QueueRow(Struct):
    """One queue. `ready` entries may go now, `scheduled` ones wait for a time, `in_flight` recipients are being sent; `reason` is the name
    of why the rest waits, `wait` says it in words; `retry_at` Unix seconds, 0 for no wait; `type` as the directive says it."""

    name: str
    recipients: int
    octets: int
    connections: int
    paused: bool
    mode: str
    retry_at: float
    last_error: str
    reason: str
    wait: str
    ready: int
    scheduled: int
    in_flight: int
    type: str
    errors: list[Event] = []
    outcomes: list[Outcome] = []


class QueuesView(Struct):
    """`matching` queues fit what was asked (`with_recipients` of them have any, `recipients` in all); `rows` are some of them, `next` is
    the cursor for more, "" when there are none."""

    matching: int
    with_recipients: int
    recipients: int
    rows: list[QueueRow]
    next: str = ""


class QueueFilter(Struct, frozen=True):
    """Which queues: `connected` with a connection, `paused`, in `mode` ("" any), with `errors` that are told."""

    order: Order = Order()
    queue: str = ""
    connected: bool = False
    paused: bool = False
    mode: Mode = ""
    errors: bool = False
    rcpt_events: bool = True
    mode_events: bool = False


def filter_of(arguments: dict[str, str]) -> QueueFilter:
    """`queue` (a pattern), `connected`, `paused`, `mode`, `errors`, `sort`, `maxitems`, `after`, `no-rcpt-events`, `mode-events`.

    Raises ValueError."""
    flag = asked.flag
    return QueueFilter(
        asked.order(arguments),
        arguments.get("queue", ""),
        flag(arguments, "connected"),
        flag(arguments, "paused"),
        asked.mode(arguments),
        flag(arguments, "errors"),
        not flag(arguments, "no-rcpt-events"),
        flag(arguments, "mode-events"),
    )


def _wanted(queue: Queue, wanted: QueueFilter) -> bool:
    return (
        not (wanted.connected and not queue.connections)
        and not (wanted.paused and not queue.paused)
        and not (wanted.mode and wanted.mode != mode_of(queue))
        and not (wanted.errors and not queue.last_error)
    )


def mode_of(queue: Queue) -> str:
    """normal or backoff."""
    return "normal" if queue.backoff is None else "backoff"


async def part(node: Seen, arguments: dict[str, str]) -> QueuesView:
    """One shard's. Raises ValueError."""
    wanted = filter_of(arguments)
    pattern, view = QueuePattern(wanted.queue), QueuesView(0, 0, 0, [])
    best: First[Queue] = First(wanted.order)
    async for batch in batches(_meant(node, pattern)):
        for queue in batch:
            if (pattern.everything or pattern.fits(queue.key)) and _wanted(queue, wanted):
                view.matching += 1
                view.with_recipients += queue.recipients > 0
                view.recipients += queue.recipients
                best.offer(place(wanted.order, str(queue.key), queue.recipients, queue.octets), queue)
    view.rows = [row(node, queue, wanted) for queue in best.taken()]
    return view


def _meant(node: Seen, pattern: QueuePattern) -> Iterable[Queue]:
    """Those that may fit: one, where it is named and its virtual MTA is written as it is."""
    one = node.scheduler.queues.get(pattern.exact) if pattern.exact is not None else None
    return node.scheduler.queues.values() if one is None else (one,)


def row(node: Seen, queue: Queue, wanted: QueueFilter) -> QueueRow:
    """A queue as it is now."""
    now, name = node.clock.now(), str(queue.key)
    events = node.events.of(name)
    reason = node.scheduler.why(queue, now)
    return QueueRow(
        name,
        queue.recipients,
        queue.octets,
        queue.connections,
        queue.paused,
        mode_of(queue),
        queue.retry_at if queue.retry_at > now else 0.0,
        queue.last_error,
        reason.name,
        reason.value,
        len(queue.ready),
        len(queue.scheduled),
        queue.in_flight,
        node.resolved.queue(*queue.key).type,
        [event for event in events.errors if wanted.mode_events or event.kind != _MODE],
        events.outcomes if wanted.rcpt_events else [],
    )


def merged(parts: Sequence[QueuesView], arguments: dict[str, str]) -> QueuesView:
    """The relay's."""
    rows, more = first(asked.order(arguments), [row for part in parts for row in part.rows])
    matching, with_recipients = sum(part.matching for part in parts), sum(part.with_recipients for part in parts)
    return QueuesView(matching, with_recipients, sum(part.recipients for part in parts), rows, more)
