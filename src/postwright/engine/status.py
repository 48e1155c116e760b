"""What a running relay says of itself: values for programs (JSON), lines for people. Adds up; never measures."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from msgspec import Struct

from postwright.engine.export_frames import ConsumerStatus
from postwright.engine.lock_lines import shown
from postwright.engine.rule_counts import RuleCounts, rule_lines
from postwright.engine.shadow_status import ShadowStatus, shadow_lines
from postwright.net.resolver import ResolverCounts


class QueueStatus(Struct):
    """One queue: `ready` may go now, `scheduled` wait for a time, `in_flight` are being sent; `wait` is why the rest waits."""

    name: str
    recipients: int
    ready: int
    scheduled: int
    in_flight: int
    connections: int
    mode: str = "normal"
    wait: str = ""
    retry_at: float = 0.0
    last_error: str = ""


class DisabledAddress(Struct):
    """A source address that a queue may not use; `until` Unix seconds, 0 for until somebody ends it."""

    queue: str
    address: str
    until: float


class Traffic(Struct):
    """Counters since the start of a shard."""

    messages_in: int = 0
    recipients_in: int = 0
    bytes_in: int = 0
    delivered: int = 0
    messages_out: int = 0  # transactions that delivered something
    bytes_out: int = 0
    deferred: int = 0
    bounced: int = 0
    rejected: int = 0
    starttls_injections: int = 0  # sessions that sent plain text behind STARTTLS; it was dropped
    failed_logins: int = 0
    barred_logins: int = 0  # of these, what was tried under a lock


class ShardStatus(Struct):
    """One shard's word on itself. `*_last_minute` are counts over the last 60 seconds."""

    shard: int
    pid: int
    uptime: float
    connections_in: int
    connections_out: int
    recipients: int
    queues: int
    messages_in_last_minute: int
    delivered_last_minute: int
    traffic: Traffic
    spool_bytes: int
    spool_segments: int
    memory: int
    top_queues: list[QueueStatus]
    epoch: int = 0
    waiting_group: int = 0
    waiting_for_slot: int = 0
    refused_at_door: dict[str, int] = {}
    bounce_shadow: ShadowStatus | None = None
    resolver: ResolverCounts = ResolverCounts()
    disabled: list[DisabledAddress] = []
    disabled_count: int = 0  # of which `disabled` are some
    sender_rules: RuleCounts | None = None


class RelayStatus(Struct):
    """The whole relay."""

    version: str
    time: float
    started: float
    pids: list[int]
    shards: list[ShardStatus]
    locks: int = 0
    consumers: list[ConsumerStatus] = []


