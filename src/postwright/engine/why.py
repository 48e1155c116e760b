"""`why`: what holds a queue up, where that was said, how close its other limits are, and how long it will take.

On the shard's side. A person asks, so a look at all entries of one queue, and for a message at all queues, is allowed; nothing is changed.
Origins come from the settings themselves (`Resolved.explain_queue`), the rest from where it happened: a rule of smtp-pattern-list, a reply.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from msgspec import Struct

from postwright.engine.deliver import Delivery
from postwright.engine.hub import Hub
from postwright.model.message import parse_id
from postwright.model.work import Entry, WaitReason
from postwright.policy.resolve import Resolved
from postwright.schedule.drain import Drain, Pace, estimate
from postwright.schedule.queue import Queue
from postwright.schedule.rate import NEVER
from postwright.schedule.reasons import Standing

# the directive behind each limit of a queue, in normal and in backoff mode
_DIRECTIVES = {
    WaitReason.QUEUE_CONNECTIONS: ("max-smtp-out", "backoff-max-smtp-out"),
    WaitReason.MESSAGE_RATE: ("max-msg-rate", "backoff-max-msg-rate"),
    WaitReason.DATA_VOLUME: ("max-data-volume-rate", "backoff-max-data-volume-rate"),
    WaitReason.CONNECT_RATE: ("max-connect-rate", "backoff-max-connect-rate"),
    WaitReason.RAMP_UP: ("smtp-out-rampup-interval", "smtp-out-rampup-interval"),
    WaitReason.QUEUE_RETRY: ("retry-after", "backoff-retry-after"),
    WaitReason.RECIPIENT_RETRY: ("retry-recipients-after", "retry-recipients-after"),
    WaitReason.SOURCE_CONNECTIONS: ("source-ip-max-smtp-out", "source-ip-max-smtp-out"),
    WaitReason.SOURCE_CONNECT_RATE: ("source-ip-max-connect-rate", "source-ip-max-connect-rate"),
    WaitReason.SOURCE_MESSAGE_RATE: ("source-ip-max-msg-rate", "source-ip-max-msg-rate"),
    WaitReason.SOURCE_DATA_VOLUME: ("source-ip-max-data-volume-rate", "source-ip-max-data-volume-rate"),
    WaitReason.SOURCES_DISABLED: ("smtp-pattern-list", "smtp-pattern-list"),
}
_ELSEWHERE = {
    WaitReason.VMTA_CONNECTIONS: "<virtual-mta {vmta}> max-smtp-out",
    WaitReason.VMTA_MESSAGE_RATE: "<virtual-mta {vmta}> max-smtp-msg-rate",
    WaitReason.VMTA_DATA_VOLUME: "<virtual-mta {vmta}> max-smtp-data-volume-rate",
    WaitReason.TOTAL_CONNECTIONS: "total-max-smtp-out",
    WaitReason.MX_CONNECTIONS: "mx-connection-limit",
    WaitReason.IP_CONNECTIONS: "ip-connection-limit",
    WaitReason.PAUSED: "an operator",
}


class Asked(Hub, Protocol):
    """The shard."""

    delivery: Delivery
    resolved: Resolved


class Limit(Struct):
    """How close one limit is. `until` None: it holds nothing up now; -1: until something ends it. `origin` FILE:LINE, or the default."""

    reason: str
    used: float
    limit: float
    until: float | None
    origin: str
    source: str = ""


class Why(Struct):
    """One queue. `reason` is the binding one of the closed list (its name), `text` says it in words; `seconds` until it is drained, None
    when nobody can tell, and `because`. `due` and `attempts` are a message's own where one was asked for."""

    queue: str
    reason: str
    text: str
    origin: str
    recipients: int
    ready: int
    scheduled: int
    in_flight: int
    connections: int
    until: float | None
    limits: list[Limit]
    seconds: float | None
    because: str
    mode: str = "normal"
    mode_reason: str = ""
    mode_until: float | None = None
    step: int = 0
    last_error: str = ""
    due: float | None = None
    attempts: int | None = None


