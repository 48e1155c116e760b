"""`tq` records: that a whole queue was put off, because no host took us in or a reply said so (powermta.md section 5, transient-queue).

One for each wait that begins, not for each connection that fails while it lasts. Recipients have no part in it: nothing of them was tried.
"""

from __future__ import annotations

from postwright.engine.hub import Hub
from postwright.model.outcome import Disposition, Failure
from postwright.model.record import Record
from postwright.model.route import Route
from postwright.schedule.queue import Queue


def put_off(node: Hub, queue: Queue, why: Disposition, error: str = "", route: Route | None = None, wait: float | None = None) -> None:
    """The queue waits for its next retry, or `wait` seconds. `error` is what the operator is shown; `route` the last that was tried."""
    now = node.clock.now()
    begins = queue.retry_at <= now
    until = node.scheduler.retry_later(queue, now, error or why.diagnostic, wait=wait)
    if begins:
        most = node.state(queue).ways.settings.max_events_recorded
        node.events.error(str(queue.key), now, "retry", f"waits for {round(until - now)} s: {error or why.diagnostic}", most)
        tell(node, queue, why, route)


def note(node: Hub, queue: Queue, kind: str, route: Route, failure: Failure) -> None:
    """Keep in mind what a host did (`max-events-recorded`)."""
    said = failure.reply.text if failure.reply is not None else f"{failure.fault.value} {failure.detail}".strip()
    text = f"{route.host} ({route.address}) at {failure.stage.value}: {said}"
    node.events.error(str(queue.key), node.clock.now(), kind, text, node.state(queue).ways.settings.max_events_recorded)


def tell(node: Hub, queue: Queue, why: Disposition, route: Route | None = None) -> None:
    """Account for a wait that has begun, where an accounting file wants that."""
    if "tq" not in node.state(queue).context.wanted:
        return
    mta = f"{route.host} ({route.address})" if route is not None else ""
    source, destination = (route.source.address, route.address) if route is not None else ("", "")
    node.account(
        Record(
            "tq",
            node.clock.now(),
            dsn_status=why.status,
            dsn_diag=why.diagnostic,
            dsn_mta=mta,
            dlv_type=node.state(queue).ways.settings.type.removesuffix("-delivery"),
            dlv_source_ip=source,
            dlv_destination_ip=destination,
            vmta=queue.key.vmta,
            queue=str(queue.key),
        )
    )
