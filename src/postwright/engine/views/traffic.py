"""Mail that came and went: in all, in the last minute and hour, and the most that it was in any of them (powermta.md section 4, `traffic`).

Shards only ever say how much they have moved since they began (`Figures`), once a second; the book of the supervisor adds that up, so that
windows and tops are those of the whole relay, and a shard that dies takes nothing out of them but what it had not told. Counting costs a
shard nothing beyond its totals. Pure: the time (seconds that only grow) comes in; nothing is raised.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from postwright.engine.views.figures import Figures

MINUTE: Final = 60.0
HOUR: Final = 3600.0
_HOUR_STEP: Final = 10.0  # seconds between two looks that the hour is reckoned from


class Connections(Struct, frozen=True):
    """Connections now, and the most that there were at a time since the counters were reset."""

    now: int = 0
    top: int = 0


class TrafficView(Struct, frozen=True):
    """`top_*`: of each figure its own highest value over any such time since the start or the last reset."""

    total: Figures = Figures()
    last_hour: Figures = Figures()
    last_minute: Figures = Figures()
    top_hour: Figures = Figures()
    top_minute: Figures = Figures()
    inbound: Connections = Connections()
    outbound: Connections = Connections()
    since: float = 0.0  # Unix seconds: the start, or when the counters were last reset


_Row = tuple[int, ...]
_NOTHING: Final[_Row] = (0,) * len(Figures.__struct_fields__)


def _row(figures: Figures) -> _Row:
    return tuple(getattr(figures, name) for name in Figures.__struct_fields__)


def _plus(one: _Row, other: _Row) -> _Row:
    return tuple(a + b for a, b in zip(one, other, strict=True))


def _minus(one: _Row, other: _Row) -> _Row:
    return tuple(a - b for a, b in zip(one, other, strict=True))


class _Window:
    """How much a total has grown over the last `span` seconds, by looks that are `step` apart, and the most that it ever was."""

    def __init__(self, span: float, step: float) -> None:
        self._span = span
        self._step = step
        self._looks: deque[tuple[float, _Row]] = deque()
        self.grown = self.top = _NOTHING

    def look(self, now: float, total: _Row) -> None:
        """The total is this now."""
        looks = self._looks
        if not looks:
            looks.append((now, total))
        if now - looks[-1][0] >= self._step:
            looks.append((now, total))
        while len(looks) > 1 and looks[1][0] <= now - self._span:
            looks.popleft()
        self.grown = _minus(total, looks[0][1])
        self.top = tuple(map(max, self.top, self.grown))


class TrafficBook:
    """The relay's, of what its shards say. `heard` what they say, `gone` when a process has died, `tick` once a second."""

    def __init__(self, now: float, since: float) -> None:
        self._shards: dict[int, _Row] = {}
        self._connections: dict[int, tuple[int, int]] = {}
        self._peaks: dict[int, tuple[int, int]] = {}
        self._past = _NOTHING  # of processes that are gone
        self.reset(now, since)

    def reset(self, now: float, since: float) -> None:
        """Begin to count anew (`reset counters`); `since` is the same moment in Unix seconds."""
        self._since = since
        self._base = self._sum()
        self._minute, self._hour = _Window(MINUTE, 1.0), _Window(HOUR, _HOUR_STEP)
        self._top_in = self._top_out = 0
        self._look(now)

    def gone(self, shard: int) -> None:
        """The process of this shard is no more, nor are its connections; what it said stays counted, the next begins at nought."""
        self._past = _plus(self._past, self._shards.pop(shard, _NOTHING))
        self._connections.pop(shard, None)
        self._peaks.pop(shard, None)

    def heard(self, shard: int, figures: Figures, connections: Sequence[int], peaks: Sequence[int]) -> None:
        """A shard's totals; its connections in and out now, and the most that there were since it last said so."""
        self._shards[shard] = _row(figures)
        self._connections[shard] = (connections[0], connections[1])
        before = self._peaks.get(shard, (0, 0))
        self._peaks[shard] = (max(before[0], peaks[0], connections[0]), max(before[1], peaks[1], connections[1]))

    def tick(self, now: float) -> None:
        """A second has passed, or somebody asks. Peaks of shards within one second are added: they may have been at one time."""
        self._look(now)
        self._top_in = max(self._top_in, sum(peak[0] for peak in self._peaks.values()))
        self._top_out = max(self._top_out, sum(peak[1] for peak in self._peaks.values()))
        self._peaks.clear()

    def view(self) -> TrafficView:
        """As of the last `tick`."""
        now_in, now_out = (sum(one[at] for one in self._connections.values()) for at in (0, 1))
        return TrafficView(
            Figures(*_minus(self._sum(), self._base)),
            Figures(*self._hour.grown),
            Figures(*self._minute.grown),
            Figures(*self._hour.top),
            Figures(*self._minute.top),
            Connections(now_in, max(self._top_in, now_in)),
            Connections(now_out, max(self._top_out, now_out)),
            self._since,
        )

    def _look(self, now: float) -> None:
        total = _minus(self._sum(), self._base)
        self._minute.look(now, total)
        self._hour.look(now, total)

    def _sum(self) -> _Row:
        total = self._past
        for row in self._shards.values():
            total = _plus(total, row)
        return total
