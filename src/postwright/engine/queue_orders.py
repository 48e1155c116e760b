"""What an operator orders of queues: a source address out of use or back, backoff mode or normal, a pause (powermta.md section 3).

On the shard's side. A name may have `*` for any text: then all queues of the shard that fit are meant, which is a pass over them, for a
person who asked. The answer is a JSON list of the queues that something was done to. Orders are in the log, in what happened to the
queue, and survive a restart as what a reply ordered does (a pause does not).
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Protocol

import msgspec

from postwright.engine.disabled_sources import DisabledSources
from postwright.engine.hub import Hub
from postwright.schedule.queue import Queue

_BY = "by an operator"


class Ordered(Hub, Protocol):
    """The shard."""

    disabled: DisabledSources


def chosen(node: Hub, name: str) -> list[Queue]:
    """The queues that a name means: `DOMAIN/VMTA`, `DOMAIN` under the default virtual MTA, with `*` for any text; case does not matter."""
    wanted = name.strip().lower()
    wanted = wanted if "/" in wanted else f"{wanted}/{{default}}"
    pattern = "".join(f"[{letter}]" if letter in "[?" else letter for letter in wanted)
    return [queue for queue in list(node.scheduler.queues.values()) if fnmatchcase(str(queue.key).lower(), pattern)]


def disable_source(node: Ordered, arguments: dict[str, str]) -> bytes:
    """`source` of `queue`, for `after` seconds ("" as the settings say, "never" until it is enabled)."""
    after = arguments.get("after", "")
    seconds = None if not after else float("inf") if after == "never" else float(after)
    source, queues = arguments.get("source", ""), chosen(node, arguments.get("queue", ""))
    return _done([queue for queue in queues if node.disabled.disable(queue, source, _BY, seconds)])


def enable_source(node: Ordered, arguments: dict[str, str]) -> bytes:
    """`source` of `queue` may be used again."""
    return _done([queue for queue in chosen(node, arguments.get("queue", "")) if node.disabled.enable(queue, arguments.get("source", ""))])


def set_mode(node: Ordered, arguments: dict[str, str]) -> bytes:
    """`mode` backoff or normal of `queue`. Raises ValueError."""
    mode, now = arguments.get("mode", ""), node.clock.now()
    if mode not in ("backoff", "normal"):
        raise ValueError(f"{mode!r} is no mode: backoff or normal")
    queues = chosen(node, arguments.get("queue", ""))
    for queue in queues:
        if mode == "backoff":
            node.scheduler.back_off(queue, now, _BY)
        else:
            node.scheduler.normal(queue)
        node.log.info("mode of a queue", queue=str(queue.key), mode=mode, by=_BY)
    node.pump_soon()
    return _done(queues)


def _done(queues: list[Queue]) -> bytes:
    return msgspec.json.encode([str(queue.key) for queue in queues]) if queues else b""


QUEUE_ORDERS: dict[str, Callable[[Ordered, dict[str, str]], bytes]] = {
    "disable-source": disable_source,
    "enable-source": enable_source,
    "set-mode": set_mode,
}
