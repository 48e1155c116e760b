"""What holds for a message on its way out, fact by fact with its line: which queue and why that one, hosts and routes in the order of
attempt, TLS, signature, limits. Looks at what a dry run came to; decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from postwright.engine.dry_run import DryRun, Way
from postwright.engine.explain_dkim import signature
from postwright.engine.explain_hosts import hop, hosts_of
from postwright.engine.explain_values import Fact, Path, Section
from postwright.engine.orders.standing_lines import job_line, queue_line
from postwright.model.message import Message
from postwright.model.route import Plan
from postwright.model.work import BOUNCE, QueueKey, queue_of
from postwright.policy import mx
from postwright.policy.resolve import Explained, Resolved, connections, messages, volume

_LIMITS = (
    "max-smtp-out",
    "max-msg-rate",
    "max-data-volume-rate",
    "max-connect-rate",
    "smtp-out-rampup-interval",
    "max-msg-per-connection",
    "max-rcpt-per-message",
    "retry-after",
    "bounce-after",
    "smtp-pattern-list",
    "backoff-max-smtp-out",
    "backoff-max-msg-rate",
    "backoff-retry-after",
    "backoff-to-normal-after",
)


async def path_of(run: DryRun, message: Message, way: Way) -> Path:
    """Everything about one queue that the message came to."""
    node, key, plan = run.node, way.queue.key, way.plan or Plan(())
    rows = {row.directive: row for row in node.resolved.explain_queue(*key)}
    start = queue_of(message, message.envelope.recipients[way.recipients[0]])
    sections = [Section("queue", tuple(_queue(run, start, way, message.id))), Section("paused", tuple(_paused(run, way)))]
    if key.domain != BOUNCE:
        sections += await hosts_of(run, way, rows)
        sections.append(Section("signature", tuple(signature(run, message, way, rows))))
        sections.append(Section("limits", tuple(_limits(run, way, rows))))
        shown = {fact.name for section in sections for fact in section.facts}
        sections.append(Section("beside", tuple(_domain(row) for row in rows.values() if row.origin.file and row.directive not in shown)))
    placement = node.where.placement
    return Path(
        queue=str(key),
        vmta=key.vmta,
        recipients=tuple(f"<{message.envelope.recipients[index].address.text}>" for index in way.recipients),
        others=tuple(str(other) for other in placement.share(start) if other != key) if len(placement.share(start)) > 1 else (),
        sections=tuple(section for section in sections if section.facts),
        hops=tuple(hop(route, plan.options) for route in plan.routes),
        error=_error(run, way),
        permanent=plan.permanent,
    )


def _error(run: DryRun, way: Way) -> str:
    """Why no connection is made, and what becomes of the mail."""
    state = run.node.state(way.queue)
    if way.queue.key.domain == BOUNCE:
        return "it bounces at once"
    if not state.ways.known_vmta:
        return f"it bounces at once: there is no virtual MTA {way.queue.key.vmta}"
    if way.plan is None or way.plan.routes:
        return ""
    age = mx.bounces_after(way.plan, state.ways.settings)
    fate = "it waits and is tried again" if age is None else "it bounces at once" if not age else f"it bounces after {age:.0f} s"
    return f"{way.plan.error} ({way.plan.status}); {fate}"


def _domain(row: Explained) -> Fact:
    return Fact(row.directive, row.value, row.origin, "domain")


# -- the queue ----------------------------------------------------------------------------------


def _queue(run: DryRun, start: QueueKey, way: Way, message_id: int) -> Iterator[Fact]:
    """From the address's domain and the chosen virtual MTA to where it waits."""
    resolved, where, key = run.node.resolved, run.node.where, way.queue.key
    yield Fact("begins as", str(start))
    placed = where.placement.where(start, message_id)
    for at, directive in where.placement.way(start, placed):
        yield from (_domain(row) for row in resolved.explain_queue(*at) if row.directive == directive)
    if key.domain != placed.domain:
        yield _rollup(resolved, key.domain)
    cold = where.placement.cold(QueueKey(key.domain, placed.vmta))
    if cold is not None:
        block = resolved.of_vmta(placed.vmta, lambda one: one.cold_virtual_mta or None)[1]
        yield Fact("cold-virtual-mta", ", ".join(cold.targets), resolved.line("cold_virtual_mta", block))
        yield from (_domain(row) for row in resolved.explain_queue(key.domain, placed.vmta) if row.directive == "max-cold-virtual-mta-msg")
    refuge = where.placement.refuge(key)
    if refuge:
        yield from (_domain(row) for row in resolved.explain_queue(*key) if row.directive == "backoff-reroute-to-virtual-mta")


def _paused(run: DryRun, way: Way) -> Iterator[Fact]:
    """What an operator holds back."""
    orders, queue = run.node.orders, way.queue
    rule = orders.suspended(queue.key)
    if rule is not None:
        yield Fact("by an operator", queue_line(rule))
    jobs = {entry.job for entry in run.node.scheduler.entries(queue)}
    yield from (Fact("by an operator", job_line(rule)) for rule in orders.book.jobs if rule.job in jobs)


def _rollup(resolved: Resolved, queue: str) -> Fact:
    lines = [rule.origin for rule in resolved.settings.mx_rollups if rule.queue == queue]
    if lines:
        return Fact("mx-rollup-list", queue, lines[0])
    return Fact("mx-rollup-discovered", f"{queue}: the MX hosts of the domain are a provider's", resolved.line("mx_rollup_discovered"))


# -- limits ----------------------------------------------------------------------------------------


def _limits(run: DryRun, way: Way, rows: dict[str, Explained]) -> Iterator[Fact]:
    """The queue's, the virtual MTA's, the relay's, and those of the hosts that are known now."""
    yield from (_domain(rows[name]) for name in _LIMITS if rows[name].value not in ("", 0.0) or rows[name].origin.file)
    yield from _of_vmta(run.node.resolved, way.queue.key.vmta)
    resolved = run.node.resolved
    total = resolved.settings.general.total_max_smtp_out
    yield Fact("total-max-smtp-out", total, resolved.line("total_max_smtp_out"), "global")
    yield from dict.fromkeys(_of_routes(run, way))


def _of_vmta(resolved: Resolved, vmta: str) -> Iterator[Fact]:
    """Named by the block that says it: it may be a pool's, for all its members."""
    value, block = resolved.of_vmta(vmta, connections)
    if block:
        yield Fact(f"max-smtp-out of {block}", str(value), resolved.line("max_smtp_out", block))
    for name, read in (("max-smtp-msg-rate", messages), ("max-smtp-data-volume-rate", volume)):
        rate, block = resolved.of_vmta(vmta, read)
        if rate is not None:
            yield Fact(name, rate, resolved.line(name.replace("-", "_"), block), "virtual-mta")


def _of_routes(run: DryRun, way: Way) -> Iterator[Fact]:
    resolved, routes = run.node.resolved, run.node.scheduler.routes
    for route in way.plan.routes if way.plan is not None else ():
        if route.address.startswith("/"):
            continue  # a Unix socket of this machine
        for name, pattern, limit in routes.rules(route.host, route.address):
            if limit is not None:
                yield Fact(name, f"{pattern} {limit}", resolved.line(f"{name.replace('-', '_')} {pattern}"))
