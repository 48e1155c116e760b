"""`view-metrics`: all that a monitoring system is told, of all processes, in one answer. What it is called there is `control.metrics`'
affair.

Counters are since the start of the relay, and never fall (`lasting`): such systems take what falls for what began anew. What is told by
domain and virtual MTA is bounded here (`folding`), where its history is, so that it does not depend on who asks or how often.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Final, Protocol
from weakref import WeakKeyDictionary

import msgspec
from msgspec import Struct, field

from postwright import __version__
from postwright.engine import frames as f
from postwright.engine.counters import Sessions
from postwright.engine.dials import Dials
from postwright.engine.export_frames import ConsumerStatus
from postwright.engine.export_process import ExportProcess
from postwright.engine.flow_book import FlowsView
from postwright.engine.lock_office import LockOffice
from postwright.engine.rule_counts import RuleCounts
from postwright.engine.status import ShardStatus, Traffic
from postwright.engine.views.folding import OTHER, Fold
from postwright.engine.views.gauges import ShardGauges, Signed, Waits
from postwright.engine.views.lasting import Lasting
from postwright.net.resolver import ResolverCounts

DOMAINS: Final = 50
VMTAS: Final = 200
PATIENCE: Final = 4.0  # seconds: Prometheus waits ten, and is to be told of the other shards when one hangs


class Counted(Struct):
    """What shards have counted since the relay began; of `resolver` only what it counts (`asked`, `stale`)."""

    traffic: Traffic = field(default_factory=Traffic)
    sessions: Sessions = field(default_factory=Sessions)
    dials: Dials = field(default_factory=Dials)
    resolver: ResolverCounts = field(default_factory=ResolverCounts)
    signed: Signed = field(default_factory=Signed)
    suppressed: int = 0


class Judged(Struct):
    """The same, of what a shard says with its status: connections refused at the door by cause, sender rules."""

    refused: dict[str, int] = {}
    sender_rules: RuleCounts = field(default_factory=RuleCounts)


class MetricsView(Struct):
    """`status` and `gauges` of the shards that answered, in order; `restarts` of all processes; `counted`, `judged`, `flows` and `waits`
    of the relay, the latter two bounded."""

    version: str
    started: float
    now: float
    pids: list[int]
    restarts: dict[str, int]
    locks: int
    consumers: list[ConsumerStatus]
    status: list[ShardStatus]
    gauges: list[ShardGauges]
    counted: Counted
    judged: Judged
    flows: FlowsView
    waits: Waits


class Measured(Protocol):
    """What is asked of the supervisor."""

    started: float
    locks: LockOffice
    exporter: ExportProcess

    async def ask_shards(self, verb: str, argument: bytes = b"", timeout: float = 10.0) -> list[f.Answer]: ...
    def pids(self) -> list[int]: ...
    def restarts(self) -> dict[str, int]: ...


class _Book:
    """What one relay has counted so far, and its bounded names."""

    def __init__(self) -> None:
        self._domains, self._vmtas = Fold(DOMAINS), Fold(VMTAS)
        self._counted, self._judged = Lasting(Counted()), Lasting(Judged())

    def flows(self, gauges: Sequence[ShardGauges], now: float) -> FlowsView:
        self._domains.take([((one.shard, one.pid), [*one.flows.domains, one.flows.every]) for one in gauges], now)
        self._vmtas.take([((one.shard, one.pid), [*one.flows.vmtas, one.flows.every]) for one in gauges], now)
        return FlowsView(self._domains.rows(), self._vmtas.rows())

    def counted(self, gauges: Sequence[ShardGauges]) -> Counted:
        return self._counted.take(
            ((one.shard, one.pid), Counted(one.traffic, one.sessions, one.dials, one.resolver, one.signed, one.suppressed))
            for one in gauges
        )

    def judged(self, status: Sequence[ShardStatus]) -> Judged:
        return self._judged.take(((one.shard, one.pid), Judged(one.refused_at_door, one.sender_rules or RuleCounts())) for one in status)


_books: WeakKeyDictionary[Measured, _Book] = WeakKeyDictionary()


async def view(relay: Measured, arguments: dict[str, str]) -> f.Told:
    """The answer to `view-metrics`: a `MetricsView` as JSON."""
    questions = [relay.ask_shards(verb, timeout=PATIENCE) for verb in ("status", "view-metrics")]
    told, answers = await asyncio.gather(*questions)
    status = [msgspec.msgpack.decode(one.body, type=ShardStatus) for one in told if one.body]
    gauges = [msgspec.msgpack.decode(one.body, type=ShardGauges) for one in answers if one.body]
    book = _books.setdefault(relay, _Book())
    flows = book.flows(gauges, time.monotonic())
    for one in gauges:
        one.flows = FlowsView([], [])  # told above, of all shards
    view = MetricsView(
        version=__version__,
        started=relay.started,
        now=time.time(),
        pids=relay.pids(),
        restarts=relay.restarts(),
        locks=len(relay.locks.locks()),
        consumers=relay.exporter.consumers,
        status=status,
        gauges=gauges,
        counted=book.counted(gauges),
        judged=book.judged(status),
        flows=flows,
        waits=merged([one.waits for one in gauges]),
    )
    return f.Told(ok=True, body=msgspec.json.encode(view))


def merged(parts: Sequence[Waits]) -> Waits:
    """The relay's; names beyond those that are shown are added up under `OTHER`."""
    total = sum(part.total for part in parts)
    connections = sum(part.connections for part in parts)
    return Waits(
        total=total,
        in_flight=sum(part.in_flight for part in parts),
        connections=connections,
        queues=_added(part.queues for part in parts),
        reasons=_added(part.reasons for part in parts),
        domains=_bounded(_added(part.domains for part in parts), total, DOMAINS),
        vmtas=_bounded(_added(part.vmtas for part in parts), total, VMTAS),
        vmta_connections=_bounded(_added(part.vmta_connections for part in parts), connections, VMTAS),
    )


def _added(parts: Iterable[dict[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in parts:
        for name, count in part.items():
            found[name] = found.get(name, 0) + count
    return found


def _bounded(counted: dict[str, int], total: int, most: int) -> dict[str, int]:
    """The largest, the quiet ones left out; and what is in none of them, to which belongs who is called `OTHER`."""
    named = {name: count for name, count in sorted(counted.items(), key=lambda item: -item[1])[:most] if count and name != OTHER}
    rest = total - sum(named.values())
    return {**named, OTHER: rest} if rest > 0 else named
