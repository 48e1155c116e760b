"""Queues: all by pattern and state, and one with everything that is known of it (why it waits, its limits, what was said to it lately)."""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import urlencode

from litestar import Response, get
from litestar.params import QueryParameter

from postwright.control.monitor.frame import AnyRequest, Page
from postwright.control.monitor.paging import pages
from postwright.engine.orders.listing import Page as Waiting
from postwright.engine.queue_events import QueueEvents
from postwright.engine.views.queues import QueueRow, QueuesView
from postwright.engine.why_facts import Why

ROWS: Final = 50
WAITING: Final = 20
_Text = Annotated[str, QueryParameter(max_length=600)]
_Back = Annotated[str, QueryParameter(max_length=10_000)]
_NOTHING: Final = QueuesView(0, 0, 0, [])


def _filters(pattern: str, sort: str, mode: str, paused: str, errors: str, connected: str) -> dict[str, str]:
    """What was chosen, without what was left as it is."""
    chosen = {"pattern": pattern, "sort": sort, "mode": mode, "paused": paused, "errors": errors, "connected": connected}
    return {name: value for name, value in chosen.items() if value}


def _meant(pattern: str) -> str:
    """The pattern as orders have it: there, a name without a virtual MTA means the default one's queue; the list shows all of them."""
    return pattern if "/" in pattern else f"{pattern or '*'}/*"


@get("/ui/queues", opt={"scope": "read"}, include_in_schema=False)
async def queues(
    request: AnyRequest,
    pattern: _Text = "",
    sort: _Text = "rcpt",
    mode: _Text = "",
    paused: _Text = "",
    errors: _Text = "",
    connected: _Text = "",
    after: _Text = "",
    back: _Back = "",
) -> Response[str]:
    """The list; as a fragment only its rows, which come again every few seconds."""
    page = Page(request, "queues")
    chosen = _filters(pattern, sort, mode, paused, errors, connected)
    asked = {("queue" if name == "pattern" else name): value for name, value in chosen.items()}
    view = await page.ask("view-queues", QueuesView, _NOTHING, **asked, after=after, maxitems=str(ROWS))
    turn = pages("/ui/queues", chosen, after, back, view.next)
    here = "/ui/queues?" + urlencode({name: value for name, value in (chosen | {"after": after, "back": back}).items() if value})
    template = "queue_rows.html" if page.is_fragment else "queues.html"
    return page.shown(template, view=view, chosen=chosen, pages=turn, here=here, meant=_meant(pattern))


@get("/ui/queue", opt={"scope": "read"}, include_in_schema=False)
async def queue(request: AnyRequest, name: _Text) -> Response[str]:
    """One queue."""
    page = Page(request, "queues")
    view = await page.ask("view-queues", QueuesView, _NOTHING, **{"queue": name, "maxitems": "1", "mode-events": "yes"})
    row = next((one for one in view.rows if one.name.lower() == name.lower()), None)
    whys: list[Why] = []
    waiting, events = Waiting(), QueueEvents([], [])
    if row is not None:
        events = await page.ask("events", QueueEvents, events, queue=name)
    if row is not None and row.recipients:
        whys = await page.ask("why", list[Why], [], queue=name)
        waiting = await page.ask("order-list", Waiting, waiting, queue=name, maxitems=str(WAITING))
    why = next((one for one in whys if one.queue.lower() == name.lower()), None)
    limits = sorted(why.limits, key=lambda one: -one.used / one.limit if one.limit else 0.0) if why is not None else []
    return page.shown("queue.html", name=name, row=row, why=why, limits=limits, events=events, counts=_counts(row), waiting=waiting)


def _counts(row: QueueRow | None) -> dict[str, int]:
    if row is None:
        return {}
    return {"recipients": row.recipients, "ready": row.ready, "scheduled": row.scheduled, "in_flight": row.in_flight}


ROUTES: list[Any] = [queues, queue]
