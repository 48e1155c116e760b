"""`view-queue`, `view-job`, `view-disabled-sources` and `view-precache`: more than a row of one thing.

A queue is answered by the shard that has it. Of a job each shard tells in which queues its mail waits, by a look at all that waits, in
slices; what is in flight counts for the job, and not for a queue of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from postwright.engine.orders.passing import look_over
from postwright.engine.precache import read_domains
from postwright.engine.queue_verbs import found
from postwright.engine.status import DisabledAddress
from postwright.engine.views import asked, queues
from postwright.engine.views.detail_facts import DisabledView, JobView, Link, PrecachedDomain, QueueView
from postwright.engine.views.passing import batches
from postwright.engine.views.seen import Seen
from postwright.engine.views.sums import Sum
from postwright.engine.why import of_queue
from postwright.model.queue_pattern import QueuePattern
from postwright.model.work import job_of
from postwright.schedule.queue import Queue
from postwright.schedule.rate import NEVER


async def queue(node: Seen, arguments: dict[str, str]) -> QueueView | None:
    """`queue`: its name. None when it is not in this shard."""
    one = found(node, arguments.get("queue", ""))
    if one is None:
        return None
    why = of_queue(node, one, {id(one.budget): await _sharing(node, one)})
    now = node.clock.monotonic()
    links = [
        Link(worker.channel.route.host, worker.channel.route.address, worker.source, now - worker.begun, worker.served, worker.busy)
        for worker in node.delivery.crew.workers
        if worker.queue is one
    ]
    return QueueView(queues.row(node, one, queues.filter_of(arguments)), why, links)


async def _sharing(node: Seen, one: Queue) -> list[Queue]:
    """The queues that share the rates of its virtual MTA, if that has any."""
    if one.budget.rates is None:
        return []
    return [
        queue
        async for batch in batches(node.scheduler.queues.values())
        for queue in batch
        if queue.budget is one.budget and queue.recipients
    ]


async def job(node: Seen, arguments: dict[str, str]) -> JobView | None:
    """`job`: its id, whose case matters. None when this shard has nothing of it."""
    name = arguments.get("job", "")
    view = JobView(name, paused=node.orders.pauses(name))
    async for batch in batches(node.scheduler.owned.jobs()):
        for known, recipients, octets in batch:
            if known == name:
                view.recipients += recipients
                view.octets += octets
    if not view.recipients:
        return view if view.paused else None
    sums: dict[str, Sum] = {}
    async for one, entries in look_over(node, lambda key: True):
        for entry in entries:
            if entry.owner and job_of(entry.owner) == name:
                total = sums.setdefault(str(one.key), Sum(str(one.key), connections=one.connections, queues=1))
                total.recipients += len(entry.recipients)
                total.octets += entry.size
    view.queues = _most(sums.values(), asked.order(arguments).most)
    return view


def _most(sums: Iterable[Sum], most: int) -> list[Sum]:
    return sorted(sums, key=lambda one: (-one.recipients, one.name))[:most]


def whole_job(parts: Sequence[JobView], most: int) -> JobView:
    """The relay's."""
    recipients, octets = sum(part.recipients for part in parts), sum(part.octets for part in parts)
    rows = _most((row for part in parts for row in part.queues), most)
    return JobView(parts[0].name, recipients, octets, any(part.paused for part in parts), rows)


async def disabled(node: Seen, arguments: dict[str, str]) -> DisabledView:
    """`queue` (a pattern), `maxitems`."""
    pattern, now = QueuePattern(arguments.get("queue", "")), node.clock.now()
    view, most = DisabledView(0, []), asked.number(arguments, "maxitems", asked.MOST)
    async for batch in batches(node.scheduler.queues.values()):
        for one in batch:
            out = [use for use in one.sources or () if use.disabled_until > now]
            if out and pattern.fits(one.key):
                view.matching += len(out)
                view.rows += [DisabledAddress(str(one.key), use.address, _time(use.disabled_until)) for use in out]
                del view.rows[most:]
    return view


def _time(until: float) -> float:
    return 0.0 if until == NEVER else until


async def precached(node: Seen, arguments: dict[str, str]) -> list[PrecachedDomain]:
    """All of them, as the file names them. Raises OSError."""
    dns = node.resolved.settings.dns
    if not dns.precached_domains_file:
        return []
    names = read_domains(Path(dns.precached_domains_file), dns.precached_max_domains)
    now = node.clock.now()
    known = [(name, node.resolver.known_until(name)) for name in names]
    return [PrecachedDomain(name, until if until > now else 0.0) for name, until in known]
