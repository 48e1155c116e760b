"""Jobs and virtual MTAs: what waits under each name; of virtual MTAs also what they do now, their addresses, and which are disabled."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import Response, get
from litestar.params import QueryParameter

from postwright.control.monitor.frame import AnyRequest, Page
from postwright.control.monitor.overview import sampler_of
from postwright.control.monitor.paging import pages
from postwright.control.monitor.sampler import Flow, Rates
from postwright.engine.orders.book import Book
from postwright.engine.status import RelayStatus
from postwright.engine.views.flows import WarmUpView
from postwright.engine.views.sums import SumsView
from postwright.policy.settings import Settings

ROWS: Final = 100
WARMING: Final = 40
_NOTHING: Final = SumsView(0, 0, [])
_Cursor = Annotated[str, QueryParameter(max_length=600)]
_Back = Annotated[str, QueryParameter(max_length=10_000)]


@get("/ui/jobs", opt={"scope": "read"}, include_in_schema=False)
async def jobs(request: AnyRequest, pattern: _Cursor = "", after: _Cursor = "", back: _Back = "") -> Response[str]:
    """Jobs of which something waits, and those that are paused."""
    page = Page(request, "jobs")
    view = await page.ask("view-jobs", SumsView, _NOTHING, job=pattern, sort="rcpt", after=after, maxitems=str(ROWS))
    book = await page.ask("order-standing", Book, Book())
    turn = pages("/ui/jobs", {"pattern": pattern}, after, back, view.next)
    return page.shown("jobs.html", view=view, pattern=pattern, pages=turn, paused={rule.job for rule in book.jobs})


@get("/ui/vmtas", opt={"scope": "read"}, include_in_schema=False)
async def vmtas(request: AnyRequest, pattern: _Cursor = "", after: _Cursor = "", back: _Back = "") -> Response[str]:
    """All virtual MTAs."""
    page, sampler = Page(request, "vmtas"), sampler_of(request)
    view = await page.ask("view-vmtas", SumsView, _NOTHING, vmta=pattern, sort="rcpt", after=after, maxitems=str(ROWS))
    warming = (await page.ask("view-warm-up", WarmUpView, WarmUpView([]), maxitems=str(WARMING))).rows
    status = await page.ask("status", RelayStatus, RelayStatus("", 0.0, 0.0, [], []))
    disabled = sorted((one for shard in status.shards for one in shard.disabled), key=lambda one: (one.queue, one.address))
    known = {flow.name.lower(): flow for flow in sampler.vmtas.flows}
    flows = [known.get(row.name.lower(), Flow(row.name, Rates())) for row in view.rows]
    sparks = [sampler.spark(flow, "delivered") for flow in flows]
    settings = page.site.settings
    hosts = [_hosts(settings, row.name) for row in view.rows]
    rows = list(zip(view.rows, flows, sparks, hosts, strict=True))
    turn = pages("/ui/vmtas", {"pattern": pattern}, after, back, view.next)
    return page.shown("vmtas.html", view=view, pages=turn, rows=rows, warming=warming, pattern=pattern, disabled=disabled)


def _hosts(settings: Settings, name: str) -> list[str]:
    """`address name` of each `smtp-source-host`."""
    vmta = settings.vmtas.get(name.lower()) or settings.vmtas.get(name)
    return [f"{host.network} {host.name}".strip() for host in vmta.smtp_source_host] if vmta is not None else []


ROUTES: list[Any] = [jobs, vmtas]
