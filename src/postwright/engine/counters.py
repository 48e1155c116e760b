"""Counts of what one shard did: totals since its start, and the last sixty seconds of them. Plain integers, bumped in place.

A rate is a difference of totals taken once a second, so that counting costs one addition on the hot path.
"""

from __future__ import annotations

from postwright.engine.rule_counts import RuleCounts
from postwright.engine.status import Traffic


class Counters:
    """`traffic` is bumped directly; `tick` once a second."""

    __slots__ = ("_in", "_out", "connections_opened", "last_injection", "sender_rules", "traffic")

    def __init__(self) -> None:
        self.traffic = Traffic()
        self.sender_rules = RuleCounts()
        self.connections_opened = 0
        self.last_injection = ""  # the address of who last sent plain text behind STARTTLS
        self._in = [0] * 61
        self._out = [0] * 61

    def tick(self) -> None:
        """A second has passed."""
        self._in = [*self._in[1:], self.traffic.messages_in]
        self._out = [*self._out[1:], self.traffic.delivered]

    @property
    def messages_in_last_minute(self) -> int:
        return self._in[-1] - self._in[0]

    @property
    def delivered_last_minute(self) -> int:
        return self._out[-1] - self._out[0]
