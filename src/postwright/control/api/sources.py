"""`/api/v1/sources`: source addresses that queues may not use for now, and who puts them out of use or back."""

from __future__ import annotations

from litestar import get, post
from litestar.params import JSONBody
from msgspec import Struct

from postwright.control.api.common import PROBLEMS, AnyRequest, Done, Free, Limit, Name, Span, Text, ordered, wishes
from postwright.control.http.guard import site_of
from postwright.engine.views.detail_facts import DisabledView
from postwright.model.durations import seconds_of


class SourceOrder(Struct, forbid_unknown_fields=True):
    """`source` an address of ours; `queue` a pattern, `*` for all."""

    source: Name
    queue: Name
    reason: Free = ""


class SourceDisable(SourceOrder, forbid_unknown_fields=True):
    """`lasting`: after which it is used again; empty: as the queue's settings say."""

    lasting: Span = ""


@get("/api/v1/sources/disabled", opt={"scope": "read"}, tags=["sources"], responses=PROBLEMS)
async def disabled(request: AnyRequest, queue: Text = "", limit: Limit = 100) -> DisabledView:
    """Addresses that queues may not use; `until` is Unix seconds, 0 for until somebody ends it."""
    return await site_of(request).relay.body("view-disabled-sources", DisabledView, wishes(queue=queue, maxitems=limit))


@post("/api/v1/sources/disable", opt={"scope": "queues"}, tags=["sources"], status_code=200, responses=PROBLEMS)
async def disable(request: AnyRequest, data: JSONBody[SourceDisable]) -> Done:
    """Send nothing of these queues by this address."""
    after = str(seconds_of(data.lasting)) if data.lasting else ""
    return await ordered(request, "disable-source", wishes(source=data.source, queue=data.queue, after=after, reason=data.reason))


@post("/api/v1/sources/enable", opt={"scope": "queues"}, tags=["sources"], status_code=200, responses=PROBLEMS)
async def enable(request: AnyRequest, data: JSONBody[SourceOrder]) -> Done:
    """Use an address again."""
    return await ordered(request, "enable-source", wishes(source=data.source, queue=data.queue, reason=data.reason))


ROUTES = [disabled, disable, enable]
