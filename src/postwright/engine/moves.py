"""What waits in one queue goes to another one, perhaps of another shard. Its history goes along: when it is due, how often it was tried.

    leave      a queue whose mail belongs elsewhere by now (backoff mode with a refuge, a domain that was rolled up) gives it away
    look       a domain's MX hosts were looked up: does its mail share a queue with that of other domains?
    keep       a rollup queue sends home what is none of its domains' any more: there it is looked up anew
    replace    settings have changed that say where mail goes

Nothing is lost and nothing doubled: what is taken out of a queue is submitted to another one, handed over or given back to the shard that
keeps it in the same turn of the loop, and `Sharing` knows what to do when that shard or the next one dies. What is in flight stays, and if
it comes back it goes the same way. A queue of a million is moved in batches between which everybody else has a turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

import structlog

from postwright.engine import frames as f
from postwright.engine.rollups import LEAST_TIME, MOST_TIME
from postwright.engine.sharing import Sharing
from postwright.engine.whereabouts import Whereabouts
from postwright.model.message import Message
from postwright.model.route import MxAnswer, MxHost, MxStatus
from postwright.model.work import Lease, QueueKey, queue_of
from postwright.net.clock import Clock
from postwright.net.resolver import Resolver
from postwright.policy.placement import Placement
from postwright.policy.rollup import Rollup, by_address
from postwright.schedule.queue import Queue
from postwright.schedule.scheduler import Scheduler

BATCH = 500  # entries moved in one turn of the loop
BY_IP_MOST = 50  # hosts whose addresses are compared


class Home(Protocol):
    """The shard; `engine.node` is the real one."""

    clock: Clock
    scheduler: Scheduler
    sharing: Sharing
    where: Whereabouts
    resolver: Resolver
    log: structlog.stdlib.BoundLogger

    def spawn(self, work: Coroutine[Any, Any, None]) -> None: ...
    def pump_soon(self) -> None: ...


class Moves:
    """Of one shard."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._leaving: dict[QueueKey, asyncio.Future[None]] = {}

    # -- a queue gives away what waits ----------------------------------------------------------

    async def leave(self, queue: Queue) -> bool:
        """Does the mail of this queue belong elsewhere by now? Then it goes there, and True comes back when it has gone."""
        where, key = self._home.where, queue.key
        if key in self._leaving:
            await asyncio.shield(self._leaving[key])
            return True
        if where.redirect(key, 0) == key:
            return False
        gone = self._leaving[key] = asyncio.get_running_loop().create_future()
        try:
            return await self._give_away(queue)
        finally:
            del self._leaving[key]
            gone.set_result(None)

    async def _give_away(self, queue: Queue) -> bool:
        """False when all of it belongs here after all."""
        home, key = self._home, queue.key
        some = False
        home.sharing.say_again(key.domain)
        while batch := home.scheduler.take_away(queue, BATCH):
            moved = [(home.where.redirect(key, entry.message_id), entry) for entry in batch]
            home.sharing.move(moved)
            home.pump_soon()
            stays = sum([to == key for to, _ in moved])
            some = some or stays < len(moved)
            if stays:
                return some  # what made it leave is over
            await asyncio.sleep(0)
        return some

    def mode_changed(self, queue: Queue) -> None:
        """The scheduler's call: a queue went into backoff mode, or out of it. What has moved stays where it is."""
        placement = self._home.where.placement
        if queue.backoff is not None and placement.has_refuges and placement.refuge(queue.key):
            self._home.spawn(self._leave(queue))

    async def _leave(self, queue: Queue) -> None:
        await self.leave(queue)

    # -- MX rollup ------------------------------------------------------------------------------

    async def look(self, queue: Queue, answer: MxAnswer) -> bool:
        """These are the MX hosts of the queue's domain. True: its mail belongs into another queue, and has gone there."""
        home, domain = self._home, queue.key.domain
        where = home.where
        if answer.status is not MxStatus.FOUND or not where.may_roll(queue.key):
            return False
        found = where.rules.find(answer.hosts)
        rollup = await self._by_address(*found) if isinstance(found, tuple) else found
        await home.sharing.quiet()
        now = home.clock.now()
        if rollup is None or not where.rollups.agrees(domain, rollup, now):
            if where.rollups.known(domain) is not None:
                self._forget(domain, float("inf"))
            return False
        until = min(max(answer.expires, now + LEAST_TIME), now + MOST_TIME)
        where.rollups.learn(domain, rollup, until, now)
        home.sharing.tell([f.Rolled(domain, rollup.queue, rollup.hosts, until)])
        return await self.leave(queue)

    async def _by_address(self, queue: str, names: tuple[str, ...]) -> Rollup | None:
        answer = MxAnswer(MxStatus.FOUND, tuple(MxHost(name) for name in names[:BY_IP_MOST]))
        filled = await self._home.resolver.fill(answer, BY_IP_MOST)
        if len(filled.hosts) < len(names):
            return None  # not all have an address now: whoever compares a part would find others equal
        return by_address(queue, (address for host in filled.hosts for address in host.addresses))

    async def hosts(self, queue: Queue) -> MxAnswer | None:
        """Where the mail of a rollup queue goes. None: nobody knows (any more), and its mail has gone home."""
        where, name = self._home.where, queue.key.domain
        hosts = where.rollups.hosts(name) or where.rules.hosts_of(name)
        if hosts:
            return await self._home.resolver.fill(MxAnswer(MxStatus.FOUND, tuple(MxHost(host) for host in hosts)))
        await self._send_home(queue)
        return None

    async def _send_home(self, queue: Queue) -> None:
        """All that waits, at once out of the queue: some of it may come back."""
        home = self._home
        waiting, ages = home.scheduler.take_away(queue, queue.recipients), dict(home.sharing.ages)
        for at in range(0, len(waiting), BATCH):
            batch = waiting[at : at + BATCH]
            # what was forgotten meanwhile has come anew
            home.sharing.restore([one for one in batch if home.sharing.ages.get(one.ref.spool) == ages.get(one.ref.spool)])
            await asyncio.sleep(0)

    def keep(self, queue: Queue, lease: Lease, message: Message) -> bool:
        """Is a message of a rollup queue still right there? Else the lease has ended, and its mail waits in its own queue."""
        where, recipients = self._home.where, message.envelope.recipients
        if self._home.sharing.handing:
            return True  # where mail goes must not change now; a moment later it may
        strange = [index for index in lease.entry.recipients if where.key_of(message, recipients[index]).domain != queue.key.domain]
        if not strange:
            return True
        # what has passed here has passed for the shard that keeps the message, too, or it would send it back
        now = self._home.clock.now()
        domains = {where.placement.where(queue_of(message, recipients[index]), message.id).domain for index in strange}
        for domain in sorted(domains):
            if where.rollups.of(domain, now) != queue.key.domain:
                self._forget(domain, where.rollups.until(domain))
        self._home.sharing.send_home(queue, lease)
        return False

    def _forget(self, domain: str, until: float) -> None:
        forgotten = [f.Rolled(domain, "", (), until)]
        self._home.sharing.learnt(forgotten)
        self._home.sharing.tell(forgotten)

    # -- a reload ---------------------------------------------------------------------------------

    async def replace(self, before: Placement) -> None:
        """Settings say otherwise than `before` where mail goes: what waits goes there."""
        home = self._home
        for count, (key, queue) in enumerate(list(home.scheduler.queues.items())):
            if before.leads_to(key) or home.where.redirect(key, 0) != key:
                await self._send_home(queue)
            elif count % BATCH == 0:
                await asyncio.sleep(0)
