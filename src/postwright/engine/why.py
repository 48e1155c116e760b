"""`why`: what holds a queue up, where that was said, how close its other limits are, and how long it will take.

On the shard's side. A person asks, so a look at all entries of one queue is allowed; for a message it is at the queues that it belongs to
(`queues_of`), and only if it is in none of them at all. Nothing is changed. Lines come from those who hold the limits (`why_origin`), the
rest from where it happened: a rule of smtp-pattern-list, a reply.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Final, Protocol

from postwright.engine.deliver import Delivery
from postwright.engine.hub import Hub
from postwright.engine.orders.standing import StandingOrders
from postwright.engine.orders.standing_lines import job_line, queue_line
from postwright.engine.why_facts import Disabled, Limit, Why
from postwright.engine.why_origin import Origins
from postwright.model.message import parse_id
from postwright.model.work import Entry, QueueKey, WaitReason
from postwright.policy.resolve import Resolved
from postwright.schedule.drain import Pace, estimate
from postwright.schedule.queue import Queue
from postwright.schedule.rate import NEVER
from postwright.schedule.reasons import Standing
from postwright.store.spool import Spool

MOST_COMPARED: Final = 1000  # names; comparing one takes some 20 us

Sharing = dict[int, list[Queue]]
"""Queues in which something waits, by (the id of) the virtual MTA's budget whose rates they share."""


class Asked(Hub, Protocol):
    """The shard."""

    delivery: Delivery
    orders: StandingOrders
    resolved: Resolved
    spool: Spool


def of_queue(node: Asked, queue: Queue, sharing: Sharing, message_id: int | None = None) -> Why:
    """Everything about one queue."""
    now, scheduler = node.clock.now(), node.scheduler
    reason = scheduler.why(queue, now)
    origins = Origins(node.resolved, scheduler.routes, queue)
    standings = [*scheduler.standing(queue, now), *_at_hosts(node, queue)]
    limits = [_limit(standing, origins) for standing in standings]
    entries = list(scheduler.entries(queue))
    others = [one.recipients for one in sharing.get(id(queue.budget), ()) if one is not queue]
    drain = estimate(queue, reason, entries, others, _pace(node, queue, entries), now)
    mode = queue.backoff
    until = _until(queue, reason, entries, limits, now)
    why = Why(
        queue=str(queue.key),
        reason=reason.name,
        text=reason.value,
        origin=origins.of(reason, next((one for one in standings if one.reason is reason and one.until is not None), None)),
        recipients=queue.recipients,
        ready=sum(len(entry.recipients) for entry in entries if entry.due <= now),
        scheduled=sum(len(entry.recipients) for entry in entries if entry.due > now),
        in_flight=queue.in_flight,
        connections=queue.connections,
        until=until,
        limits=limits,
        seconds=drain.seconds,
        because=drain.because,
        step=queue.retry_step,
        last_error=queue.last_error,
        disabled=_disabled(node, queue, now),
    )
    rule = node.orders.suspended(queue.key)
    if reason is WaitReason.SUSPENDED and rule is not None:
        why.origin, why.until = queue_line(rule), rule.why.until
    if queue.aside is not None:
        _tell_of_jobs(node, why, queue.aside.held)
    if mode is not None:
        why.mode, why.mode_reason = "backoff", mode.reason
        why.mode_until = None if mode.until == NEVER else mode.until
    own = next((entry for entry in entries if entry.message_id == message_id), None)
    if own is not None:
        why.due, why.attempts = own.due, own.attempts
    return why


def _tell_of_jobs(node: Asked, why: Why, held: list[Entry]) -> None:
    """What of the queue an operator has paused by its job."""
    jobs = {entry.job for entry in held}
    rules = [rule for rule in node.orders.book.jobs if rule.job in jobs]
    why.held, why.held_by = sum(len(entry.recipients) for entry in held), [job_line(rule) for rule in rules]
    if why.reason == WaitReason.JOB_SUSPENDED.name:
        ends = [rule.why.until for rule in rules if rule.why.until is not None]
        why.until = min(ends, default=None)


def wanted(node: Asked, what: str, among: Sequence[str] = ()) -> list[Why]:
    """`DOMAIN/VMTA`, `DOMAIN` (under all virtual MTAs), an address of that domain, or a message's id; empty when it is not here.

    `among`: look for a message in these queues only, as `queues_of` told them; without, in all.
    """
    try:
        message_id = parse_id(what)
    except ValueError:
        sharing = _sharing(node)
        return [of_queue(node, queue, sharing) for queue in _named(node, what)]
    queues = node.scheduler.queues
    searched = [queues[key] for key in map(_as_key, among) if key in queues] if among else list(queues.values())
    holding = [queue for queue in searched if _holds(node, queue, message_id)]
    sharing = _sharing(node) if holding else {}
    return [of_queue(node, queue, sharing, message_id) for queue in holding]


def _sharing(node: Asked) -> Sharing:
    """One pass for all that is asked at once: a domain may have a queue under each of a thousand virtual MTAs."""
    found: Sharing = {}
    for queue in node.scheduler.queues.values():
        if queue.budget.rates is not None and queue.recipients:
            found.setdefault(id(queue.budget), []).append(queue)
    return found


