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


async def bounces(node: Seen, arguments: dict[str, str]) -> BouncesView:
    """One shard's."""
    return BouncesView(node.bounce_book.told(node.clock.now()))


def merged_bounces(parts: Sequence[BouncesView]) -> BouncesView:
    """The relay's."""
    return BouncesView(bounce_book.merged(part.categories for part in parts))
