"""Recipients that wait, a page of them, on a shard's side: what `list` shows.

What is in flight does not wait, and is not in it. The pass ends when the page is full; a message that cannot be read is passed over.
Nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from postwright.engine.orders.deleting import Deleter
from postwright.engine.orders.passing import READ, look_over
from postwright.engine.orders.selection import Chosen, Selection
from postwright.model.errors import SpoolError
from postwright.model.message import Message, format_id
from postwright.model.rank import class_of
from postwright.model.work import Entry
from postwright.schedule.queue import Queue

MOST = 10_000  # rows that anybody may ask for


class Waiting(Struct):
    """One recipient. Times in Unix seconds; `due` 0: it may go as soon as its queue can. `paused`: its queue or its job is."""

    message: str
    queue: str
    rcpt: str
    orig: str
    job: str
    envid: str
    received: float
    due: float
    attempts: int
    priority: int
    latency: str
    octets: int
    paused: bool


class Page(Struct):
    """Rows, and whether there are more."""

    rows: list[Waiting] = []
    more: bool = False


async def page(node: Deleter, selection: Selection, most: int, *, paused: bool = False) -> Page:
    """At most `most` recipients that are meant; `paused`: of those that an operator has paused."""
    chosen, found = Chosen(selection), Page()
    async for queue, entries in look_over(node, chosen.queue, cost=READ):
        for entry in entries:
            stands = queue.paused or node.orders.holds(entry)
            if chosen.entry(entry) and (stands or not paused):
                found.rows += _rows(node, queue, entry, chosen, stands)
            if len(found.rows) > most:
                return Page(found.rows[:most], more=True)
    return found


def _rows(node: Deleter, queue: Queue, entry: Entry, chosen: Chosen, paused: bool) -> Iterator[Waiting]:
    try:
        message = node.read_message(entry)
    except (KeyError, SpoolError):
        return
    for index in chosen.recipients(message, entry):
        yield _row(node.clock.now(), queue, entry, message, index, paused)


def _row(now: float, queue: Queue, entry: Entry, message: Message, index: int, paused: bool) -> Waiting:
    envelope = message.envelope
    return Waiting(
        message=format_id(entry.message_id),
        queue=str(queue.key),
        rcpt=envelope.recipients[index].address.text,
        orig=envelope.reverse_path.text,
        job=entry.job,
        envid=envelope.envid,
        received=message.received_at,
        due=entry.due if entry.due > now else 0.0,
        attempts=entry.attempts,
        priority=entry.priority,
        latency=class_of(entry.rank),
        octets=entry.size,
        paused=paused,
    )
