"""One domain or one virtual MTA: what it took and refused over the last hour, day and week, as a chart, and where to see more of it."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Response, get
from litestar.params import FromQuery, QueryParameter

from postwright.control.monitor.frame import AnyRequest, Page
from postwright.control.monitor.history import Series
from postwright.control.monitor.overview import sampler_of
from postwright.control.monitor.sampler import FLOW_COLUMNS
from postwright.engine.views.sums import Sum, SumsView

RANGES: Final = (3600, 86_400, 604_800)
_Name = Annotated[str, QueryParameter(min_length=1, max_length=600)]
_Kind = FromQuery[Literal["domain", "vmta"]]


@get("/ui/flow", opt={"scope": "read"}, include_in_schema=False)
async def flow(request: AnyRequest, kind: _Kind, name: _Name) -> Response[str]:
    """The page. A name that nothing is known of has an empty chart, not an error: it may only have been quiet."""
    page, sampler = Page(request, "vmtas" if kind == "vmta" else ""), sampler_of(request)
    view = await page.ask("view-vmtas" if kind == "vmta" else "view-domains", SumsView, SumsView(0, 0, []), **{kind: name, "maxitems": "5"})
    waits = next((row for row in view.rows if row.name.lower() == name.lower()), Sum(name))
    rates = (sampler.vmtas if kind == "vmta" else sampler.domains).now(name)
    pattern = f"*/{name}" if kind == "vmta" else f"{name}/*"
    return page.shown("flow.html", kind=kind, name=name, waits=waits, rates=rates, ranges=RANGES, pattern=pattern)


@get("/ui/flow-history", opt={"scope": "read"}, include_in_schema=False)
async def flow_history(
    request: AnyRequest, kind: _Kind, name: _Name, seconds: Annotated[int, QueryParameter(ge=60, le=1_000_000)] = 3600
) -> Response[bytes]:
    """Columns of `sampler.FLOW_COLUMNS` over the last seconds, as JSON; without any point where nothing was measured."""
    series = sampler_of(request).flow_series(kind, name, seconds) or Series(1, [], [[] for _ in FLOW_COLUMNS])
    return Response(msgspec.json.encode(series), media_type="application/json", headers={"Cache-Control": "no-store"})


ROUTES: list[Any] = [flow, flow_history]
