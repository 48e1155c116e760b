"""The verbs that tell of one thing, on the supervisor's side: a queue, a domain, a job; of addresses out of use, of precached domains."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from postwright.engine import frames as f
from postwright.engine.lock_lines import shown
from postwright.engine.queue_commands import near_lines
from postwright.engine.views import asked, details, queues, sums
from postwright.engine.views.detail_facts import DisabledView, DomainView, JobView, PrecachedDomain, PrecachedRow, PrecacheView, QueueView
from postwright.engine.views.gathering import Arguments, Shards, gathered, refused, told


async def _queue(relay: Shards, arguments: Arguments) -> f.Told:
    parts, troubles = await gathered(relay, "view-queue", arguments, _any(QueueView | None))
    found = next((part for part in parts if part is not None), None)
    if found is not None:
        return told(found, ())
    none = f"there is no queue {shown(arguments.get('queue', ''))}: nothing waits in it, or it is written otherwise"
    return refused([*troubles, none, *await near_lines(relay, arguments)])


async def _domain(relay: Shards, arguments: Arguments) -> f.Told:
    name = arguments.get("domain", "").strip().lower()
    parts, troubles = await gathered(relay, "view-domains", sums.only([name]), sums.Sums)
    known = sums.together(row for part in parts for row in part.rows)
    if not known:
        return refused([*troubles, f"there is no queue of the domain {shown(name)}", *await near_lines(relay, {"queue": name})])
    wanted = {**arguments, "queue": f"{name}/*", "sort": "rcpt"}
    rows, _ = await gathered(relay, "view-queues", wanted, queues.QueuesView)
    return told(DomainView(known[0], queues.merged(rows, wanted).rows), troubles)


async def _job(relay: Shards, arguments: Arguments) -> f.Told:
    parts, troubles = await gathered(relay, "view-job", arguments, _any(JobView | None))
    found = [part for part in parts if part is not None]
    if not found:
        return refused([*troubles, f"nothing waits of the job {shown(arguments.get('job', ''))}"])
    return told(details.whole_job(found, asked.order(arguments).most), troubles)


async def _disabled(relay: Shards, arguments: Arguments) -> f.Told:
    parts, troubles = await gathered(relay, "view-disabled-sources", arguments, DisabledView)
    if not parts:
        return refused(troubles)
    rows = sorted((row for part in parts for row in part.rows), key=lambda row: (row.queue, row.address))
    most = asked.number(arguments, "maxitems", asked.MOST)
    return told(DisabledView(sum(part.matching for part in parts), rows[:most]), troubles)


async def _precache(relay: Shards, arguments: Arguments) -> f.Told:
    parts, troubles = await gathered(relay, "view-precache", arguments, _any(list[PrecachedDomain]))
    if not parts:
        return refused(troubles)
    found: dict[str, list[float]] = {}
    for one in (one for part in parts for one in part):
        found.setdefault(one.name, []).extend([one.until] if one.until else [])
    rows = [PrecachedRow(name, len(times), min(times, default=0.0)) for name, times in found.items()]
    return told(PrecacheView(rows, len(parts)), troubles)


def _any(kind: Any) -> Any:
    """A type that is more than a class, for a decoder that takes it."""
    return kind


DETAIL_COMMANDS: Final[Mapping[str, Callable[[Shards, Arguments], Awaitable[f.Told]]]] = {
    "view-queue": _queue,
    "view-domain": _domain,
    "view-job": _job,
    "view-disabled-sources": _disabled,
    "view-precache": _precache,
}
