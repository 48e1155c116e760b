"""`GET /metrics`: what Prometheus reads. Asks the relay at each scrape; who may see it is who may see the monitor."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get

from postwright.control.http.asking import RelayError
from postwright.control.http.guard import site_of
from postwright.control.metrics.exposition import text, view_of


@get("/metrics", opt={"scope": "read"}, include_in_schema=False)
async def metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
    """All metrics, in the form that `Accept` asks for."""
    told = await site_of(request).relay.ask("view-metrics")
    if not told.ok:
        raise RelayError(told.lines)
    exposition, kind = text(view_of(told.body), request.headers.get("accept", ""))
    return Response(exposition, headers={"Content-Type": kind})


ROUTES = [metrics]
