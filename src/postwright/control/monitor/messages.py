"""Messages: those that fit what a person remembers, and everything about one of them. Read from the event log, beside the loop."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, Final

from litestar import Response, get
from litestar.params import QueryParameter

from postwright.control.http.problems import Refused
from postwright.control.monitor.frame import AnyRequest, Page
from postwright.engine.event_tools import since_time
from postwright.engine.message_search import Found, Wish, search, timeline
from postwright.engine.orders.listing import Page as Waiting
from postwright.engine.why_facts import Why
from postwright.model.message import format_id, parse_id
from postwright.model.record import Record

SPANS: Final = ("15m", "1h", "6h", "1d", "7d")
KINDS: Final = ("d", "b", "t", "r", "f", "rb", "rs", "tq")
SEARCHES: Final = 4  # at once; each reads files for some seconds
WAITING: Final = 50
_Text = Annotated[str, QueryParameter(max_length=500)]
_turns = asyncio.Semaphore(SEARCHES)


def message_id(record: Record) -> str:
    """As addresses and people have it; "" for a record of no message."""
    return format_id(record.message_id) if record.message_id else ""


async def _aside(work: Any, *arguments: Any) -> Found:
    async with _turns:
        found: Found = await asyncio.to_thread(work, *arguments)
        return found


@get("/ui/messages", opt={"scope": "logs"}, include_in_schema=False)
async def messages(request: AnyRequest, text: _Text = "", since: _Text = "1h", kind: _Text = "") -> Response[str]:
    """The search."""
    page, now = Page(request, "messages"), time.time()
    since = since if since in SPANS else "1h"
    kinds = frozenset((kind,)) if kind in KINDS else frozenset[str]()
    wish = Wish(text, since_time(since, now), now + 1, kinds)
    found = await _aside(search, page.site.state_dir, wish)
    waiting = await _waiting(page, text)
    return page.shown(
        "messages.html", found=found, text=text, since=since, kind=kind, spans=SPANS, kinds=KINDS, waiting=waiting, message_id=message_id
    )


async def _waiting(page: Page, text: str) -> Waiting:
    """Recipients that wait: of an address that is written out, of a message's id, of a job."""
    for name in _asked_by(text.strip()):
        found = await page.ask("order-list", Waiting, Waiting(), maxitems=str(WAITING), **{name: text.strip()})
        if found.rows:
            return found
    return Waiting()


def _asked_by(text: str) -> tuple[str, ...]:
    """What the text may be the whole of."""
    if "@" in text:
        return () if text.startswith("@") else ("rcpt", "orig")
    try:
        parse_id(text)
    except ValueError:
        return ("job",) if text else ()
    return ("message", "job")


@get("/ui/message", opt={"scope": "logs"}, include_in_schema=False)
async def message(request: AnyRequest, id: _Text) -> Response[str]:
    """One message: its time line, and why what is left of it waits."""
    page = Page(request, "messages")
    try:
        number = parse_id(id)
    except ValueError as error:
        raise Refused(400, str(error)) from None
    found = await _aside(timeline, page.site.state_dir, number)
    waiting: list[Why] = []
    if not _is_over(found):
        waiting = await _whys(page, id)
    sender = next((record.orig for record in found.records if record.orig), "")
    return page.shown("message.html", id=format_id(number), found=found, sender=sender, waiting=waiting)


async def _whys(page: Page, id: str) -> list[Why]:
    """Nothing waits: the relay says so with a refusal, which is no trouble."""
    told = await page.site.relay.ask("why", queue=id)
    if not told.ok:
        return []
    return await page.ask("why", list[Why], [], queue=id)


def _is_over(found: Found) -> bool:
    """Every recipient that was taken has its end."""
    taken = {record.recipient for record in found.records if record.type == "r"}
    ended = {record.recipient for record in found.records if record.type in ("d", "b")}
    return bool(taken) and taken <= ended


ROUTES: list[Any] = [messages, message]
