"""`/api/v1/status` and `/api/v1/queues`: what the relay and its queues are at, and what is done to queues.

An order is about all queues that fit a pattern, `DOMAIN/VMTA` with `*` for any text; `dry_run` counts what it would be about.
"""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Struct

from postwright.control.api.common import PROBLEMS, AnyRequest, Cursor, Done, Free, Limit, Name, Span, Text, ordered, wishes
from postwright.control.http.guard import site_of
from postwright.control.http.problems import Refused
from postwright.engine.views.queues import QueueRow, QueuesView
from postwright.engine.views.status import StatusView

Sort = Literal["name", "rcpt", "size"]
Mode = Literal["", "normal", "backoff"]
_Pattern = Annotated[str, QueryParameter(max_length=512, description="`DOMAIN/VMTA`, `*` for any text; all without")]


class QueueOrder(Struct, forbid_unknown_fields=True):
    """`queue` is a pattern."""

    queue: Name
    dry_run: bool = False
    reason: Free = ""


class PauseOrder(QueueOrder, forbid_unknown_fields=True):
    """`lasting`: after which it resumes by itself."""

    lasting: Span = ""


class ModeOrder(Struct, forbid_unknown_fields=True):
    """`queue` is a pattern."""

    queue: Name
    mode: Literal["normal", "backoff"]
    reason: Free = ""


class ScheduleOrder(QueueOrder, forbid_unknown_fields=True):
    """`retry_recipients`: those that wait for their own retry, too."""

    retry_recipients: bool = False


@get("/api/v1/status", opt={"scope": "read"}, tags=["status"], responses=PROBLEMS)
async def status(request: AnyRequest) -> StatusView:
    """Traffic, connections, names, queues and spool of the relay."""
    return await site_of(request).relay.body("view-status", StatusView)


@get("/api/v1/queues", opt={"scope": "read"}, tags=["queues"], responses=PROBLEMS)
async def queues(
    request: AnyRequest,
    queue: _Pattern = "",
    sort: FromQuery[Sort] = "name",
    mode: FromQuery[Mode] = "",
    connected: FromQuery[bool] = False,
    paused: FromQuery[bool] = False,
    errors: FromQuery[bool] = False,
    limit: Limit = 100,
    cursor: Cursor = "",
) -> QueuesView:
    """Queues that fit, with what happened to them lately; `next` is the cursor of the next page, empty at the end."""
    arguments = wishes(
        queue=queue, sort=sort, mode=mode, connected=connected, paused=paused, errors=errors, maxitems=limit, after=cursor, mode_events=True
    )
    return await site_of(request).relay.body("view-queues", QueuesView, arguments)


@get("/api/v1/queues/{domain:str}/{vmta:str}", opt={"scope": "read"}, tags=["queues"], responses=PROBLEMS)
async def queue(request: AnyRequest, domain: FromPath[str], vmta: FromPath[str]) -> QueueRow:
    """One queue."""
    name = f"{domain}/{vmta}"
    if len(name) > 512 or "*" in name:
        raise Refused(404, "no queue is called that")
    view = await site_of(request).relay.body("view-queues", QueuesView, wishes(queue=name, maxitems=10, mode_events=True))
    found = [row for row in view.rows if row.name.lower() == name.lower()]
    if not found:
        raise Refused(404, f"there is no queue {name}: nothing waits in it, or it is written otherwise")
    return found[0]


@post("/api/v1/queues/pause", opt={"scope": "queues"}, tags=["queues"], status_code=200, responses=PROBLEMS)
async def pause(request: AnyRequest, data: JSONBody[PauseOrder]) -> Done:
    """Send nothing of these queues until they are resumed, or for a while."""
    return await ordered(request, "order-pause", wishes(queue=data.queue, dry_run=data.dry_run, reason=data.reason, for_=data.lasting))


@post("/api/v1/queues/resume", opt={"scope": "queues"}, tags=["queues"], status_code=200, responses=PROBLEMS)
async def resume(request: AnyRequest, data: JSONBody[QueueOrder]) -> Done:
    """Let paused queues go on."""
    return await ordered(request, "order-resume", wishes(queue=data.queue, dry_run=data.dry_run, reason=data.reason))


@post("/api/v1/queues/mode", opt={"scope": "queues"}, tags=["queues"], status_code=200, responses=PROBLEMS)
async def set_mode(request: AnyRequest, data: JSONBody[ModeOrder]) -> Done:
    """Put queues into normal or backoff mode."""
    return await ordered(request, "set-mode", wishes(queue=data.queue, mode=data.mode, reason=data.reason))


@post("/api/v1/queues/schedule", opt={"scope": "queues"}, tags=["queues"], status_code=200, responses=PROBLEMS)
async def schedule(request: AnyRequest, data: JSONBody[ScheduleOrder]) -> Done:
    """Try these queues now, whatever they wait for."""
    wish = wishes(queue=data.queue, dry_run=data.dry_run, reason=data.reason, retry_recipients=data.retry_recipients)
    return await ordered(request, "order-schedule", wish)


class WhyView(Struct):
    """`lines` as `postwright why` prints them."""

    lines: list[str]


@get("/api/v1/why", opt={"scope": "read"}, tags=["queues"], responses=PROBLEMS)
async def why(request: AnyRequest, queue: Text) -> WhyView:
    """Why mail of a queue (or a message, by its id) waits, which line says so, and for how long."""
    told = await site_of(request).relay.ask("why", queue=queue)
    if not told.ok:
        raise Refused(404, told.lines[0] if told.lines else "", told.lines[1:])
    return WhyView(told.lines)


ROUTES = [status, queues, queue, pause, resume, set_mode, schedule, why]
