"""Fates of a whole queue that need no session: expired, bounced, no such domain.

Each lease of it ends by the node's `apply`, as any attempt does, a bounded number of them in one turn of the loop. What a failure means is
decided elsewhere (`policy.trouble`, `policy.feedback`).
"""

from __future__ import annotations

import asyncio

from postwright.engine.hub import Hub
from postwright.engine.outgoing import refusals
from postwright.engine.settle import NO_SESSION
from postwright.model.errors import SpoolError
from postwright.model.outcome import Disposition, Judgement, Kind
from postwright.model.work import Lease
from postwright.schedule.queue import Queue

BATCH = 100
EXPIRED = "x-pmta;message expired: could not be delivered within bounce-after"


class Fates:
    """Of the queues of one shard."""

    def __init__(self, node: Hub) -> None:
        self.node = node

    async def expire(self, queue: Queue, now: float) -> None:
        """Give up on what is older than `bounce-after` in a queue that gets no connection."""
        gone = Disposition(Kind.EXPIRED, "4.4.7", f"{EXPIRED}; last error: {queue.last_error}")
        await self.give_up(queue, gone, now, queue.limits.bounce_after)

    async def bounce_queue(self, queue: Queue, disposition: Disposition | None) -> None:
        """Everything that is due in the queue fails for good; None: each for the reason that it was taken with."""
        await self.give_up(queue, disposition, self.node.clock.now(), 0.0)

    async def bounce_all(self, queue: Queue, disposition: Disposition) -> None:
        """Everything in the queue fails for good, what waits for its time included (bounce-queue)."""
        self.node.scheduler.retry_now(queue, self.node.clock.now())
        await self.bounce_queue(queue, disposition)

    async def give_up(self, queue: Queue, disposition: Disposition | None, now: float, age: float) -> None:
        """One fate for all that is due and at least `age` seconds old."""
        count = 0
        while (lease := self.node.scheduler.lease_for_end(queue, now, now - age)) is not None:
            await self.settle_all(queue, lease, disposition)
            count += 1
            if count % BATCH == 0:
                await asyncio.sleep(0)

    async def settle_all(self, queue: Queue, lease: Lease, disposition: Disposition | None) -> None:
        """The same fate for all recipients of a lease, without a session; None: see `bounce_queue`."""
        self.node.begin(lease)
        try:
            message = self.node.read_message(lease.entry)
        except KeyError:
            self.node.lost(queue, lease)
            return
        except SpoolError as error:
            self.node.unreadable(queue, lease, error)
            return
        fates = (disposition,) * len(lease.entry.recipients) if disposition is not None else refusals(message, lease.entry)
        self.node.apply(queue, lease, message, Judgement(fates), NO_SESSION)
