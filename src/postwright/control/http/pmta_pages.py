"""PowerMTA's monitor addresses (powermta.md section 4): the same trees as its commands, as XML or JSON.

For programs that were written for PowerMTA; people have the pages below /ui. Nothing here knows a key of a tree: `control.pmta` has them.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.response import Redirect

from postwright.control.http.guard import site_of


@get("/", opt={"scope": "read"}, include_in_schema=False, sync_to_thread=False)
def root() -> Redirect:
    """People come here; the pages are below /ui."""
    return Redirect("/ui")


@get("/status", opt={"scope": "read"}, include_in_schema=False)
async def status(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The relay as a whole."""
    told = await site_of(request).relay.ask("status")
    return Response(told.body, media_type="application/json")


ROUTES = [root, status]
