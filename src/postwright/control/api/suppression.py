"""`/api/v1/suppression`: who must not be sent to. A relay that runs sees a change within a second.

The store is a file of the state folder (`engine.suppression_tools`); it is asked in a thread, so that a large answer holds up nobody.
"""

from __future__ import annotations

import asyncio
import io
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from itertools import islice
from typing import Annotated, TypeVar

import msgspec
from litestar import Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta, Struct

from postwright.control.api.common import PROBLEMS, AnyRequest, Cursor, Free, Limit, Text
from postwright.control.http.guard import identity_of, site_of
from postwright.control.http.problems import Refused
from postwright.engine import suppression_tools as tools
from postwright.engine.suppression_tools import Imported
from postwright.model.errors import AddressError, SuppressionError
from postwright.model.suppression import Suppressed, parse_key, parse_scope

T = TypeVar("T")

LARGEST_IMPORT = 64 << 20  # octets
MOST_EXPORTED = 1_000_000

_Key = Annotated[str, Meta(min_length=1, max_length=400, description="An address, @domain, @*.domain, or an address's digest")]
_Scope = Annotated[str, QueryParameter(name="scope", max_length=200, description="global, user:NAME or job:NAME; all without")]
_ScopeField = Annotated[str, Meta(max_length=200, description="global, user:NAME or job:NAME")]
_Until = Annotated[str, Meta(max_length=40, description="Such as 2026-12-31, or never")]


class Entry(Struct):
    """`scope` global, user:NAME or job:NAME; `reason` and `source` are for people; times in Unix seconds, `expires` 0 for never."""

    key: str
    scope: str
    reason: str
    source: str
    added: float
    expires: float


class Entries(Struct):
    """`next` is the cursor of the next page, empty at the end."""

    items: list[Entry]
    next: str


class NewEntries(Struct, forbid_unknown_fields=True):
    """All with the same scope, reason and end."""

    keys: Annotated[list[_Key], Meta(min_length=1, max_length=10_000)]
    scope: _ScopeField = "global"
    reason: Free = ""
    until: _Until = "never"


class OldEntries(Struct, forbid_unknown_fields=True):
    """Without a scope: in all."""

    keys: Annotated[list[_Key], Meta(min_length=1, max_length=10_000)]
    scope: _ScopeField = ""


class Changed(Struct):
    """How many entries were new, or hold for longer than before; or were taken out."""

    changed: int


async def _in_thread(work: Callable[[], T]) -> T:
    """Raises Refused for what the store or a word is wrong with."""
    try:
        return await asyncio.to_thread(work)
    except (AddressError, ValueError) as error:
        raise Refused(422, str(error)) from error
    except SuppressionError as error:
        raise Refused(503, str(error), retry_after=5) from error


@get("/api/v1/suppression", opt={"scope": ("logs", "suppression")}, tags=["suppression"], responses=PROBLEMS)
async def listed(request: AnyRequest, address: Text = "", scope_: _Scope = "", limit: Limit = 100, cursor: Cursor = "") -> Entries:
    """All entries in force; or those that hold one address, its domain's and its digests' included."""
    folder = site_of(request).state_dir

    def work() -> Entries:
        place = place_of(cursor)
        if not tools.there(folder):
            return Entries([], "")
        with tools.opened(folder, create=False) as store:
            if address:
                return Entries([_shown(one) for one in tools.holding(store, address, time.time())][:limit], "")
            wanted = store.entries(time.time(), scope=parse_scope(scope_) if scope_ else None, after=place)
            found = list(islice(wanted, limit + 1))
        more = _cursor(found[limit - 1]) if len(found) > limit else ""
        return Entries([_shown(one) for one in found[:limit]], more)

    return await _in_thread(work)


@post("/api/v1/suppression", opt={"scope": "suppression"}, tags=["suppression"], status_code=200, responses=PROBLEMS)
async def add(request: AnyRequest, data: JSONBody[NewEntries]) -> Changed:
    """Send nothing there any more."""
    folder, by = site_of(request).state_dir, identity_of(request).name

    def work() -> Changed:
        scope, until, now = parse_scope(data.scope), tools.parse_time(data.until), time.time()
        entries = [Suppressed(parse_key(key), scope, data.reason, by, now, until) for key in data.keys]
        with tools.opened(folder, create=True) as store:
            return Changed(store.add(entries))

    return await _in_thread(work)


@post("/api/v1/suppression/remove", opt={"scope": "suppression"}, tags=["suppression"], status_code=200, responses=PROBLEMS)
async def remove(request: AnyRequest, data: JSONBody[OldEntries]) -> Changed:
    """Take entries out."""
    folder = site_of(request).state_dir

    def work() -> Changed:
        keys, scope = [parse_key(key) for key in data.keys], parse_scope(data.scope) if data.scope else None
        if not tools.there(folder):
            return Changed(0)
        with tools.opened(folder, create=False) as store:
            return Changed(store.remove(keys, scope))

    return await _in_thread(work)


@post(
    "/api/v1/suppression/import",
    opt={"scope": "suppression"},
    tags=["suppression"],
    status_code=200,
    request_max_body_size=LARGEST_IMPORT,
    responses=PROBLEMS,
)
async def import_(request: AnyRequest, scope_: _Scope = "", reason: Text = "") -> Imported:
    """A CSV file as the body: one key a line, or a header that names columns (key or address, scope, reason, source, expires). Lines that
    cannot be read are told in `troubles`, the others go in."""
    folder, octets = site_of(request).state_dir, await request.body()

    def work() -> Imported:
        like = Suppressed("", parse_scope(scope_), reason, "import", time.time())
        lines = io.StringIO(octets.decode("utf-8", "replace"), newline=None)
        with tools.opened(folder, create=True) as store:
            return tools.import_csv(store, lines, like, time.time())

    return await _in_thread(work)


@get(
    "/api/v1/suppression/export",
    opt={"scope": "suppression"},
    tags=["suppression"],
    responses={
        200: ResponseSpec(data_container=str, description="A CSV file that import reads", media_type="text/csv", generate_examples=False),
        **PROBLEMS,
    },
)
async def export(request: AnyRequest, scope_: _Scope = "") -> Response[bytes]:
    """All entries in force as a CSV file; of more than a million the first (use `postwright suppress export`)."""
    folder = site_of(request).state_dir

    def work() -> bytes:
        written = io.StringIO(newline="")
        wanted = parse_scope(scope_) if scope_ else None
        if tools.there(folder):
            with tools.opened(folder, create=False) as store:
                tools.export_csv(islice(store.entries(time.time(), scope=wanted), MOST_EXPORTED), written)
        return written.getvalue().encode("utf-8", "replace")

    headers = {"Content-Disposition": 'attachment; filename="suppressed.csv"'}
    return Response(await _in_thread(work), media_type="text/csv", headers=headers)


def _shown(one: Suppressed) -> Entry:
    return Entry(one.key, tools.shown_scope(one.scope), one.reason, one.source, one.added, one.expires or 0.0)


def _cursor(one: Suppressed) -> str:
    return urlsafe_b64encode(msgspec.json.encode((one.key, one.scope))).decode()


def place_of(cursor: str) -> tuple[str, str] | None:
    """Key and scope of a cursor; None for none. Raises Refused."""
    if not cursor:
        return None
    try:
        return msgspec.json.decode(urlsafe_b64decode(cursor), type=tuple[str, str])
    except (ValueError, msgspec.MsgspecError):
        raise Refused(400, "that is no cursor of an earlier answer") from None


ROUTES = [listed, add, remove, import_, export]
