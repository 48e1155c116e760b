"""`view-status`: the whole relay at a look (powermta.md section 4, `/status`): traffic, connections, resolver, queues by kind, spool.

Each shard adds up its queues, in slices; traffic and connections are in the supervisor's book, which a shard brings up to date before it
answers. What a shard that does not answer has is missing, and `answering` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from msgspec import Struct

from postwright import __version__
from postwright.engine.views.host import HostFacts, host_facts
from postwright.engine.views.marks import marks_of, together
from postwright.engine.views.passing import Kept, batches, of
from postwright.engine.views.traffic import TrafficView
from postwright.model.work import BOUNCE
from postwright.net.resolver import ResolverCounts

if TYPE_CHECKING:
    from postwright.engine.views.seen import Seen
    from postwright.policy.resolve import Resolved
    from postwright.policy.settings import Settings
    from postwright.schedule.queue import Queue

SMTP = "smtp"
BOUNCES = "bounce"
"""The kind of queues in which wait those who were taken only to be bounced: PowerMTA has none of them."""


class Backlog(Struct):
    """What waits in queues of one kind: recipients, domains that have any, octets; queues of it that are paused, or in backoff mode."""

    recipients: int = 0
    domains: int = 0
    octets: int = 0
    paused: int = 0
    backoff: int = 0


class StatusPart(Struct):
    """One shard's."""

    backlog: dict[str, Backlog]
    marks: dict[str, bytes]  # of the domains of each kind, for several shards may have one
    resolver: ResolverCounts
    segments: int
    octets: int
    most_recipients: int | None


class SpoolView(Struct):
    """Of all shards: how much of it is read in (percent), folders, files, octets; recipients that wait, and how many may (None: any)."""

    init_percent: float
    folders: int
    files: int
    octets: int
    recipients: int
    most_recipients: int | None


class StatusView(Struct):
    """The relay. Times are Unix seconds; `queues` by kind: `type` of the domain, or `bounce`."""

    version: str
    host_name: str
    host: HostFacts
    now: float
    started: float
    stopping: bool
    shards: int
    answering: int
    traffic: TrafficView
    most_inbound: int | None
    most_outbound: int | None
    resolver: ResolverCounts
    queues: dict[str, Backlog]
    spool: SpoolView


_Waiting = tuple[dict[str, Backlog], dict[str, bytes]]
_kept: WeakKeyDictionary[Seen, Kept[_Waiting]] = WeakKeyDictionary()


async def part(node: Seen, arguments: dict[str, str]) -> StatusPart:
    """One shard's."""
    kept = _kept.get(node)
    if kept is None:
        kept = _kept[node] = Kept(of(node, _backlog))
    spool = node.spool.status()
    backlog, marks = await kept.get()
    return StatusPart(backlog, marks, node.resolver.counts(), spool.segments, spool.bytes, node.intake.room.limit)


async def _backlog(node: Seen) -> _Waiting:
    found: dict[str, Backlog] = {}
    names: dict[str, set[str]] = {}
    async for batch in batches(node.scheduler.queues.values()):
        for queue in batch:
            if queue.recipients:
                kind = kind_of(node, queue)
                total = found.setdefault(kind, Backlog())
                total.recipients += queue.recipients
                total.octets += queue.octets
                total.paused += queue.paused
                total.backoff += queue.backoff is not None
                names.setdefault(kind, set()).add(queue.key.domain)
    for kind, total in found.items():
        total.domains = len(names[kind])
    marks = {kind: marks_of(domains) for kind, domains in names.items()} if node.shards > 1 else {}
    return found, {kind: mark for kind, mark in marks.items() if mark is not None}


def kind_of(node: Seen, queue: Queue) -> str:
    """What is done with its mail: `type` of the domain, or `bounce`."""
    if queue.key.domain == BOUNCE:
        return BOUNCES
    if _only_smtp(node.resolved):
        return SMTP
    return node.resolved.queue(*queue.key).type


_types: WeakKeyDictionary[Resolved, bool] = WeakKeyDictionary()


def _only_smtp(resolved: Resolved) -> bool:
    """Does nobody say `type`? Then no queue has to be asked for its settings. Found out once for each generation of them."""
    known = _types.get(resolved)
    if known is None:
        known = _types[resolved] = not any("type" in block.assignments for block in resolved.settings.domain_blocks())
    return known


def merged(
    parts: Sequence[StatusPart], settings: Settings, traffic: TrafficView, shards: int, now: float, started: float, stopping: bool
) -> StatusView:
    """The relay's, of the parts that came from `shards` shards."""
    general = settings.general
    queues: dict[str, Backlog] = {}
    for part in parts:
        for kind, backlog in part.backlog.items():
            total = queues.setdefault(kind, Backlog())
            total.recipients += backlog.recipients
            total.domains += backlog.domains
            total.octets += backlog.octets
            total.paused += backlog.paused
            total.backoff += backlog.backoff
    for kind, total in queues.items():
        having = [part for part in parts if kind in part.backlog]
        if len(having) > 1 and all(kind in part.marks for part in having):
            total.domains = together([part.marks[kind] for part in having])
    counts = [part.resolver for part in parts]
    spool = SpoolView(
        init_percent=100.0 * len(parts) / max(shards, 1),
        folders=max(len(settings.spools), 1),
        files=sum(part.segments for part in parts),
        octets=sum(part.octets for part in parts),
        recipients=sum(backlog.recipients for backlog in queues.values()),
        most_recipients=parts[0].most_recipients if parts else None,
    )
    return StatusView(
        version=__version__,
        host_name=general.host_name[0] if general.host_name else "",
        host=host_facts(),
        now=now,
        started=started,
        stopping=stopping,
        shards=shards,
        answering=len(parts),
        traffic=traffic,
        most_inbound=general.total_max_smtp_in,
        most_outbound=general.total_max_smtp_out,
        resolver=ResolverCounts(*(sum(getattr(one, name) for one in counts) for name in ResolverCounts.__struct_fields__)),
        queues=queues,
        spool=spool,
    )
