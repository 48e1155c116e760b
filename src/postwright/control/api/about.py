"""`/api/v1`: the description of the API itself, and who one is to it."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.response import Redirect
from msgspec import Struct

from postwright import __version__
from postwright.control.api.common import PROBLEMS
from postwright.control.http.api_page import html
from postwright.control.http.guard import identity_of
from postwright.control.http.openapi import openapi_document
from postwright.control.monitor.render import static_url


class Whoami(Struct):
    """`name` as in the audit; `scopes` in the order of their names."""

    name: str
    scopes: list[str]
    version: str


@get("/api/v1/whoami", opt={"scope": "read"}, tags=["about"], responses=PROBLEMS)
async def whoami(request: Request[Any, Any, Any]) -> Whoami:
    """Who you are to the relay, and what you may."""
    who = identity_of(request)
    return Whoami(who.name, sorted(who.scopes), __version__)


@get("/api/v1/openapi.json", opt={"scope": "read"}, include_in_schema=False, sync_to_thread=False)
def openapi(request: Request[Any, Any, Any]) -> Response[bytes]:
    """This description."""
    return Response(msgspec.json.encode(openapi_document(request.app)), media_type="application/json")


@get("/api/v1", opt={"scope": "read"}, include_in_schema=False, sync_to_thread=False)
def beginning() -> Redirect:
    """People who look for what is here."""
    return Redirect("/api/v1/docs")


@get("/api/v1/docs", opt={"scope": "read"}, include_in_schema=False, sync_to_thread=False)
def docs(request: Request[Any, Any, Any]) -> Response[bytes]:
    """This description for people."""
    page = html(openapi_document(request.app), static_url("monitor.css"))
    return Response(page.encode(), media_type="text/html")


ROUTES = [whoami, openapi, beginning, docs]
