"""docs/reference/metrics.md, made of the table: `postwright metrics --reference docs/reference/metrics.md`. Pure text."""

from __future__ import annotations

from collections.abc import Iterator

from postwright.control.metrics.metric import Metric
from postwright.control.metrics.table import SECTIONS, SYNC, SYNC_HELP

_HEAD = """\
# Metrics

What `/metrics` and `postwright metrics` tell a monitoring system (docs/guides/metrics.md says how to have it read). Names and labels stay
as they are. Counters are since the start of the relay, and a shard that begins again takes nothing out of them; those with a label `shard`
are since the start of that shard. Recipients are what is counted: a message to three people is three.
"""


def page() -> str:
    """The whole page."""
    return _HEAD + "".join(_sections())


def _sections() -> Iterator[str]:
    for title, metrics in SECTIONS:
        yield f"\n## {title}\n\n| metric | kind | means | labels |\n|---|---|---|---|\n"
        yield from (_row(metric) for metric in metrics)
        if any(metric.name.startswith("postwright_spool") for metric in metrics):
            yield f"| `{SYNC}` | histogram | {SYNC_HELP} | shard: one a shard |\n"


def _row(metric: Metric) -> str:
    return f"| `{metric.sample}` | {metric.kind} | {metric.help} | {_labels(metric)} |\n"


def _labels(metric: Metric) -> str:
    return f"{', '.join(metric.labels)}: {metric.bound}" if metric.labels else ""
