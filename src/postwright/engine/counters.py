"""Counts of what one shard did: totals since its start, and the last sixty seconds of them. Plain integers, bumped in place.

A rate is a difference of totals taken once a second, so that counting costs one addition on the hot path.
"""

from __future__ import annotations

import time

from msgspec import Struct

from postwright.engine.rule_counts import RuleCounts
from postwright.engine.status import Traffic


class Sessions(Struct):
    """Sessions of clients since the start of a shard: those that were greeted, `turned` to TLS by STARTTLS, `logins` that worked."""

    greeted: int = 0
    turned: int = 0
    logins: int = 0


class Lateness:
    """How late the loop comes to what is due: of a timer that asks for a second, all that is beyond. Seconds."""

    __slots__ = ("_before", "_recent", "now", "total")

    def __init__(self) -> None:
        self.now = self.total = 0.0
        self._before = 0.0
        self._recent = [0.0] * 60

    def tick(self, monotonic: float) -> None:
        """A second should have passed."""
        self.now = max(0.0, monotonic - self._before - 1.0) if self._before else 0.0
        self._before = monotonic
        self.total += self.now
        self._recent = [*self._recent[1:], self.now]

    @property
    def most(self) -> float:
        """The latest of the last minute."""
        return max(self._recent)


class Counters:
    """`traffic` and `sessions` are bumped directly; `tick` once a second."""

    __slots__ = ("_in", "_out", "last_injection", "lateness", "sender_rules", "sessions", "traffic")

    def __init__(self) -> None:
        self.traffic = Traffic()
        self.sessions = Sessions()
        self.lateness = Lateness()
        self.sender_rules = RuleCounts()
        self.last_injection = ""  # the address of who last sent plain text behind STARTTLS
        self._in = [0] * 61
        self._out = [0] * 61

    def tick(self) -> None:
        """A second has passed."""
        self.lateness.tick(time.monotonic())
        self._in = [*self._in[1:], self.traffic.messages_in]
        self._out = [*self._out[1:], self.traffic.delivered]

    @property
    def messages_in_last_minute(self) -> int:
        return self._in[-1] - self._in[0]

    @property
    def delivered_last_minute(self) -> int:
        return self._out[-1] - self._out[0]
