"""Answers of one kind kept by name, and looked up once however many ask.

Knows when an answer has had its time; where answers come from is the caller's business. An answer outlives its time only while
its successor cannot be had (RFC 8767). Raises what the look-up raises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from postwright.model.route import MxStatus
from postwright.net.clock import Clock


class CacheLimits(Struct, frozen=True):
    """Seconds and counts. What the DNS says of time is bounded on both sides: a TTL of 0 would ask for every message.

    `negative` is for NXDOMAIN and NODATA that say no time of their own, `most_negative` bounds those that do (RFC 2308 section 5 has both);
    `failure` for servers that do not answer (RFC 9520 section 3.2 wants a second at least; longer than `retry-after`, and the try that
    finds the domain repaired would not even ask); `stale` how long after its end an answer may still serve while they do not.
    """

    least: float = 30.0
    most: float = 86400.0
    negative: float = 300.0
    most_negative: float = 3600.0
    failure: float = 5.0
    stale: float = 86400.0
    entries: int = 200_000


class Dated(Protocol):
    """An answer: `expires` in Unix seconds, TEMPORARY when there was none."""

    @property
    def status(self) -> MxStatus: ...
    @property
    def expires(self) -> float: ...
    @property
    def detail(self) -> str: ...


A = TypeVar("A", bound=Dated)


class AnswerCache(Generic[A]):
    """`look_up(name)` gives a fresh answer. When there are more than `limits.entries`, the oldest leaves. `stale_served` counts look-ups
    that ended with an answer past its time."""

    __slots__ = ("_clock", "_entries", "_limits", "_look_up", "_running", "stale_served")

    def __init__(self, look_up: Callable[[str], Awaitable[A]], clock: Clock, limits: CacheLimits) -> None:
        self._look_up = look_up
        self._clock = clock
        self._limits = limits
        self._entries: dict[str, tuple[A, float]] = {}
        self._running: dict[str, asyncio.Future[A]] = {}
        self.stale_served = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def pending(self) -> int:
        """Look-ups under way."""
        return len(self._running)

    def known(self, name: str, now: float) -> A | None:
        """What is kept and still true."""
        entry = self._entries.get(name)
        return entry[0] if entry is not None and entry[0].expires > now else None

    async def get(self, name: str, until: float = 0.0) -> A:
        """What is known (and good `until` then, if that is later than now), or one look-up for all who ask at a time; it goes on when any
        of them is cancelled."""
        known = self.known(name, max(until, self._clock.now()))
        if known is not None:
            return known
        running = self._running.get(name)
        if running is None:
            running = asyncio.ensure_future(self._fresh(name))
            self._running[name] = running
            running.add_done_callback(lambda _: self._running.pop(name, None))
        return await asyncio.shield(running)

    async def _fresh(self, name: str) -> A:
        answer = await self._look_up(name)
        now = self._clock.now()
        until = answer.expires
        if answer.status is not MxStatus.TEMPORARY:
            until += self._limits.stale
        else:
            entry = self._entries.get(name)
            if entry is not None and entry[0].expires > now:
                return entry[0]  # asked before its time was over
            if entry is not None and entry[1] > now and entry[0].status is not MxStatus.TEMPORARY:
                self.stale_served += 1
                until = entry[1]
                answer = replace(entry[0], expires=now + self._limits.failure, detail=f"stale: {answer.detail}")  # type: ignore[type-var]
        self._keep(name, answer, until)
        return answer

    def _keep(self, name: str, answer: A, until: float) -> None:
        """Each that comes looks at two of the oldest, so that what nobody may use any more is gone before the bound is reached."""
        entries = self._entries
        entries.pop(name, None)
        now = self._clock.now()
        for _ in range(2):
            oldest = next(iter(entries), None)
            if oldest is None or (entries[oldest][1] > now and len(entries) < self._limits.entries):
                break
            del entries[oldest]
        entries[name] = (answer, until)

    def clear(self, name: str) -> int:
        """Forget one name, or with "" all; how many that were."""
        if name:
            return 0 if self._entries.pop(name, None) is None else 1
        count = len(self._entries)
        self._entries.clear()
        return count

    def clear_below(self, suffix: str) -> int:
        """Forget all names that end so. Looks at every one: for an operator's wish."""
        return sum(self.clear(name) for name in [name for name in self._entries if name.endswith(suffix)])

    def peek(self, name: str) -> A | None:
        """What is kept, however old."""
        entry = self._entries.get(name)
        return entry[0] if entry is not None else None

    async def close(self) -> None:
        """Wait for look-ups under way, whose source is closed, and end what does not end."""
        running = list(self._running.values())
        if running:
            _, late = await asyncio.wait(running, timeout=1.0)
            for task in late:
                task.cancel()
