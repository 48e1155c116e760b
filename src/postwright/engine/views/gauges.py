"""`view-metrics`, a shard's part: its counters as they stand, and what waits, added up by state and reason.

Counters cost nothing to tell. What waits wants a look at every queue, which lets the loop turn, and a long one is kept for a while
(`passing.Kept`): whoever asks every second pays for a hundredth of it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from heapq import nlargest
from typing import Final
from weakref import WeakKeyDictionary

from msgspec import Struct

from postwright.engine.counters import Sessions
from postwright.engine.dials import Dials
from postwright.engine.flow_book import MOST, FlowsView
from postwright.engine.status import Traffic
from postwright.engine.views.passing import Kept, batches, of
from postwright.engine.views.seen import Seen
from postwright.net.resolver import ResolverCounts
from postwright.schedule.queue import Queue
from postwright.store import sync_times
from postwright.store.spool import SpoolStatus

SYNC_BOUNDS: Final = sync_times.BOUNDS
OLDEST: Final = 120.0  # seconds: who has so many queues that a look at them is dear is told of them less often, not at a higher price
TOLD: Final = 400  # names of one kind that a shard tells; the supervisor shows fewer


class Waits(Struct):
    """Recipients: `in_flight`, and those that wait by the name of the reason; `queues` with mail by mode; recipients and connections of the
    busiest domains and virtual MTAs, with what all the others have in `total`."""

    total: int = 0
    in_flight: int = 0
    connections: int = 0
    queues: dict[str, int] = {}
    reasons: dict[str, int] = {}
    domains: dict[str, int] = {}
    vmtas: dict[str, int] = {}
    vmta_connections: dict[str, int] = {}


class Signed(Struct):
    """Signatures that were computed, and the seconds from the wish to the signature, added up."""

    made: int = 0
    seconds: float = 0.0


class ShardGauges(Struct):
    """What one shard counts beside its status. `late` seconds: how late the loop came to a timer, now, at most within a minute, and added
    up; `processor` seconds that the process has used."""

    shard: int
    pid: int
    traffic: Traffic
    sessions: Sessions
    dials: Dials
    waits: Waits
    spool: SpoolStatus
    resolver: ResolverCounts
    signed: Signed
    flows: FlowsView
    late: tuple[float, float, float] = (0.0, 0.0, 0.0)
    suppressed: int = 0
    processor: float = 0.0


_kept: WeakKeyDictionary[Seen, Kept[Waits]] = WeakKeyDictionary()


async def part(node: Seen, arguments: dict[str, str]) -> ShardGauges:
    """One shard's."""
    kept = _kept.get(node)
    if kept is None:
        kept = _kept[node] = Kept(of(node, waits), OLDEST)
    signatures, late = node.delivery.crew.signer.signatures, node.counters.lateness
    return ShardGauges(
        shard=node.number,
        pid=os.getpid(),
        traffic=node.counters.traffic,
        sessions=node.counters.sessions,
        dials=node.transport.dials,
        waits=await kept.get(),
        spool=node.spool.status(),
        resolver=node.resolver.counts(),
        signed=Signed(signatures.made, signatures.seconds),
        flows=node.flows.told(MOST),
        late=(late.now, late.most, late.total),
        suppressed=node.suppressing.hits,
        processor=time.process_time(),
    )


async def waits(node: Seen) -> Waits:
    """A look at all queues."""
    found = _Found()
    now = node.clock.now()
    async for batch in batches(node.scheduler.queues.values()):
        for queue in batch:
            if queue.recipients or queue.connections:
                found.add(queue, node.scheduler.why(queue, now).name)
    return await found.told()


class _Found:
    """What a pass has come to so far."""

    def __init__(self) -> None:
        self.waits = Waits()
        self._modes: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._domains: Counter[str] = Counter()
        self._vmtas: Counter[str] = Counter()
        self._connections: Counter[str] = Counter()

    def add(self, queue: Queue, reason: str) -> None:
        waits, (domain, vmta), recipients = self.waits, queue.key, queue.recipients
        if recipients:
            waits.total += recipients
            waits.in_flight += queue.in_flight
            self._modes["paused" if queue.paused else "backoff" if queue.backoff is not None else "normal"] += 1
            self._reasons[reason] += recipients - queue.in_flight
            self._domains[domain] += recipients
            self._vmtas[vmta] += recipients
        if queue.connections:
            waits.connections += queue.connections
            self._connections[vmta] += queue.connections

    async def told(self) -> Waits:
        """The loop turns between the sorts: each takes some milliseconds where there are 100,000 names."""
        waits = self.waits
        waits.queues = dict(self._modes)
        waits.reasons = {reason.lower(): count for reason, count in self._reasons.items() if count}
        waits.domains = _most(self._domains)
        await asyncio.sleep(0)
        waits.vmtas = _most(self._vmtas)
        waits.vmta_connections = _most(self._connections)
        return waits


def _most(counted: Counter[str]) -> dict[str, int]:
    return dict(nlargest(TOLD, counted.items(), key=lambda item: item[1]))
