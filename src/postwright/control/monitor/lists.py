"""Smaller pages: bounces by category, listeners with users and locks, event export, the audit."""

from __future__ import annotations

import time
from typing import Any, Final

from litestar import Response, get

from postwright.control.monitor.frame import AnyRequest, Page
from postwright.engine.flow_book import FlowsView
from postwright.engine.lock_lines import Lock
from postwright.engine.orders.audit import Audit, Done
from postwright.engine.status import RelayStatus
from postwright.engine.views.flows import BouncesView

AUDIT: Final = 200
BUSIEST: Final = 500  # domains that are looked at for those that refuse most
DOMAINS: Final = 20


@get("/ui/bounces", opt={"scope": "read"}, include_in_schema=False)
async def bounces(request: AnyRequest) -> Response[str]:
    """By category, with examples of what receivers said."""
    page = Page(request, "bounces")
    view = await page.ask("view-bounces", BouncesView, BouncesView([]))
    flows = await page.ask("view-flows", FlowsView, FlowsView([], []), maxitems=str(BUSIEST))
    domains = sorted((row for row in flows.domains if row.bounced), key=lambda row: (-row.bounced, row.name))[:DOMAINS]
    most = max((one.total for one in view.categories), default=1)
    return page.shown(
        "bounces.html", categories=view.categories, domains=domains, most=most, total=sum(one.total for one in view.categories)
    )


@get("/ui/listeners", opt={"scope": "read"}, include_in_schema=False)
async def listeners(request: AnyRequest) -> Response[str]:
    """Where mail is taken, who may log in, who is locked out."""
    page = Page(request, "listeners")
    locks: list[Lock] = await page.ask("locks", list[Lock], [])
    settings = page.site.settings
    users = sorted(user.name for user in settings.users.values())
    return page.shown("listeners.html", listeners=settings.listeners, users=users, locks=locks)


@get("/ui/events", opt={"scope": "read"}, include_in_schema=False)
async def events(request: AnyRequest) -> Response[str]:
    """Who is fed with events, and how far behind it is."""
    page = Page(request, "events")
    status = await page.ask("status", RelayStatus, RelayStatus("", 0.0, 0.0, [], []))
    return page.shown("events.html", consumers=status.consumers)


@get("/ui/audit", opt={"scope": "read"}, include_in_schema=False)
async def audit(request: AnyRequest) -> Response[str]:
    """Who changed what."""
    page = Page(request, "audit")
    try:
        done: list[Done] = Audit(page.site.state_dir, time.time, page.site.log).read(AUDIT)
    except OSError as error:
        page.frame.away, done = str(error), []
    return page.shown("audit.html", done=done[::-1])


ROUTES: list[Any] = [bounces, listeners, events, audit]
