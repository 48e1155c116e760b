"""What an operator orders of queues: a source address out of use or back, backoff mode or normal (powermta.md section 3).

On the shard's side. A name may have `*` for any text: then all queues of the shard that fit are meant, which is a pass over them, for a
person who asked. The answer is a JSON list of the queues that something was done to, or (`dry-run`) would be. Orders are in the log, in
what happened to the queue, and survive a restart as what a reply ordered does. Pauses, and what is about mail, are `engine.orders`'.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from postwright.engine.disabled_sources import DisabledSources
from postwright.engine.hub import Hub
from postwright.engine.orders.asking import flag, span
from postwright.engine.orders.selection import pattern_of
from postwright.schedule.queue import Queue

_LONGEST = 200  # characters of a reason


class Ordered(Hub, Protocol):
    """The shard."""

    disabled: DisabledSources


def chosen(node: Hub, name: str) -> list[Queue]:
    """The queues that a name means: `DOMAIN/VMTA`, `DOMAIN` under the default virtual MTA, with `*` for any text; case does not matter."""
    if not name.strip():
        return []  # nobody means all of them by saying nothing
    fits = pattern_of(name).fits
    return [queue for queue in list(node.scheduler.queues.values()) if fits(queue.key)]


def _by(arguments: dict[str, str]) -> str:
    reason = arguments.get("reason", "")[:_LONGEST]
    return f"by an operator: {reason}" if reason else "by an operator"


def disable_source(node: Ordered, arguments: dict[str, str]) -> bytes:
    """`source` of `queue`, for `after` ("" as the settings say, "never" until it is enabled). Raises ValueError."""
    after = arguments.get("after", "")
    seconds = float("inf") if after == "never" else span(arguments, "after")
    source, queues = arguments.get("source", ""), chosen(node, arguments.get("queue", ""))
    if flag(arguments, "dry-run"):
        return _done([queue for queue in queues if any(one.address == source for one in queue.limits.sources.each)])
    return _done([queue for queue in queues if node.disabled.disable(queue, source, _by(arguments), seconds)])


def enable_source(node: Ordered, arguments: dict[str, str]) -> bytes:
    """`source` of `queue` may be used again."""
    source, queues = arguments.get("source", ""), chosen(node, arguments.get("queue", ""))
    if flag(arguments, "dry-run"):
        return _done([queue for queue in queues if node.disabled.is_disabled(queue, source)])
    return _done([queue for queue in queues if node.disabled.enable(queue, source, _by(arguments))])


def set_mode(node: Ordered, arguments: dict[str, str]) -> bytes:
    """`mode` backoff or normal of `queue`; backoff for as long as `for` says, or the settings. Raises ValueError."""
    mode, now, lasting = arguments.get("mode", ""), node.clock.now(), span(arguments, "for")
    if mode not in ("backoff", "normal"):
        raise ValueError(f"{mode!r} is no mode: backoff or normal")
    queues = chosen(node, arguments.get("queue", ""))
    for queue in () if flag(arguments, "dry-run") else queues:
        if mode == "backoff":
            node.scheduler.back_off(queue, now, _by(arguments), lasting)
        else:
            node.scheduler.normal(queue)
        node.log.info("mode of a queue", queue=str(queue.key), mode=mode, by=_by(arguments))
    node.pump_soon()
    return _done(queues)


def _done(queues: list[Queue]) -> bytes:
    return msgspec.json.encode([str(queue.key) for queue in queues]) if queues else b""


QUEUE_ORDERS: dict[str, Callable[[Ordered, dict[str, str]], bytes]] = {
    "disable-source": disable_source,
    "enable-source": enable_source,
    "set-mode": set_mode,
}
