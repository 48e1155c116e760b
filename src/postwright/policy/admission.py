"""Who may enter: slots of the relay and of its source groups, and the networks that rates are counted by.

`total-max-smtp-in` bounds all inbound sessions, `max-smtp-in` those of one group, and `reserved-smtp-in` keeps slots of the total free for
a group: while it uses fewer than those, nobody else gets the rest of them. Pure: how many there are at the moment is told by the caller,
who also sees to it that nobody else counts at the same time. Every question has an answer; nothing here raises or remembers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from functools import lru_cache

from postwright.policy.settings import SourceGroup

NETWORK_V6 = 64  # bits: one customer has at least that much, so counting by single addresses would bound nobody


class SlotRules:
    """`total-max-smtp-in` and the `<source-group>`s (by name in lower case), ready to be asked."""

    __slots__ = ("_groups", "_reserving", "_total")

    def __init__(self, total: int | None, groups: Mapping[str, SourceGroup]) -> None:
        self._total = total
        self._groups = groups
        self._reserving = tuple((name, group.reserved_smtp_in) for name, group in groups.items() if group.reserved_smtp_in)

    def admits(self, group: str, sessions: int, sessions_of: Callable[[str], int]) -> bool:
        """May one more session of `group` ("": of none) begin, with `sessions` in all and `sessions_of(name)` of a group?"""
        own = self._groups.get(group)
        if own is not None and own.max_smtp_in is not None and sessions_of(group) >= own.max_smtp_in:
            return False
        if self._total is None:
            return True
        if sessions >= self._total:
            return False
        return sessions + self._kept_from(group, sessions_of) < self._total

    def _kept_from(self, group: str, sessions_of: Callable[[str], int]) -> int:
        """Free slots that `group` may not have. One that still has a reserved slot takes it, whatever is kept for others."""
        kept = 0
        for name, reserved in self._reserving:
            free = reserved - sessions_of(name)
            if free > 0:
                if name == group:
                    return 0
                kept += free
        return kept


@lru_cache(maxsize=4096)
def rate_network(peer: str) -> str:
    """What a client at `peer` is counted as: an IPv4 address by itself, an IPv6 address by its /64."""
    if ":" not in peer:
        return peer
    return str(ipaddress.ip_network((peer, NETWORK_V6), strict=False).network_address)
