"""`view-flows` and `view-bounces`: what went where, and what bounced lately, from the books that each shard keeps. `view-traffic`: the
supervisor's own book, for who looks every second: no shard is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from postwright.engine import bounce_book, flow_book
from postwright.engine.bounce_book import Category
from postwright.engine.flow_book import FlowsView
from postwright.engine.views import asked
from postwright.engine.views.seen import Seen
from postwright.engine.whereabouts import Warming

BUSIEST: Final = 40


class BouncesView(Struct):
    """Bounces of the last day by category, the most frequent first."""

    categories: list[Category]


async def flows(node: Seen, arguments: dict[str, str]) -> FlowsView:
    """`maxitems` of each kind. A shard's busiest are not all of the relay's: four times as many are told as are wanted."""
    return node.flows.told(4 * asked.number(arguments, "maxitems", BUSIEST))


def merged_flows(parts: Sequence[FlowsView], arguments: dict[str, str]) -> FlowsView:
    """The relay's."""
    return flow_book.merged(parts, asked.number(arguments, "maxitems", BUSIEST))


class WarmUpView(Struct):
    """What is being warmed up (cold-virtual-mta), what has used most of its day first."""

    rows: list[Warming]


async def warm_up(node: Seen, arguments: dict[str, str]) -> WarmUpView:
    """One shard's, `maxitems` at most."""
    return WarmUpView(node.where.warming(asked.number(arguments, "maxitems", BUSIEST)))


def merged_warm_up(parts: Sequence[WarmUpView], arguments: dict[str, str]) -> WarmUpView:
    """The relay's: a queue lives in one shard, which alone counts; others may remember it from before."""
    found: dict[tuple[str, str], Warming] = {}
    for row in (row for part in parts for row in part.rows):
        known = found.setdefault((row.domain, row.vmta), row)
        if row.used > known.used:
            found[row.domain, row.vmta] = row
    rows = sorted(found.values(), key=lambda row: (-row.used, row.vmta, row.domain))
    return WarmUpView(rows[: asked.number(arguments, "maxitems", BUSIEST)])


async def bounces(node: Seen, arguments: dict[str, str]) -> BouncesView:
    """One shard's."""
    return BouncesView(node.bounce_book.told(node.clock.now()))


def merged_bounces(parts: Sequence[BouncesView]) -> BouncesView:
    """The relay's."""
    return BouncesView(bounce_book.merged(part.categories for part in parts))
