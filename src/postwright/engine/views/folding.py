"""Totals under few names, of totals under many: what keeps the series of a monitoring system bounded and their sums true.

Shards say how much each domain and virtual MTA has moved since they began; here the growth of each is added to a series of its own while
there is room for one, else to `OTHER`, as is what moved under names that a shard forgot between two looks. A series only ever grows,
whatever shards forget or begin anew; one that has not moved for long gives its place to who moves, and is gone. Pure: the time (seconds
that only grow) comes in; nothing is raised."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from postwright.engine.flow_book import ALL, FlowRow
from postwright.engine.views.lasting import Process

OTHER: Final = "other"
IDLE: Final = 3600.0  # seconds after which a series may give way


class Series:
    """What has moved under one name."""

    __slots__ = ("moved_at", "row")

    def __init__(self, name: str, now: float) -> None:
        self.row = FlowRow(name)
        self.moved_at = now


class Fold:
    """Of one kind of names; at most `most` of them have a series."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._series: dict[str, Series] = {}
        self._other = FlowRow(OTHER)
        self._seen: dict[int, tuple[int, dict[str, FlowRow]]] = {}  # by shard: its process, and what that said last

    def take(self, parts: Iterable[tuple[Process, Iterable[FlowRow]]], now: float) -> None:
        """What processes have moved under each name since they began, and under `ALL`. One that is silent has not begun anew."""
        grown: dict[str, FlowRow] = {}
        for (shard, pid), rows in parts:
            known, before = self._seen.get(shard, (pid, {}))
            seen = {row.name: row for row in rows}
            for row in seen.values():
                grown.setdefault(row.name, FlowRow(row.name)).add(_growth(before.get(row.name) if known == pid else None, row))
            self._seen[shard] = pid, seen
        every = grown.pop(ALL, None)
        if every is not None:
            self._other.add(_beyond(every, grown.values()))
        for row in sorted(grown.values(), key=lambda row: -row.moved):
            if row.moved:
                self._add(row, now)

    def rows(self) -> list[FlowRow]:
        """The series, and `OTHER`, if anything was ever counted there."""
        named = [series.row for series in self._series.values()]
        return [*named, self._other] if self._other.moved else named

    def _add(self, row: FlowRow, now: float) -> None:
        series = self._series.get(row.name) or self._begun(row.name, now) if row.name != OTHER else None  # somebody may be called that
        if series is None:
            self._other.add(row)
            return
        series.moved_at = now
        series.row.add(row)

    def _begun(self, name: str, now: float) -> Series | None:
        """A series for a name that has none, if there is a place."""
        if len(self._series) >= self._most:
            idle = min(self._series.values(), key=lambda one: one.moved_at)
            if now - idle.moved_at < IDLE:
                return None
            del self._series[idle.row.name]
        series = self._series[name] = Series(name, now)
        return series


def _beyond(every: FlowRow, named: Iterable[FlowRow]) -> FlowRow:
    """What is in none of the names."""
    rest = FlowRow(OTHER, every.delivered, every.deferred, every.bounced)
    for row in named:
        rest.add(FlowRow(OTHER, -row.delivered, -row.deferred, -row.bounced))
    return FlowRow(OTHER, max(0, rest.delivered), max(0, rest.deferred), max(0, rest.bounced))


def _growth(before: FlowRow | None, row: FlowRow) -> FlowRow:
    """What was forgotten meanwhile has begun at nought again."""
    if before is None or any(getattr(row, field) < getattr(before, field) for field in ("delivered", "deferred", "bounced")):
        return row
    return FlowRow(row.name, row.delivered - before.delivered, row.deferred - before.deferred, row.bounced - before.bounced)
