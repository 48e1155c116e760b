"""Who is asked for a view. Apart from the views, so that whoever shows one does not import what a shard is made of."""

from __future__ import annotations

from typing import Protocol

from postwright.engine.bounce_book import BounceBook
from postwright.engine.counters import Counters
from postwright.engine.deliver import Delivery
from postwright.engine.disabled_sources import DisabledSources
from postwright.engine.flow_book import FlowBook
from postwright.engine.hub import Hub
from postwright.engine.intake import Intake
from postwright.engine.orders.standing import StandingOrders
from postwright.engine.sharing import Sharing
from postwright.engine.views.figures import Figures, figures_of
from postwright.policy.resolve import Resolved
from postwright.store.spool import Spool


class Seen(Hub, Protocol):
    """A shard, as far as views look at it."""

    number: int
    shards: int
    resolved: Resolved
    counters: Counters
    bounce_book: BounceBook
    flows: FlowBook
    delivery: Delivery
    disabled: DisabledSources
    orders: StandingOrders
    sharing: Sharing
    intake: Intake
    spool: Spool


def moved(node: Seen) -> Figures:
    """What a shard has moved since it began."""
    reports = node.intake.submissions.reports
    kinds = (reports.bounces, reports.complaints) if reports is not None else (0, 0)
    return figures_of(node.counters.traffic, *kinds)