def _uptime(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 86400} {whole // 3600 % 24:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def _size(octets: int) -> str:
    value = float(octets)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1024 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return ""


def _injections(sessions: int) -> list[str]:
    return [f"  plain text behind STARTTLS (dropped): {sessions} sessions"] if sessions else []


def _door(shards: list[ShardStatus]) -> list[str]:
    """Connections that became no sessions, by cause, and those that may yet (docs/reference/protection.md)."""
    refused: Counter[str] = Counter()
    for shard in shards:
        refused.update(shard.refused_at_door)
    told = [f"{count} {cause.replace('_', ' ')}" for cause, count in refused.items() if count]
    waiting = sum(shard.waiting_for_slot for shard in shards)
    lines = [f"  refused at the door: {', '.join(told)}"] if told else []
    return [*lines, f"  waiting for a slot: {waiting}"] if waiting else lines


def _logins(traffic: list[Traffic], locks: int) -> list[str]:
    failed = sum(t.failed_logins for t in traffic)
    if not failed and not locks:
        return []
    return [f"  failed logins: {failed}, {sum(t.barred_logins for t in traffic)} of them under a lock; locks now: {locks}"]


def _names(counts: list[ResolverCounts]) -> str:
    told = f"  names: {sum(c.cached for c in counts)} cached, {sum(c.pending for c in counts)} pending"
    stale = sum(c.stale for c in counts)
    return f"{told}; stale answers used: {stale}" if stale else told


def _disabled(shards: list[ShardStatus]) -> list[str]:
    """What can otherwise only be seen queue by queue (`why`)."""
    told = sorted((one for shard in shards for one in shard.disabled), key=lambda one: (one.queue, one.address))[:20]
    if not told:
        return []
    lines = ["", f"{'Disabled source address':<40}{'queue':<40}  until"]
    for one in told:
        until = datetime.fromtimestamp(one.until, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if one.until else "somebody ends it"
        lines.append(f"{one.address or 'an address of the system':<40}{one.queue:<40}  {until}")
    more = sum(shard.disabled_count for shard in shards) - len(told)
    return [*lines, f"  and {more} more"] if more > 0 else lines


def _consumers(consumers: list[ConsumerStatus]) -> list[str]:
    """Who is fed from the event log, and how far behind it is."""
    if not consumers:
        return []
    lines = ["", f"{'Consumer of events':<44}{'had':>12}{'behind':>12}{'lag':>12}  trouble"]
    return lines + [f"{c.name:<44}{c.delivered:>12}{_size(c.behind):>12}{_uptime(c.lag):>12}  {shown(c.trouble)}" for c in consumers]


def status_lines(status: RelayStatus) -> list[str]:
    """The status as text, in the order a person asks: is it up, does mail move, what waits and why."""
    shards = status.shards
    traffic = [s.traffic for s in shards]
    when = datetime.fromtimestamp(status.time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    up = _uptime(status.time - status.started)
    lines = [
        f"Postwright {status.version} on {when}, up {up}, {len(shards)} of {len(status.pids)} shards answer",
        "",
        f"{'Traffic':<14}{'messages':>12}{'recipients':>12}{'bytes':>12}{'last minute':>14}",
        f"{'  in':<14}{sum(t.messages_in for t in traffic):>12}{sum(t.recipients_in for t in traffic):>12}"
        f"{_size(sum(t.bytes_in for t in traffic)):>12}{sum(s.messages_in_last_minute for s in shards):>14}",
        f"{'  delivered':<14}{'':>12}{sum(t.delivered for t in traffic):>12}"
        f"{_size(sum(t.bytes_out for t in traffic)):>12}{sum(s.delivered_last_minute for s in shards):>14}",
        f"{'  deferred':<14}{'':>12}{sum(t.deferred for t in traffic):>12}",
        f"{'  bounced':<14}{'':>12}{sum(t.bounced for t in traffic):>12}",
        f"{'  rejected':<14}{sum(t.rejected for t in traffic):>12}",
        *_injections(sum(t.starttls_injections for t in traffic)),
        *_door(shards),
        *shadow_lines(s.bounce_shadow for s in shards),
        *rule_lines(s.sender_rules for s in shards),
        *_logins(traffic, status.locks),
        _names([s.resolver for s in shards]),
        "",
        f"{'Shard':<8}{'pid':>8}{'recipients':>12}{'queues':>9}{'in':>7}{'out':>7}{'spool':>12}{'memory':>12}",
    ]
    for s in shards:
        lines.append(
            f"{s.shard:<8}{s.pid:>8}{s.recipients:>12}{s.queues:>9}{s.connections_in:>7}{s.connections_out:>7}"
            f"{_size(s.spool_bytes):>12}{_size(s.memory):>12}"
        )
    queues = sorted((q for s in shards for q in s.top_queues), key=lambda q: -q.recipients)[:20]
    if queues:
        lines += ["", f"{'Queue':<40}{'rcpt':>9}{'ready':>8}{'sched':>8}{'flight':>8}{'conn':>6}  why it waits"]
    for q in queues:
        mode = "" if q.mode == "normal" else f"{q.mode} mode; "
        why = mode + q.wait + (f" (last error: {shown(q.last_error)})" if q.last_error else "")
        lines.append(f"{q.name:<40}{q.recipients:>9}{q.ready:>8}{q.scheduled:>8}{q.in_flight:>8}{q.connections:>6}  {why}")
    return [*lines, *_disabled(shards), *_consumers(status.consumers)]
