"""Source addresses that a receiver is angry with: `disable-source-ip` of a reply, an operator's command, and what follows from either.

Of one queue, the address sends nothing any more: its connections end with what they are sending, others take their place. It comes back
after `reenable-after` of the rule, else `reenable-source-ip-after`, else when an operator says so. When none is left the queue waits, and
goes into backoff mode if `backoff-upon-all-sources-disabled` wants it. Who is to know is told by mail (`disabled-source-ip-notify`).
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Protocol

from postwright.engine.hub import Hub
from postwright.engine.notices import Notices
from postwright.engine.status import DisabledAddress
from postwright.engine.worker import Crew
from postwright.schedule.queue import Queue
from postwright.schedule.rate import NEVER

LISTED = 50  # in a status


class Angry(Hub, Protocol):
    """The shard."""

    notices: Notices

    @property
    def crew(self) -> Crew:
        """Its connections."""


class DisabledSources:
    """Of the queues of one shard."""

    def __init__(self, node: Angry) -> None:
        self._node = node

    def disable(self, queue: Queue, address: str, why: str, after: float | None = None) -> bool:
        """No mail of the queue by this address for `after` seconds (None: as long as the settings say). False: it is not one of its own."""
        node, now = self._node, self._node.clock.now()
        settings = node.state(queue).ways.settings
        wait = settings.reenable_source_ip_after if after is None else after
        until = NEVER if wait is None else now + wait
        before = self._until(queue, address)
        if not node.scheduler.disable_source(queue, address, until):
            return False
        for worker in [one for one in node.crew.workers if one.queue is queue and one.source == address]:
            worker.retire()
        if until < NEVER:
            node.clock.call_later(until - now, partial(self._over, queue, address, until))
        if before <= now:
            self._told(queue, address, "disabled", why, until)
        self._none_left(queue, why)
        node.pump_soon()
        return True

    def enable(self, queue: Queue, address: str, why: str = "by an operator") -> bool:
        """It may be used again. False: it was not disabled."""
        node = self._node
        if self._until(queue, address) <= node.clock.now():
            return False
        node.scheduler.enable_source(queue, address)
        self._told(queue, address, "enabled", why, NEVER)
        node.pump_soon()
        return True

    def is_disabled(self, queue: Queue, address: str) -> bool:
        """May the queue not use it now?"""
        return self._until(queue, address) > self._node.clock.now()

    def listed(self, most: int = LISTED) -> tuple[list[DisabledAddress], int]:
        """Addresses that are out of use, `most` of them, and how many there are in all. A look at all queues, for who asks."""
        scheduler, now = self._node.scheduler, self._node.clock.now()
        out = [(queue, use) for queue in scheduler.queues.values() for use in queue.sources or () if use.disabled_until > now]
        return [DisabledAddress(str(queue.key), use.address, _time(use.disabled_until)) for queue, use in out[:most]], len(out)

    def _over(self, queue: Queue, address: str, until: float) -> None:
        """The time is up, unless it was made longer or an operator was quicker."""
        if self._node.scheduler.queues.get(queue.key) is queue and self._until(queue, address) == until:
            self._node.scheduler.enable_source(queue, address)
            self._told(queue, address, "enabled", "its time is up", NEVER)
            self._node.pump_soon()

    def _until(self, queue: Queue, address: str) -> float:
        use = queue.sources.of(address) if queue.sources is not None else None
        return use.disabled_until if use is not None else 0.0

    def _none_left(self, queue: Queue, why: str) -> None:
        node, now = self._node, self._node.clock.now()
        settings = node.state(queue).ways.settings
        if not settings.backoff_upon_all_sources_disabled or queue.backoff is not None or queue.sources is None:
            return
        if all(use.disabled_until > now for use in queue.sources):
            node.scheduler.back_off(queue, now, f"all source addresses are disabled: {why}"[:200])

    def _told(self, queue: Queue, address: str, change: str, why: str, until: float) -> None:
        node, name = self._node, str(queue.key)
        settings = node.state(queue).ways.settings
        shown = address or "(whichever the system chooses)"
        node.events.error(name, node.clock.now(), "source", f"{shown} is {change}: {why}", settings.max_events_recorded)
        if settings.log_disabled_ips:
            node.log.warning(f"source address {change}", queue=name, source=shown, why=why)
        lines = [f"Source address {shown} of queue {name} is {change}.", f"Reason: {why}"]
        if until < NEVER:
            lines.append(f"It is enabled again at {datetime.fromtimestamp(until):%Y-%m-%d %H:%M:%S}.")
        node.crew.spawn(node.notices.tell(settings.disabled_source_ip_notify, name, f"Source address {change}", lines))


def _time(until: float) -> float:
    return 0.0 if until == NEVER else until
