"""The first page: does mail move, what waits, who takes it, what wants attention. And what feeds it: live samples, and the history."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, QueryParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage
from msgspec import Struct

from postwright.control.http.guard import site_of
from postwright.control.http.problems import Refused
from postwright.control.monitor import render
from postwright.control.monitor.frame import AnyRequest, Page
from postwright.control.monitor.sampler import Sampler
from postwright.control.monitor.texts import text
from postwright.engine.status import RelayStatus
from postwright.engine.views.status import StatusView

TILES: Final = (
    ("in", True), ("out", True), ("deferred", True), ("bounced", True), ("waiting", False), ("inbound", False), ("outbound", False),
    ("spool", False),
)  # fmt: skip
RANGES: Final = (600, 21_600, 259_200, 2_592_000, 31_536_000)
BUSIEST: Final = 10
WATCHERS: Final = 100  # event streams at once
_MEDIA: Final = {"js": "text/javascript", "css": "text/css"}


class Alert(Struct):
    """Something that wants attention, and where to see more of it."""

    text: str
    link: str = ""


def sampler_of(request: Request[Any, Any, Any]) -> Sampler:
    """The process's. Raises Refused when there is none (yet)."""
    sampler = site_of(request).sampler
    if sampler is None:
        raise Refused(503, "the monitor is starting", retry_after=2)
    return sampler


@get("/ui", opt={"scope": "read"}, include_in_schema=False)
async def overview(request: AnyRequest) -> Response[str]:
    """The page."""
    page, sampler = Page(request, ""), sampler_of(request)
    status = await page.ask("status", RelayStatus, RelayStatus("", 0.0, 0.0, [], []))
    known = sampler.status
    alerts = _of_relay(status) + _of_queues(known)
    domains, vmtas = sampler.domains.flows[:BUSIEST], sampler.vmtas.flows[:BUSIEST]
    return page.shown(
        "overview.html",
        tiles=TILES,
        ranges=RANGES,
        figures=sampler.latest.text if sampler.latest is not None else {},
        alerts=alerts,
        kinds=sorted(known.queues.items()) if known is not None else [],
        relay=known,
        domains=domains,
        domain_sparks=[sampler.spark(flow, "delivered") for flow in domains],
        vmtas=vmtas,
        vmta_sparks=[sampler.spark(flow, "delivered") for flow in vmtas],
    )


def _of_relay(status: RelayStatus) -> list[Alert]:
    found = []
    if len(status.shards) < len(status.pids):
        found.append(Alert(text("overview.alert_shards", answering=len(status.shards), shards=len(status.pids))))
    disabled = sum(shard.disabled_count for shard in status.shards)
    if disabled:
        found.append(Alert(text("overview.alert_disabled", count=disabled), "/ui/vmtas"))
    if status.locks:
        found.append(Alert(text("overview.alert_locks", count=status.locks), "/ui/listeners"))
    troubled = [consumer for consumer in status.consumers if consumer.trouble]
    return found + [Alert(text("overview.alert_consumer", name=one.name, trouble=one.trouble), "/ui/events") for one in troubled]


def _of_queues(known: StatusView | None) -> list[Alert]:
    """Queues that somebody, or a receiver, has slowed down, as of the last look at all of them."""
    kinds = known.queues.values() if known is not None else ()
    backoff, paused = sum(kind.backoff for kind in kinds), sum(kind.paused for kind in kinds)
    found = [Alert(text("overview.alert_backoff", count=backoff), "/ui/queues?mode=backoff")] if backoff else []
    return found + ([Alert(text("overview.alert_paused", count=paused), "/ui/queues?paused=yes")] if paused else [])


@get("/ui/history", opt={"scope": "read"}, include_in_schema=False)
async def history(request: AnyRequest, seconds: Annotated[int, QueryParameter(ge=60, le=40_000_000)] = 600) -> Response[bytes]:
    """Columns of `sampler.COLUMNS` over the last seconds, as JSON."""
    series = sampler_of(request).series(seconds)
    return Response(msgspec.json.encode(series), media_type="application/json", headers={"Cache-Control": "no-store"})


_watching: set[object] = set()


@get("/ui/live", opt={"scope": "read", "pace": False}, include_in_schema=False)
async def live(request: AnyRequest) -> ServerSentEvent:
    """Each new sample, until the browser goes away."""
    if len(_watching) >= WATCHERS:
        raise Refused(503, "too many are watching", retry_after=30)
    return ServerSentEvent(_events(sampler_of(request)))


async def _events(sampler: Sampler) -> AsyncIterator[ServerSentEventMessage]:
    me = object()
    _watching.add(me)
    try:
        async for sample in sampler.samples():
            yield ServerSentEventMessage(data=msgspec.json.encode(sample).decode(), event="sample", id=str(sample.time), retry=3000)
    finally:
        _watching.discard(me)


@get("/ui/static/{name:str}", opt={"scope": "read", "pace": False}, include_in_schema=False, sync_to_thread=False)
def static(name: FromPath[str]) -> Response[bytes]:
    """Files that came with the program; their addresses change when they do."""
    try:
        content = render.static_file(name)
    except KeyError:
        raise NotFoundException(f"there is no {name}") from None
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(content, media_type=_MEDIA[name.rpartition(".")[2]], headers=headers)


ROUTES = [overview, history, live, static]
