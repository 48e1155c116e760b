"""What a metric is: name, kind, meaning, labels, and how its samples are read out of a `MetricsView`. The table is made of these."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from msgspec import Struct

from postwright.engine.views.gauges import ShardGauges
from postwright.engine.views.metrics import Counted, MetricsView

Sample = tuple[tuple[str, ...], float]
"""The values of the labels, in their order, and the figure."""
Read = Callable[[MetricsView], Iterable[Sample]]


class Metric(Struct, frozen=True):
    """`name` without the ending `_total` that a counter's sample has; `bound`: how many values its labels may take."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    read: Read
    labels: tuple[str, ...] = ()
    bound: str = ""

    @property
    def sample(self) -> str:
        """The name in queries."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


def counted(read: Callable[[Counted], float]) -> Read:
    """One sample: what all shards have counted since the relay began."""
    return lambda view: [((), read(view.counted))]


def total(read: Callable[[ShardGauges], float]) -> Read:
    """One sample: the sum over all shards that answer."""
    return lambda view: [((), sum(read(one) for one in view.gauges))]


def by_shard(read: Callable[[ShardGauges], float]) -> Read:
    """A sample a shard."""
    return lambda view: [((str(one.shard),), read(one)) for one in view.gauges]
