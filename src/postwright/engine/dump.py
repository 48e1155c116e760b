"""A shard's state in lines for whoever looks for a defect: what its tasks wait for, its queues, its connections. Changes nothing.

For people, and not a form to be read by programs: those have the views. Bounded; what strangers chose is escaped; contents, addresses of
recipients and secrets are not in it.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from heapq import nlargest
from itertools import islice
from types import CodeType, CoroutineType, FrameType, GeneratorType
from typing import Any, Final, Protocol

from postwright.engine.lock_lines import shown
from postwright.engine.views.seen import Seen
from postwright.schedule.queue import Queue

MOST: Final = 200  # rows of one kind
DEEP: Final = 4  # calls of a task that are told, the innermost first


class Sessions(Protocol):
    """What is asked of the book of sessions."""

    def __len__(self) -> int: ...
    def entries(self, most: int) -> list[tuple[str, str]]: ...


def lines(node: Seen, book: Sessions) -> list[str]:
    """All of it."""
    return [
        f"shard {node.number}, pid {os.getpid()}",
        *_section("tasks", tasks(asyncio.all_tasks())),
        *_section("queues with recipients", _queues(node)),
        *_section(f"connections to receivers: {len(node.delivery.crew.workers)}", _workers(node)),
        *_section(f"sessions of clients: {len(book)}", (f"{address} {group}".rstrip() for address, group in book.entries(MOST))),
        *_section("counters", _counters(node)),
    ]


def _section(title: str, rows: Iterable[str]) -> Iterator[str]:
    yield ""
    yield f"  {title}"
    yield from (f"    {shown(row)}" for row in rows)


# -- tasks -----------------------------------------------------------------------------------------------------------------------


def tasks(every: Iterable[asyncio.Task[Any]]) -> list[str]:
    """Where tasks wait; those that wait at the same place are counted."""
    counted = Counter(_place(task) for task in every)
    return [f"{count:>6}  {place}" for place, count in counted.most_common(MOST)]


def _place(task: asyncio.Task[Any]) -> str:
    """The coroutines that a task is in, from the innermost outwards. What has not begun, or is at work now, has none within."""
    places: list[str] = []
    inner: Any = task.get_coro()
    while isinstance(inner, (CoroutineType, GeneratorType)):
        frame: FrameType | None = inner.cr_frame if isinstance(inner, CoroutineType) else inner.gi_frame
        code: CodeType = inner.cr_code if isinstance(inner, CoroutineType) else inner.gi_code
        places.append(f"{code.co_qualname}:{frame.f_lineno if frame is not None else '?'}")
        inner = inner.cr_await if isinstance(inner, CoroutineType) else inner.gi_yieldfrom
    waits = f" waits for {type(inner).__name__}" if inner is not None else ""
    return " < ".join(reversed(places[-DEEP:])) + waits


# -- queues and connections --------------------------------------------------------------------------------------------------------


def _queues(node: Seen) -> Iterator[str]:
    waiting = (queue for queue in node.scheduler.queues.values() if queue.recipients)
    now = node.clock.now()
    for queue in nlargest(MOST, waiting, key=_size):
        state = f"{queue.recipients} rcpt, {len(queue.ready)} ready, {len(queue.scheduled)} scheduled, {queue.in_flight} in flight"
        ways = f"{queue.connections} connections, {queue.opening} opening"
        reason = node.scheduler.why(queue, now)
        error = f", last error: {queue.last_error}" if queue.last_error else ""
        yield f"{queue.key}: {state}, {ways}, {reason.value}{error}"


def _size(queue: Queue) -> int:
    return queue.recipients


def _workers(node: Seen) -> Iterator[str]:
    now = node.clock.monotonic()
    for worker in islice(node.delivery.crew.workers, MOST):
        route = worker.channel.route
        held, source = ", held" if worker.held else "", route.source.address or "*"
        yield f"{worker.queue.key}: {source} to {route.host} [{route.address}]:{route.port}, {now - worker.begun:.1f} s{held}"


def _counters(node: Seen) -> Iterator[str]:
    spool, resolver = node.spool.status(), node.resolver.counts()
    yield f"spool: {spool.live} messages, {spool.segments} segments, {spool.bytes} octets"
    yield f"resolver: {resolver.cached} cached, {resolver.pending} pending, {resolver.active} active"
    yield f"loop: late by {node.counters.lateness.most:.3f} s at most within a minute"
