"""What commands may ask a shard about one queue. Arguments and answers are JSON; an empty answer means that the queue is another shard's.

Each verb is a function in the table `QUEUE_VERBS`. ValueError is told to whoever asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from postwright.engine.deliver import Delivery
from postwright.engine.message_state import held
from postwright.engine.orders.standing import StandingOrders
from postwright.engine.queue_orders import QUEUE_ORDERS, Ordered
from postwright.engine.sharing import Sharing
from postwright.engine.tracing import TraceLines, TraceOptions
from postwright.engine.why import near, queues_of, wanted
from postwright.engine.worker import Worker
from postwright.model.errors import SpoolError
from postwright.model.message import parse_id
from postwright.model.work import QueueKey
from postwright.policy.resolve import Resolved
from postwright.schedule.queue import Queue
from postwright.store.spool import Spool

DEFAULT_VMTA = "{default}"


class Keeper(Ordered, Protocol):
    """The shard."""

    delivery: Delivery
    orders: StandingOrders
    sharing: Sharing
    resolved: Resolved
    spool: Spool


def key_of(name: str) -> QueueKey:
    """`DOMAIN/VMTA`, or `DOMAIN` under the default virtual MTA."""
    domain, _, vmta = name.strip().partition("/")
    return QueueKey(domain.lower(), vmta or DEFAULT_VMTA)


def found(node: Keeper, name: str) -> Queue | None:
    """The queue of this name, if it is in this shard; virtual MTAs are found without regard to case, as everywhere."""
    key = key_of(name)
    queue = node.scheduler.queues.get(key)
    if queue is not None:
        return queue
    return next((one for known, one in node.scheduler.queues.items() if _same(known, key)), None)


def _same(one: QueueKey, other: QueueKey) -> bool:
    return one.domain == other.domain and one.vmta.lower() == other.vmta.lower()


def trace(node: Keeper, arguments: dict[str, str]) -> bytes:
    """`op` begin, read or end, for `queue`; a beginning takes the options of `TraceOptions`. The answer is `TraceLines`."""
    queue = found(node, arguments.get("queue", ""))
    traces = node.delivery.crew.traces
    if arguments.get("op") == "begin":
        if queue is None:
            return b""
        if not queue.recipients:
            raise ValueError(f"nothing waits in {queue.key}")
        _begin(node, queue, arguments)
        return _encoded(TraceLines([], False))
    name = str(queue.key) if queue is not None else str(key_of(arguments.get("queue", "")))
    if arguments.get("op") == "end":
        traces.end(name)
        return b""
    lines = traces.read(name)
    return _encoded(lines) if lines is not None else b""


def _begin(node: Keeper, queue: Queue, arguments: dict[str, str]) -> None:
    options = TraceOptions(
        data="log-data" in arguments,
        resolution="log-resolution" in arguments,
        to_log="to-log" in arguments,
        source_ip=arguments.get("source-ip", ""),
    )
    node.delivery.crew.traces.begin(str(queue.key), options)
    for worker in list(queue.idle):
        if isinstance(worker, Worker):
            worker.retire()  # else one of them would take the mail, and there would be nothing to see
    if "retry-recipients" in arguments:
        node.scheduler.retry_now(queue, node.clock.now())
    else:
        queue.retry_at = 0.0
        node.scheduler.look_again(queue, node.clock.now())
    node.pump_soon()


def _encoded(value: object) -> bytes:
    return msgspec.json.encode(value)


def events(node: Keeper, arguments: dict[str, str]) -> bytes:
    """What happened to `queue` lately: `QueueEvents`. A queue that is empty now may have some."""
    queue = found(node, arguments.get("queue", ""))
    known = node.events.of(str(queue.key) if queue is not None else str(key_of(arguments.get("queue", ""))))
    return _encoded(known) if queue is not None or known.errors or known.outcomes else b""


def why(node: Keeper, arguments: dict[str, str]) -> bytes:
    """`queue` is a queue, a domain, an address or a message's id: a list of `Why`, one for each queue of this shard that is meant.

    `among`: names of queues, a line each, that a message is looked for in."""
    found = wanted(node, arguments.get("queue", ""), arguments.get("among", "").splitlines())
    return _encoded(found) if found else b""


def queues_of_message(node: Keeper, arguments: dict[str, str]) -> bytes:
    """The queues that the recipients of a message of ours belong to; `queue` is its id. Nothing for what is none, or not ours."""
    try:
        found = queues_of(node, parse_id(arguments.get("queue", "")))
    except (ValueError, KeyError, SpoolError):  # KeyError: it went a moment ago; a damaged one is for the spool's own log
        return b""
    return _encoded(found) if found else b""


def near_names(node: Keeper, arguments: dict[str, str]) -> bytes:
    """Names of queues like `queue`, which there is not."""
    return _encoded(near(node, arguments.get("queue", "")))


QUEUE_VERBS: dict[str, Callable[[Keeper, dict[str, str]], bytes]] = {
    "trace": trace,
    "events": events,
    "why": why,
    "queues-of-message": queues_of_message,
    "near-names": near_names,
    "message": held,
    **QUEUE_ORDERS,
}