def _holds(node: Asked, queue: Queue, message_id: int) -> bool:
    return any(one.message_id == message_id for one in node.scheduler.entries(queue))


def _as_key(name: str) -> QueueKey:
    return QueueKey(*name.split("/", 1))


def queues_of(node: Asked, message_id: int) -> list[str]:
    """All queues in which the live recipients of a message of ours may be: where they belong, and those that stand in for these (backoff
    mode, warm-up). Empty when the message is another shard's, or gone."""
    live, ref = node.spool.live_recipients(message_id), node.spool.ref(message_id)
    if not live or ref is None:
        return []
    message, where = node.spool.read_message(message_id, ref), node.where
    found: dict[str, None] = {}
    for index in live:
        key = where.key_of(message, message.envelope.recipients[index])
        found[str(key)] = None
        for name in where.placement.family(key.vmta):  # in lower case
            vmta = node.resolved.vmta(name)
            found[str(QueueKey(key.domain, vmta.name if vmta is not None else name))] = None
    return list(found)


def near(node: Asked, what: str, most: int = 5) -> list[str]:
    """Queues that somebody may have meant who wrote what there is not: the same domain under another virtual MTA, else domains of nearly
    that name. One slip leaves the first or the last half of a name as it was, which is what keeps a look at all queues short."""
    domain = what.strip().rpartition("@")[2].lower().partition("/")[0]
    half = len(domain) // 2
    if half < 2:
        return []
    names = [key for key in node.scheduler.queues if key.domain == domain]
    if not names:
        head, tail = domain[:half], domain[-half:]
        begin = (key.domain for key in node.scheduler.queues if key.domain.startswith(head))
        end = (key.domain for key in node.scheduler.queues if key.domain.endswith(tail))
        close = get_close_matches(domain, sorted({*islice(begin, MOST_COMPARED), *islice(end, MOST_COMPARED)}), n=most, cutoff=0.8)
        names = [key for key in node.scheduler.queues if key.domain in close]
    return [str(key) for key in names[:most]]


def _named(node: Asked, what: str) -> Iterator[Queue]:
    domain, slash, vmta = what.strip().rpartition("@")[2].lower().partition("/")
    for key, queue in node.scheduler.queues.items():
        if key.domain == domain and (not slash or key.vmta.lower() == vmta):
            yield queue


def _at_hosts(node: Asked, queue: Queue) -> list[Standing]:
    """How close the hosts are to their limits that the queue is connected to. One that waits for a host has these already."""
    routes = node.scheduler.routes
    if not routes.limited or queue.waiting is not None:
        return []
    found: dict[str, Standing] = {}
    for worker in node.delivery.crew.workers:
        if worker.queue is queue:
            route = worker.channel.route
            for name, limit, reason in routes.way(worker.source, route.host, route.address):
                found[name] = Standing(reason, routes.used(name), limit, place=name)
    return list(found.values())


def _limit(standing: Standing, origins: Origins) -> Limit:
    until = standing.until
    shown = None if until is None else _shown(until)
    return Limit(
        standing.reason.value, standing.used, standing.limit, shown, origins.of(standing.reason, standing), standing.source, standing.place
    )


def _shown(until: float) -> float:
    return -1.0 if until == NEVER else until


def _disabled(node: Asked, queue: Queue, now: float) -> list[Disabled]:
    """With what was said when it happened, if that is still remembered."""
    out = [use for use in queue.sources or () if use.disabled_until > now]
    said = [event.text for event in node.events.of(str(queue.key)).errors if event.kind == "source"] if out else []
    return [Disabled(use.address, _shown(use.disabled_until), _because(use.address, said)) for use in out]


def _because(address: str, said: list[str]) -> str:
    told = [text.removeprefix(f"{address} is disabled: ") for text in said if text.startswith(f"{address} is disabled: ")]
    return told[-1] if told else ""


def _until(queue: Queue, reason: WaitReason, entries: list[Entry], limits: list[Limit], now: float) -> float | None:
    """When the binding reason ends; None when there is no time for it."""
    if reason is WaitReason.QUEUE_RETRY:
        return queue.retry_at
    if reason in (WaitReason.RECIPIENT_RETRY, WaitReason.SCHEDULED):
        return min((entry.due for entry in entries), default=None)
    return next((limit.until for limit in limits if limit.reason == reason.value and limit.until is not None), None)


def _pace(node: Asked, queue: Queue, entries: list[Entry]) -> Pace:
    """What the connections have managed in the last minute; recipients as many a message as those that wait have."""
    crew, now = node.delivery.crew, node.clock.monotonic()
    open_now = sum(worker.queue is queue for worker in crew.workers)
    each = sum(len(entry.recipients) for entry in entries) / len(entries) if entries else 1.0
    turns = [turn for turn in crew.turns if turn.queue is queue]
    recipients = sum(turn.served / max(now - turn.begun, 0.001) for turn in turns)
    return Pace(open_now + len(turns), crew.paces.of(queue) * each + recipients)
