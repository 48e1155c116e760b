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

TURN = 2500  # units of some two microseconds
ENTRY = 1  # looked at
QUEUE = 1
PLACED = 3  # and put into a line again
READ = 40  # a message is read for it
SETTLE = 50  # it ends

Parts = Sequence[tuple[Place, Entry]]
Look = Callable[[Queue, Entry], Parts]
Settle = Callable[[Queue, list[Lease]], Awaitable[None]]


class Passed(Protocol):
    """The shard."""

    clock: Clock
    scheduler: Scheduler

    def pump_soon(self) -> None: ...


class Turns:
    """Gives way to everybody else when a turn's work is done; `before` is called before that: what has come in line may be a lot, and
    whoever looks at it all is to have some of it at a time."""

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        self._done = 0
        self._before = before

    async def spend(self, units: int) -> None:
        """So much was done."""
        self._done += units
        if self._done >= TURN:
            self._done = 0
            self._before()
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
    """What waits in the queues that are meant, some of it at a time; each queue comes without entries first."""
    turns, most = Turns(), max(1, TURN // cost)
    for queue in await queues(node, wanted, turns):
        yield queue, []
        for line in node.scheduler.lines(queue):
            entries = list(line)
            for at in range(0, len(entries), most):
                yield queue, entries[at : at + most]
                await turns.spend(cost * min(most, len(entries) - at))
        await turns.spend(QUEUE)


async def change(
    node: Passed,
    wanted: Callable[[QueueKey], bool],
    concerns: Callable[[Queue, Entry], bool],
    look: Look,
    settle: Settle | None = None,
    *,
    cost: int = PLACED,
) -> list[Queue]:
    """Look at each entry of the queues that are meant, and put it where it belongs; what comes out is for `settle`. A queue of which the
    order `concerns` no entry is left as it is. Returns the queues that are meant."""
    turns = Turns(node.pump_soon)
    chosen = await queues(node, wanted, turns)
    for queue in chosen:
        if await _concerned(node, queue, concerns, turns):
            await sift(node, queue, look, settle, cost, turns)
    node.pump_soon()
    return chosen


async def _concerned(node: Passed, queue: Queue, concerns: Callable[[Queue, Entry], bool], turns: Turns) -> bool:
    """A look costs a tenth of what it costs to put an entry back into line. What moves meanwhile passes the gate."""
    for line in node.scheduler.lines(queue):
        entries = list(line)
        for at in range(0, len(entries), TURN):
            if any(concerns(queue, entry) for entry in entries[at : at + TURN]):
                return True
            await turns.spend(ENTRY * min(TURN, len(entries) - at))
    await turns.spend(QUEUE)
    return False


async def sift(node: Passed, queue: Queue, look: Look, settle: Settle | None, cost: int, turns: Turns) -> None:
    """As `change`, of one queue."""
    scheduler, looked, more = node.scheduler, 0, True
    if queue.recipients <= queue.in_flight or scheduler.queues.get(queue.key) is not queue:
        return

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
            await turns.spend(looked * cost)
    finally:
        if more:
            scheduler.give_up(queue, node.clock.now())
