"""`/api/v1`: the description of the API itself, and who one is to it."""

from __future__ import annotations

from typing import Any

from litestar import Request, get
from msgspec import Struct

from postwright import __version__
from postwright.control.http.guard import identity_of


class Whoami(Struct):
    """`name` as in the audit; `scopes` in the order of their names."""

    name: str
    scopes: list[str]
    version: str


@get("/api/v1/whoami", opt={"scope": "read"}, tags=["about"])
async def whoami(request: Request[Any, Any, Any]) -> Whoami:
    """Who you are to the relay, and what you may."""
    who = identity_of(request)
    return Whoami(who.name, sorted(who.scopes), __version__)


@get("/api/v1/openapi.json", opt={"scope": "read"}, include_in_schema=False, sync_to_thread=False)
def openapi(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """This description."""
    return request.app.openapi_schema.to_schema()


ROUTES = [whoami, openapi]
