"""What each route asks of whoever calls it: a scope, a proof against forgery for what changes something, and not to come too fast.

A route says `opt={"scope": "read"}`, or a tuple of which one is enough; one that says none is nobody's (a test reads the table of all
routes). `opt={"pace": False}` is for routes that have limits of their own. Raises `Refused`.
"""

from __future__ import annotations

import time
from typing import Any, cast

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler

from postwright.control.http.access import Identity
from postwright.control.http.csrf import COOKIE, FIELD, HEADER, SAFE_METHODS
from postwright.control.http.problems import Refused
from postwright.control.http.site import Site

AnyConnection = ASGIConnection[Any, Any, Any, Any]


def site_of(connection: AnyConnection) -> Site:
    """What the process shares."""
    return cast(Site, connection.app.state.site)


def identity_of(connection: AnyConnection) -> Identity:
    """Who asks."""
    return cast(Identity, connection.scope["identity"])  # type: ignore[typeddict-item]


def mark_of(who: Identity) -> dict[str, str]:
    """What the relay's audit is told of who gives an order: the argument of `engine.orders.asker`."""
    return {"as": f"{who.name} at {who.address}" if who.by_key else f"{who.role} {who.address}"}


def scopes_of(handler: BaseRouteHandler) -> tuple[str, ...]:
    """Of which one is enough for this route; () for nobody."""
    said = handler.opt.get("scope", ())
    return (said,) if isinstance(said, str) else tuple(said)


async def may(connection: AnyConnection, handler: BaseRouteHandler) -> None:
    """The guard of all routes."""
    who, site = identity_of(connection), site_of(connection)
    scopes = scopes_of(handler)
    if not any(who.may(scope) for scope in scopes):
        needed = " or ".join(scopes)
        raise Refused(403, f"this needs the scope {needed}, which {who.name} has not" if scopes else "this is for nobody")
    if handler.opt.get("pace", True) and (wait := site.paces.wait(who.name, time.monotonic())):
        raise Refused(429, "too many requests", retry_after=wait)
    await no_forgery(cast(Request[Any, Any, Any], connection))


async def no_forgery(request: Request[Any, Any, Any]) -> None:
    """Raises Refused for a change that another site may have had this browser ask for."""
    who, site = identity_of(request), site_of(request)
    if request.method in SAFE_METHODS:
        return
    if who.by_key:
        # Basic alone could be what a browser remembers of an address with a password in it
        if request.headers.get("authorization", "").lower().startswith("basic") and (is_foreign(request) or _unproven(request)):
            raise Refused(403, "this came from a page of another site")
        return
    if not site.settings.http.http_csrf_protection:
        return
    if is_foreign(request) or not site.csrf.proves(request.cookies.get(COOKIE, ""), await _token(request)):
        raise Refused(403, "a change needs a key, or the token of a page of ours (CSRF)")


def is_foreign(request: AnyConnection) -> bool:
    """Does the browser say that another site's page asks? (Fetch Metadata; browsers since 2023 send it.)"""
    return request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")


def _unproven(request: AnyConnection) -> bool:
    """Is this of a page, and does the browser not say of which site's? By plain HTTP it sends Origin (RFC 6454), and no Fetch Metadata."""
    return "origin" in request.headers and "sec-fetch-site" not in request.headers


async def _token(request: Request[Any, Any, Any]) -> str:
    shown = request.headers.get(HEADER)
    if shown is not None:
        return shown
    if not request.headers.get("content-type", "").lower().startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        return ""
    try:
        found = (await request.form()).get(FIELD, "")
    except HTTPException:
        raise
    except ValueError as error:
        raise Refused(400, "the form cannot be read") from error
    return found if isinstance(found, str) else ""
