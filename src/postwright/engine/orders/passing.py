"""One pass over what waits in a shard, for an order: each entry once, a few in one turn of the loop, whatever else goes on meanwhile.

    look_over   for who only wants to know
    change      each entry back into line, held, or out of its queue

A million entries must not keep anybody waiting: a turn has `TURN` units of work, and what is dear costs more of them. Queues that come or
go meanwhile do not matter: what is new was not meant, and what moves passes the gate (`standing`). One change at a time, which takes
`StandingOrders.lock`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

from postwright.model.work import Entry, Lease, QueueKey
from postwright.net.clock import Clock
from postwright.schedule.queue import Queue
from postwright.schedule.scheduler import Scheduler
from postwright.schedule.sifting import Place

TURN = 4000  # units of some two microseconds
ENTRY = 1
QUEUE = 1
READ = 40  # a message is read for it
SETTLE = 40  # it ends

Parts = Sequence[tuple[Place, Entry]]
Look = Callable[[Queue, Entry], Parts]
Settle = Callable[[Queue, list[Lease]], Awaitable[None]]


class Passed(Protocol):
    """The shard."""

    clock: Clock
    scheduler: Scheduler

    def pump_soon(self) -> None: ...


class Turns:
    """Gives way to everybody else when a turn's work is done."""

    def __init__(self) -> None:
        self._done = 0

    async def spend(self, units: int) -> None:
        """So much was done."""
        self._done += units
        if self._done >= TURN:
            self._done = 0
            await asyncio.sleep(0)


async def queues(node: Passed, wanted: Callable[[QueueKey], bool], turns: Turns) -> list[Queue]:
    """Those that are meant, of all that there are now."""
    found: list[Queue] = []
    for queue in list(node.scheduler.queues.values()):
        await turns.spend(QUEUE)
        if wanted(queue.key):
            found.append(queue)
    return found


async def look_over(
    node: Passed, wanted: Callable[[QueueKey], bool], *, cost: int = ENTRY
) -> AsyncIterator[tuple[Queue, list[Entry]]]:
    """What waits in the queues that are meant, some of it at a time; a queue of which nothing waits comes without entries."""
    turns, most = Turns(), max(1, TURN // cost)
    for queue in await queues(node, wanted, turns):
        entries = node.scheduler.snapshot(queue)
        yield queue, entries[:most]
        for at in range(most, len(entries), most):
            await asyncio.sleep(0)
            yield queue, entries[at : at + most]
        await turns.spend(QUEUE + cost * (len(entries) % most))


async def change(
    node: Passed, wanted: Callable[[QueueKey], bool], look: Look, settle: Settle | None = None, *, cost: int = ENTRY
) -> list[Queue]:
    """Look at each entry of the queues that are meant, and put it where it belongs; what comes out is for `settle`. Returns the queues."""
    turns = Turns()
    chosen = await queues(node, wanted, turns)
    for queue in chosen:
        await turns.spend(QUEUE)
        if queue.recipients > queue.in_flight and node.scheduler.queues.get(queue.key) is queue:
            await _sift(node, queue, look, settle, cost, turns)
    node.pump_soon()
    return chosen


async def _sift(node: Passed, queue: Queue, look: Look, settle: Settle | None, cost: int, turns: Turns) -> None:
    scheduler, looked, more = node.scheduler, 0, True

    def counted(entry: Entry) -> Parts:
        nonlocal looked
        looked += 1
        return look(queue, entry)

    scheduler.set_aside(queue)
    try:
        while more:
            looked = 0
            leases, more = scheduler.sift(queue, node.clock.now(), max(1, TURN // cost), counted)
            if settle is not None and leases:
                await settle(queue, leases)
            if more:
                node.pump_soon()
            await turns.spend(looked * cost)
    finally:
        if more:
            scheduler.give_up(queue, node.clock.now())
