"""Looks at the relay once a second and every ten seconds: what the monitor draws, live and from the past.

One look serves all who watch: each browser gets the same sample. A second's look costs the relay one answer of the supervisor, no shard is
asked; what is waiting is asked for seldom, and of the shards' busiest domains and virtual MTAs only the totals, whose differences are the
rates. A relay that is away leaves a gap in the history. A browser that does not read is left behind, and catches up with the newest sample.
Raises nothing; what goes wrong is logged once.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import msgspec
import structlog
from msgspec import Struct

from postwright.control.http.asking import RelayAway, RelayError
from postwright.control.monitor import words
from postwright.control.monitor.history import COARSE, History, Series
from postwright.engine.flow_book import FlowRow, FlowsView
from postwright.engine.views.figures import Figures
from postwright.engine.views.status import StatusView
from postwright.engine.views.traffic import TrafficView

COLUMNS: Final = ("in", "out", "deferred", "bounced", "rejected", "in_octets", "out_octets", "inbound", "outbound", "waiting", "spool")
"""Per second, but for connections (`inbound`, `outbound`), recipients that are `waiting` and octets of the `spool`."""
FLOW_COLUMNS: Final = ("delivered", "deferred", "bounced")
SLOW: Final = 10  # seconds between two looks at what waits, and at who is busy
MOST_FLOWS: Final = 40
KEPT_FILES: Final = 400  # histories on disk: of so many domains, and of so many virtual MTAs, the last that moved anything

T = TypeVar("T")


class Asking(Protocol):
    """The way to the relay."""

    async def body(self, verb: str, form: type[T], arguments: dict[str, str] | None = None) -> T:
        """An answer. Raises RelayAway, RelayError."""


class Sample(Struct):
    """One look: `time` Unix seconds, `columns` as COLUMNS, and `text`: figures as the page shows them."""

    time: int
    columns: list[float]
    text: dict[str, str]


class Rates(Struct):
    """Recipients per second, lately."""

    delivered: float = 0.0
    deferred: float = 0.0
    bounced: float = 0.0


class Flow(Struct):
    """A domain or virtual MTA: what it does now, and where its history is."""

    name: str
    rates: Rates
    history: History | None = None


class _Histories:
    """The histories of all names of one kind, a file each; the name of a file is a digest, since its own is a stranger's.

    Of names that come and go there would soon be thousands: the one that was used longest ago is closed, and its file goes.
    """

    def __init__(self, folder: Path, kind: str) -> None:
        self._folder = folder
        self._kind = kind
        files = sorted(folder.glob(f"{kind}-*"), key=lambda path: path.stat().st_mtime)
        self._known: dict[str, History | None] = {path.name: None for path in files}  # the last used last; None: not opened yet
        self._forget()

    def __contains__(self, name: str) -> bool:
        return self._file(name) in self._known

    def of(self, name: str) -> History:
        """Made when there is none. Raises OSError."""
        file = self._file(name)
        found = self._known.pop(file, None) or History(self._folder / file, FLOW_COLUMNS, COARSE)
        self._known[file] = found
        self._forget()
        return found

    def _file(self, name: str) -> str:
        return f"{self._kind}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"

    def _forget(self) -> None:
        while len(self._known) > KEPT_FILES:
            file = next(iter(self._known))
            history = self._known.pop(file)
            if history is not None:
                history.close()
            (self._folder / file).unlink(missing_ok=True)

    def close(self) -> None:
        """Done."""
        for history in self._known.values():
            if history is not None:
                history.close()


class _Kind:
    """All flows of one kind: domains, or virtual MTAs."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._before: dict[str, FlowRow] = {}
        self._looked = float("inf")  # when that was; of the first look no difference can be told
        self._histories = _Histories(folder, kind)
        self.flows: list[Flow] = []

    def take(self, rows: list[FlowRow], now: float) -> None:
        """Totals as of now become rates since the last ones; totals that have shrunk began anew."""
        then, self._looked = self._looked, now
        before, self._before = self._before, {row.name: row for row in rows}
        if not then < now:
            return
        flows = []
        for row in rows:
            base = before.get(row.name, FlowRow(row.name))
            base = base if row.moved >= base.moved else FlowRow(row.name)
            parts = [(getattr(row, name) - getattr(base, name)) / (now - then) for name in FLOW_COLUMNS]
            history = self._histories.of(row.name) if any(parts) or row.name in self._histories else None
            if history is not None:
                history.add(now, parts)
            flows.append(Flow(row.name, Rates(*parts), history))
        self.flows = sorted(flows, key=lambda flow: (-(flow.rates.delivered + flow.rates.deferred + flow.rates.bounced), flow.name))

    def now(self, name: str) -> Rates:
        """What it does now; nothing, when it is not among the busiest."""
        return next((flow.rates for flow in self.flows if flow.name == name), Rates())

    def past(self, name: str) -> History | None:
        """What was measured of that name; None when nothing was."""
        return self._histories.of(name) if name in self._histories else None

    def close(self) -> None:
        """Done."""
        self._histories.close()


