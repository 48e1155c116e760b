"""`/api/v1/orders` and `/api/v1/audit`: what stands of orders, and who has ordered what."""

from __future__ import annotations

from litestar import get
from msgspec import Struct

from postwright.control.api.common import PROBLEMS, AnyRequest, Limit
from postwright.control.http.guard import site_of
from postwright.engine.orders.audit import Done
from postwright.engine.orders.book import Book


class Ordered(Struct):
    """One order. `time` Unix seconds; `by` who gave it, as the relay knows him; `said` what was answered."""

    time: float
    by: str
    verb: str
    arguments: dict[str, str]
    reason: str
    ok: bool
    said: str


class Orders(Struct):
    """The newest first."""

    items: list[Ordered]


@get("/api/v1/orders", opt={"scope": "read"}, tags=["orders"], responses=PROBLEMS)
async def orders(request: AnyRequest) -> Book:
    """What stands: paused queues and jobs, mail that was deleted or given another priority and may yet turn up."""
    return await site_of(request).relay.body("order-standing", Book)


@get("/api/v1/audit", opt={"scope": "read"}, tags=["orders"], responses=PROBLEMS)
async def audit(request: AnyRequest, limit: Limit = 100) -> Orders:
    """Who ordered what, when, why, and what came of it; the newest first."""
    done = await site_of(request).relay.body("audit", list[Done], {"maxitems": str(limit)})
    items = [Ordered(one.time, one.by, one.verb, one.arguments, one.reason, one.ok, one.said) for one in done]
    return Orders(sorted(items, key=lambda one: -one.time))


ROUTES = [orders, audit]
