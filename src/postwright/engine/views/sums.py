"""`view-domains`, `view-vmtas` and `view-jobs`: what waits, added up by domain, by virtual MTA and by job.

Virtual MTAs are few; all of them are told to the supervisor, which shows some. Domains are many, and so are jobs (a sender may have one for
each message), and one may live in several shards: each shard tells the first of its own, and then what it has of all that were told by any,
so that figures are the relay's. Sorted by name the first are the first; sorted by figures one could be missed whose parts are small
everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from postwright.engine.views import asked
from postwright.engine.views.asked import MOST
from postwright.engine.views.passing import batches
from postwright.engine.views.rows import First, first, place
from postwright.model.queue_pattern import Glob

if TYPE_CHECKING:
    from postwright.engine.views.seen import Seen
    from postwright.schedule.queue import Queue


class Sum(Struct):
    """What waits under one name: in so many `queues`, over so many connections."""

    name: str
    recipients: int = 0
    octets: int = 0
    connections: int = 0
    queues: int = 0
    last_error: str = ""
    paused: bool = False  # a job


class SumsView(Struct):
    """`matching` names fit what was asked; `rows` are some of them, `next` the cursor for more, "" when there are none."""

    matching: int
    recipients: int
    rows: list[Sum]
    next: str = ""


class Sums(Struct):
    """One shard's part: how many names fit, and the first of them."""

    matching: int
    recipients: int
    rows: list[Sum]
    names: list[str] = []  # all that fit, where a name may live in several shards and there are few enough


def _add(total: Sum, queue: Queue) -> None:
    total.recipients += queue.recipients
    total.octets += queue.octets
    total.connections += queue.connections
    total.queues += 1
    total.last_error = total.last_error or queue.last_error


async def domains(node: Seen, arguments: dict[str, str]) -> Sums:
    """`domain` and `vmta` (patterns), `connected`, `errors`, `sort`, `maxitems`, `after`; or `names`, see `only`."""
    pattern, vmta = Glob(arguments.get("domain") or "*"), Glob(arguments.get("vmta") or "*")
    names = _only(arguments)
    found: dict[str, Sum] = {}
    async for batch in batches(node.scheduler.queues.values()):
        for queue in batch:
            domain = queue.key.domain
            if names is not None and domain not in names:
                continue
            if vmta.fits(queue.key.vmta.lower()) and pattern.fits(domain):
                _add(found.setdefault(domain, Sum(domain)), queue)
    return await _sums(found, arguments, named=node.shards > 1)


def only(names: Iterable[str]) -> dict[str, str]:
    """The argument that asks for all that a shard has of these names, and of no others."""
    return {"names": msgspec.json.encode(list(names)).decode(), "maxitems": str(MOST)}


def _only(arguments: dict[str, str]) -> frozenset[str] | None:
    return frozenset(msgspec.json.decode(arguments["names"], type=list[str])) if "names" in arguments else None


def _wanted(one: Sum, arguments: dict[str, str]) -> bool:
    return not (asked.flag(arguments, "connected") and not one.connections) and not (asked.flag(arguments, "errors") and not one.last_error)


async def _sums(found: dict[str, Sum], arguments: dict[str, str], *, named: bool) -> Sums:
    order = asked.order(arguments)
    best: First[Sum] = First(order)
    sums = Sums(0, 0, [])
    names: list[str] = []
    async for batch in batches(found.values()):
        for one in batch:
            if _wanted(one, arguments):
                sums.matching += 1
                sums.recipients += one.recipients
                best.offer(place(order, one.name, one.recipients, one.octets), one)
                if named and len(names) <= MOST:
                    names.append(one.name)
    sums.rows, sums.names = best.taken(), names if len(names) <= MOST else []
    return sums


async def vmtas(node: Seen, arguments: dict[str, str]) -> Sums:
    """`vmta` (a pattern): all of them, those without mail too; `queues` counts those in which something waits."""
    pattern = Glob(arguments.get("vmta") or "*")
    names = ["{default}", *(vmta.name for vmta in node.resolved.settings.vmtas.values())]
    found = {name.lower(): Sum(name) for name in names if pattern.fits(name.lower())}
    async for batch in batches(node.scheduler.queues.values()):
        for queue in batch:
            name = queue.key.vmta.lower()
            if name in found or pattern.fits(name):
                total = found.setdefault(name, Sum(queue.key.vmta))
                _add(total, queue)
                total.queues -= queue.recipients == 0
    return _all(found)


async def jobs(node: Seen, arguments: dict[str, str]) -> Sums:
    """`job` (a pattern), `sort`, `maxitems`, `after`, or `names`: those of which something waits, in flight or not."""
    pattern, names = Glob(arguments.get("job") or "*"), _only(arguments)
    found: dict[str, Sum] = {}
    async for batch in batches(node.scheduler.owned.jobs()):
        for job, recipients, octets in batch:
            if (names is None or job in names) and pattern.fits(job.lower()):
                total = found.get(job) or found.setdefault(job, Sum(job, paused=node.orders.pauses(job)))
                total.recipients += recipients
                total.octets += octets
    return await _sums(found, arguments, named=node.shards > 1)


def _all(found: dict[str, Sum]) -> Sums:
    rows = list(found.values())
    return Sums(len(rows), sum(one.recipients for one in rows), rows, [one.name for one in rows])


def together(rows: Iterable[Sum]) -> list[Sum]:
    """Sums of the same name in several shards are one."""
    found: dict[str, Sum] = {}
    for row in rows:
        known = found.get(row.name)
        if known is None:
            found[row.name] = row
            continue
        known.recipients += row.recipients
        known.octets += row.octets
        known.connections += row.connections
        known.queues += row.queues
        known.last_error = known.last_error or row.last_error
        known.paused = known.paused or row.paused
    return list(found.values())


def merged(rows: Sequence[Sums], arguments: dict[str, str], counted: Sequence[Sums] | None = None) -> SumsView:
    """The relay's, of parts that have all there is of the names they have. How many names fit is told by `counted`, if these are others."""
    parts = rows if counted is None else counted
    known = together(row for part in rows for row in part.rows)
    shown, more = first(asked.order(arguments), known)
    return SumsView(_names(parts), sum(part.recipients for part in parts), shown, more)


def _names(parts: Sequence[Sums]) -> int:
    """Different ones. Where there are too many to be told, a name counts for each shard that has something of it."""
    if len(parts) > 1 and all(len(part.names) == part.matching for part in parts):
        return len({name for part in parts for name in part.names})
    return sum(part.matching for part in parts)