def of_queue(node: Asked, queue: Queue, message_id: int | None = None) -> Why:
    """Everything about one queue."""
    now, scheduler = node.clock.now(), node.scheduler
    reason = scheduler.why(queue, now)
    origins = {row.directive: str(row.origin) for row in node.resolved.explain_queue(*queue.key)}
    limits = [_limit(standing, queue, origins) for standing in scheduler.standing(queue, now)]
    entries = list(scheduler.entries(queue))
    drain = _drain(node, queue, reason, entries, now)
    mode = queue.backoff
    until = _until(queue, reason, entries, limits, now)
    why = Why(
        queue=str(queue.key),
        reason=reason.name,
        text=reason.value,
        origin=_origin(reason, queue, origins),
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
    )
    if mode is not None:
        why.mode, why.mode_reason = "backoff", mode.reason
        why.mode_until = None if mode.until == NEVER else mode.until
    own = next((entry for entry in entries if entry.message_id == message_id), None)
    if own is not None:
        why.due, why.attempts = own.due, own.attempts
    return why


def wanted(node: Asked, what: str) -> list[Why]:
    """`DOMAIN/VMTA`, `DOMAIN` (under all virtual MTAs), an address of that domain, or a message's id; empty when it is not here."""
    try:
        message_id = parse_id(what)
    except ValueError:
        return [of_queue(node, queue) for queue in _named(node, what)]
    scheduler = node.scheduler
    holding = [queue for queue in scheduler.queues.values() if any(one.message_id == message_id for one in scheduler.entries(queue))]
    return [of_queue(node, queue, message_id) for queue in holding]


def _named(node: Asked, what: str) -> Iterator[Queue]:
    domain, slash, vmta = what.strip().rpartition("@")[2].lower().partition("/")
    for key, queue in node.scheduler.queues.items():
        if key.domain == domain and (not slash or key.vmta.lower() == vmta):
            yield queue


def _limit(standing: Standing, queue: Queue, origins: dict[str, str]) -> Limit:
    until = standing.until
    shown = None if until is None else -1.0 if until == NEVER else until
    return Limit(standing.reason.value, standing.used, standing.limit, shown, _origin(standing.reason, queue, origins), standing.source)


def _origin(reason: WaitReason, queue: Queue, origins: dict[str, str]) -> str:
    if reason in _ELSEWHERE:
        return _ELSEWHERE[reason].format(vmta=queue.key.vmta)
    names = _DIRECTIVES.get(reason)
    if names is None:
        return ""
    name = names[queue.backoff is not None]
    return f"{name} ({origins.get(name) or 'default'})"


def _until(queue: Queue, reason: WaitReason, entries: list[Entry], limits: list[Limit], now: float) -> float | None:
    """When the binding reason ends; None when there is no time for it."""
    if reason is WaitReason.QUEUE_RETRY:
        return queue.retry_at
    if reason in (WaitReason.RECIPIENT_RETRY, WaitReason.SCHEDULED):
        return min((entry.due for entry in entries), default=None)
    return next((limit.until for limit in limits if limit.reason == reason.value and limit.until is not None), None)


def _drain(node: Asked, queue: Queue, reason: WaitReason, entries: list[Entry], now: float) -> Drain:
    beside = [one for one in node.scheduler.queues.values() if one.budget is queue.budget and one is not queue]
    others = [one.recipients for one in beside if one.recipients]
    return estimate(queue, reason, entries, others, _pace(node, queue, entries), now)


def _pace(node: Asked, queue: Queue, entries: list[Entry]) -> Pace:
    """What the open connections have managed so far; recipients as many a message as those that wait have."""
    crew, now = node.delivery.crew, node.clock.monotonic()
    workers = [worker for worker in crew.workers if worker.queue is queue]
    messages = sum(worker.channel.served / max(now - worker.begun, 0.001) for worker in workers if worker.channel.served)
    each = sum(len(entry.recipients) for entry in entries) / len(entries) if entries else 1.0
    turns = [turn for turn in crew.turns if turn.queue is queue]
    recipients = sum(turn.served / max(now - turn.begun, 0.001) for turn in turns)
    return Pace(len(workers) + len(turns), messages * each + recipients)
