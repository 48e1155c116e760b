"""How much went where: recipients delivered, deferred and bounced, by domain and by virtual MTA, in totals that only grow.

Of one shard. A queue at work has a `Flow`, which costs an attempt three additions; from time to time the book gathers what those came to,
so that a look at all queues is never needed. It remembers a bounded number of domains, forgetting the one that has been quiet for longest:
a total may begin at nought again, which whoever takes differences must bear with (as with a restart). Nothing is raised.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, Protocol

from msgspec import Struct, field

from postwright.model.work import QueueKey

MOST: Final = 2000
"""Names of one kind that are remembered."""
ALL: Final = "(all)"
"""The name of the row that has all that moved, whether its names are remembered or not."""


class Flow:
    """What one queue has moved since the book last gathered."""

    __slots__ = ("bounced", "deferred", "delivered", "key")

    def __init__(self, key: QueueKey) -> None:
        self.key = key
        self.delivered = 0
        self.deferred = 0
        self.bounced = 0


class FlowRow(Struct):
    """Totals of a domain or virtual MTA, in recipients."""

    name: str
    delivered: int = 0
    deferred: int = 0
    bounced: int = 0

    def add(self, flow: FlowRow | Flow) -> None:
        """And so much more."""
        self.delivered += flow.delivered
        self.deferred += flow.deferred
        self.bounced += flow.bounced

    @property
    def moved(self) -> int:
        """All of it: what the busiest are known by."""
        return self.delivered + self.deferred + self.bounced


class FlowsView(Struct):
    """The busiest names of each kind (`most` of each), the busiest first; `every` is what a shard has moved in all."""

    domains: list[FlowRow]
    vmtas: list[FlowRow]
    every: FlowRow = field(default_factory=lambda: FlowRow(ALL))


class Flowing(Protocol):
    """Who has a flow (`QueueState`): the book takes it away when it gathers."""

    flow: Flow | None


class FlowBook:
    """Of one shard."""

    def __init__(self) -> None:
        self._open: list[Flowing] = []
        self._domains: OrderedDict[str, FlowRow] = OrderedDict()
        self._vmtas: OrderedDict[str, FlowRow] = OrderedDict()
        self._every = FlowRow(ALL)

    def begin(self, owner: Flowing, key: QueueKey) -> Flow:
        """A flow for a queue that has none now."""
        flow = owner.flow = Flow(key)
        self._open.append(owner)
        return flow

    def gather(self) -> None:
        """Add up what has flowed since the last time."""
        opened, self._open = self._open, []
        for owner in opened:
            flow, owner.flow = owner.flow, None
            if flow is not None:
                _add(self._domains, flow.key.domain, flow)
                _add(self._vmtas, flow.key.vmta, flow)
                self._every.add(flow)

    def told(self, most: int) -> FlowsView:
        """Totals up to now."""
        self.gather()
        return FlowsView(_busiest(self._domains.values(), most), _busiest(self._vmtas.values(), most), self._every)


def _add(rows: OrderedDict[str, FlowRow], name: str, flow: Flow) -> None:
    row = rows.get(name)
    if row is None:
        row = rows[name] = FlowRow(name)
        if len(rows) > MOST:
            rows.popitem(last=False)
    else:
        rows.move_to_end(name)
    row.add(flow)


def _busiest(rows: Iterable[FlowRow], most: int) -> list[FlowRow]:
    return sorted(rows, key=lambda row: (-row.moved, row.name))[:most]


def merged(parts: Iterable[FlowsView], most: int) -> FlowsView:
    """Those of all shards."""
    views = list(parts)
    (every,) = _together(([part.every] for part in views), 1) or [FlowRow(ALL)]
    return FlowsView(_together((part.domains for part in views), most), _together((part.vmtas for part in views), most), every)


def _together(parts: Iterable[list[FlowRow]], most: int) -> list[FlowRow]:
    found: dict[str, FlowRow] = {}
    for row in (row for part in parts for row in part):
        found.setdefault(row.name, FlowRow(row.name)).add(row)
    return _busiest(found.values(), most)
