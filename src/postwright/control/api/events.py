"""`/api/v1/events`: what happened to mail, page after page, for a program that keeps the cursor (docs/guides/events.md)."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from litestar import get
from litestar.params import QueryParameter

from postwright.control.api.common import PROBLEMS, AnyRequest, Cursor, Limit
from postwright.control.http.guard import site_of
from postwright.control.http.problems import Refused
from postwright.engine.event_pages import EventPage, event_page, places_of
from postwright.engine.event_tools import kinds_of, since_time

_Kinds = Annotated[str, QueryParameter(max_length=200, description="Types of records, short or long: d,b,t,r,rb,rs,f; all without")]
_Since = Annotated[str, QueryParameter(max_length=40, description="Without a cursor: 15m, 2h, 2026-11-25T10:30, or Unix seconds")]


@get("/api/v1/events", opt={"scope": "logs"}, tags=["events"], responses=PROBLEMS)
async def events(request: AnyRequest, kinds: _Kinds = "", since: _Since = "15m", limit: Limit = 100, cursor: Cursor = "") -> EventPage:
    """Events with the names of accounting columns, oldest first. `next` is the cursor of what comes after, also when `more` says that there
    is nothing yet: ask again with it later. Without `event-log` in the configuration there are none."""
    try:
        wanted, begin = kinds_of(kinds), since_time(since, time.time())
        places_of(cursor)
    except (ValueError, OverflowError, OSError) as error:
        raise Refused(400, str(error)) from error
    return await asyncio.to_thread(event_page, site_of(request).state_dir, wanted, cursor, begin, limit)


ROUTES = [events]
