"""The text that Prometheus reads (its exposition format, or OpenMetrics where that is asked for), made of a `MetricsView`.

A custom collector of prometheus_client over figures that are there already: nothing is kept here between two scrapes, and no metric costs
anything while mail goes. A name or reason that a stranger chose is escaped by that library.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

import msgspec
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector, CollectorRegistry

from postwright.control.metrics.metric import Metric
from postwright.control.metrics.table import SYNC, SYNC_HELP, TABLE
from postwright.engine.views.gauges import SYNC_BOUNDS
from postwright.engine.views.metrics import MetricsView


def view_of(body: bytes) -> MetricsView:
    """What `view-metrics` answered. Raises msgspec.MsgspecError."""
    return msgspec.json.decode(body, type=MetricsView)


def text(view: MetricsView, accept: str = "") -> tuple[bytes, str]:
    """The exposition and its media type; `accept` as in HTTP."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(view))
    encode, kind = choose_encoder(accept)
    return encode(registry), kind


class _Collector(Collector):
    def __init__(self, view: MetricsView) -> None:
        self._view = view

    def collect(self) -> Iterator[Family]:
        for metric in TABLE:
            yield _family(metric, self._view)
        yield _syncs(self._view)


def _family(metric: Metric, view: MetricsView) -> Family:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=metric.labels)
    for labels, value in metric.read(view):
        family.add_metric(labels, value)
    return family


def _syncs(view: MetricsView) -> Family:
    family = HistogramMetricFamily(SYNC, SYNC_HELP, labels=("shard",))
    bounds = [*(f"{bound:g}" for bound in SYNC_BOUNDS), "+Inf"]
    for one in view.gauges:
        counts = one.spool.syncs or [0] * len(bounds)
        family.add_metric((str(one.shard),), list(zip(bounds, accumulate(counts), strict=True)), one.spool.sync_seconds)
    return family
