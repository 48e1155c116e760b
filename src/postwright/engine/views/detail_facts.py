"""What the views of one thing are, as values: for those who make them, and for those who only show them."""

from __future__ import annotations

from msgspec import Struct

from postwright.engine.status import DisabledAddress
from postwright.engine.views.queues import QueueRow
from postwright.engine.views.sums import Sum
from postwright.engine.why_facts import Why


class Link(Struct):
    """One connection to a receiver: `since` seconds ago, `served` messages so far, `busy` with one now."""

    host: str
    address: str
    source: str
    since: float
    served: int
    busy: bool


class QueueView(Struct):
    """One queue: its row, why it waits, its connections."""

    row: QueueRow
    why: Why
    connections: list[Link]


class DomainView(Struct):
    """One domain: what waits for it in all, and its queues, those with the most first."""

    sum: Sum
    rows: list[QueueRow]


class JobView(Struct):
    """One job: what waits of it, whether it is paused, and the queues with most of it."""

    name: str
    recipients: int = 0
    octets: int = 0
    paused: bool = False
    queues: list[Sum] = []


class DisabledView(Struct):
    """Source addresses that queues may not use, so many in all."""

    matching: int
    rows: list[DisabledAddress]


class PrecachedDomain(Struct):
    """A domain of `precached-domains-file`: until when what is known of it serves (Unix seconds; 0: nothing is known, or no more)."""

    name: str
    until: float


class PrecachedRow(Struct):
    """One of them; `until` is when the first of those shards asks again (Unix seconds, 0 for none)."""

    name: str
    shards: int
    until: float


class PrecacheView(Struct):
    """Domains of `precached-domains-file`; `shards` of `of` have what mail for each needs."""

    rows: list[PrecachedRow]
    of: int