class Sampler:
    """One for the process. `folder` keeps the histories; it is made. Raises OSError when it cannot be."""

    def __init__(self, relay: Asking, folder: Path, log: structlog.stdlib.BoundLogger, now: Callable[[], float] = time.time) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._relay = relay
        self._log = log
        self._now = now
        self.history = History(folder / "relay", COLUMNS)
        self.domains, self.vmtas = _Kind(folder, "domain"), _Kind(folder, "vmta")
        self.status: StatusView | None = None
        self.latest: Sample | None = None
        self._before: tuple[float, TrafficView] | None = None
        self._fresh = asyncio.Event()
        self._away = ""

    async def run(self) -> None:
        """For ever: a look at each full second."""
        second = 0
        while True:
            await asyncio.sleep(1.0 - self._now() % 1.0)
            await self.look(slow=second % SLOW == 0)
            second += 1

    async def look(self, *, slow: bool) -> None:
        """One look at the relay."""
        try:
            # what comes each second first: behind the others it would be late, and two seconds' mail fall into one
            self._taken(await self._relay.body("view-traffic", TrafficView), self._now())
            if slow:
                self.status = await self._relay.body("view-status", StatusView)
                flows = await self._relay.body("view-flows", FlowsView, {"maxitems": str(MOST_FLOWS)})
                self.domains.take(flows.domains, self._now())
                self.vmtas.take(flows.vmtas, self._now())
            self._away = ""
        except (RelayAway, RelayError, msgspec.MsgspecError, OSError) as error:
            self._before = None
            if type(error).__name__ != self._away:
                self._away = type(error).__name__
                self._log.warning("the monitor cannot see the relay", error=str(error))

    def _taken(self, traffic: TrafficView, now: float) -> None:
        before, self._before = self._before, (now, traffic)
        if before is None or before[1].since != traffic.since or now <= before[0]:
            return  # no difference can be told yet
        rates = _rates(before[1].total, traffic.total, now - before[0])
        status = self.status
        waiting, spool = (status.spool.recipients, status.spool.octets) if status is not None else (0, 0)
        columns = [*rates, traffic.inbound.now, traffic.outbound.now, waiting, spool]
        self.history.add(now, columns)
        self.latest = Sample(int(now), columns, _texts(dict(zip(COLUMNS, columns, strict=True)), traffic))
        fresh, self._fresh = self._fresh, asyncio.Event()
        fresh.set()

    async def samples(self) -> AsyncIterator[Sample]:
        """Each new sample, for one who watches; those that came while he did not look are skipped."""
        while True:
            await self._fresh.wait()
            if self.latest is not None:
                yield self.latest

    def series(self, seconds: float, points: int = 600) -> Series:
        """The relay's history up to now."""
        now = self._now()
        return self.history.series(now - seconds, now, points)

    def flow_series(self, kind: str, name: str, seconds: float, points: int = 600) -> Series | None:
        """The history of one domain or virtual MTA ("domain", "vmta"); None when there is none."""
        past, now = (self.domains if kind == "domain" else self.vmtas).past(name), self._now()
        return past.series(now - seconds, now, points) if past is not None else None

    def spark(self, flow: Flow, column: str, seconds: float = 3600) -> list[float | None]:
        """A small picture of one column of a flow."""
        if flow.history is None:
            return []
        now = self._now()
        return flow.history.series(now - seconds, now, 60).columns[FLOW_COLUMNS.index(column)]

    def close(self) -> None:
        """Done."""
        self.history.close()
        self.domains.close()
        self.vmtas.close()


def _rates(before: Figures, after: Figures, seconds: float) -> list[float]:
    def per_second(name: str) -> float:
        return max(0.0, float(getattr(after, name) - getattr(before, name)) / seconds)

    return [per_second(name) for name in ("in_msgs", "out_rcpts", "deferred", "bounced", "rejected", "in_octets", "out_octets")]


def _texts(values: dict[str, Any], traffic: TrafficView) -> dict[str, str]:
    texts = {name: words.rate(values[name]) for name in ("in", "out", "deferred", "bounced", "rejected")}
    texts |= {name: words.count(values[name]) for name in ("inbound", "outbound", "waiting")}
    texts |= {name: words.size(values[name]) for name in ("spool", "in_octets", "out_octets")}
    total = traffic.total
    return texts | {"total_in": words.count(total.in_msgs), "total_out": words.count(total.out_rcpts)}

