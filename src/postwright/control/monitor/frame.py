"""What surrounds each page: who looks, which pages he may see, the token that his changes need. And fragments, which have no frame.

A page whose data cannot be had says so in its frame and shows what there is: an operator whose relay is down must not meet an error page.
"""

from __future__ import annotations

import time
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from litestar import MediaType, Request, Response
from msgspec import Struct

from postwright.control.http.asking import RelayAway, RelayError
from postwright.control.http.csrf import COOKIE, set_cookie
from postwright.control.http.guard import identity_of, site_of
from postwright.control.monitor import render

AnyRequest = Request[Any, Any, Any]
T = TypeVar("T")


class Entry(NamedTuple):
    """A page in the navigation: the name of its text, its path below /ui/, the scope that it wants."""

    name: str
    path: str
    scope: str = "read"


ENTRIES: Final = (
    Entry("overview", ""),
    Entry("queues", "queues"),
    Entry("messages", "messages"),
    Entry("jobs", "jobs"),
    Entry("vmtas", "vmtas"),
    Entry("bounces", "bounces"),
    Entry("listeners", "listeners"),
    Entry("events", "events"),
    Entry("logs", "logs", "logs"),
    Entry("doctor", "doctor"),
    Entry("configuration", "configuration", "config"),
    Entry("audit", "audit"),
    Entry("inbox", "inbox"),
)


class Frame(Struct):
    """See `templates/base.html`. `here` is the path of the navigation's entry, `away` why the relay's data are missing."""

    host: str
    role: str
    scopes: frozenset[str]
    csrf: str
    entries: list[Entry]
    here: str
    now: float
    away: str = ""

    def may(self, scope: str) -> bool:
        """Is whoever looks allowed that?"""
        return scope in self.scopes


class Page:
    """One page under way: asks the relay for its parts, then becomes an answer."""

    def __init__(self, request: AnyRequest, here: str) -> None:
        self.request = request
        self.site = site_of(request)
        self.who = identity_of(request)
        seed = self.site.csrf.seed(request.cookies.get(COOKIE, ""))
        self._cookie = "" if request.cookies.get(COOKIE) == seed else set_cookie(seed, request.url.scheme == "https")
        inbox = self.site.config_file is None
        entries = [entry for entry in ENTRIES if self.who.may(entry.scope) and (entry.name != "inbox" or inbox)]
        host = next(iter(self.site.settings.general.host_name), "localhost")
        role = self.who.role or self.who.name
        self.frame = Frame(host, role, self.who.scopes, self.site.csrf.token(seed), entries, here, time.time())

    async def ask(self, verb: str, form: type[T], nothing: T, /, **arguments: str) -> T:
        """The relay's answer; `nothing` when there is none, which the page then says."""
        try:
            return await self.site.relay.body(verb, form, arguments)
        except (RelayAway, RelayError, msgspec.MsgspecError) as error:
            self.frame.away = str(error)[:500]
            return nothing

    def shown(self, template: str, status: int = 200, **values: Any) -> Response[str]:
        """The page."""
        text = render.page(template, frame=self.frame, **values)
        headers = {"Cache-Control": "no-store"} | ({"Set-Cookie": self._cookie} if self._cookie else {})
        return Response(text, status_code=status, media_type=MediaType.HTML, headers=headers)

    @property
    def is_fragment(self) -> bool:
        """Does htmx ask, for a part of the page that it has?"""
        return self.request.headers.get("hx-request") == "true"
