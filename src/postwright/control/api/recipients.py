"""`/api/v1/recipients`: who waits in the queues, one by one, and what is deleted of them or goes first.

What is selected is said by all that is given together: a queue's pattern, a job, a sender, a recipient, an envelope id, an age.
"""

from __future__ import annotations

from typing import Annotated

from litestar import get, post
from litestar.params import FromQuery, JSONBody, QueryParameter
from msgspec import Meta, Struct

from postwright.control.api.common import PROBLEMS, AnyRequest, Done, Free, Limit, Span, Text, ordered, wishes
from postwright.control.http.guard import site_of
from postwright.engine.orders.listing import Page

_Age = Annotated[str, QueryParameter(max_length=40, description="Older than this: 90s, 2h, 1d12h")]


class Selection(Struct, forbid_unknown_fields=True):
    """`queue`, `orig`, `rcpt`, `job` and `envelope_id` with `*` for any text; empty for any."""

    queue: Free = ""
    orig: Free = ""
    rcpt: Free = ""
    job: Free = ""
    envelope_id: Free = ""
    older_than: Span = ""
    dry_run: bool = False
    reason: Free = ""

    def arguments(self) -> dict[str, str]:
        """For the relay."""
        return wishes(
            queue=self.queue,
            orig=self.orig,
            rcpt=self.rcpt,
            job=self.job,
            envid=self.envelope_id,
            older_than=self.older_than,
            dry_run=self.dry_run,
            reason=self.reason,
        )


class Deletion(Selection, forbid_unknown_fields=True):
    """`dsn`: senders are told; `accounted`: with records of a bounce."""

    dsn: bool = False
    accounted: bool = True


class Priority(Selection, forbid_unknown_fields=True):
    """The highest goes first."""

    priority: Annotated[int, Meta(ge=0, le=100)] = 50


@get("/api/v1/recipients", opt={"scope": "logs"}, tags=["recipients"], responses=PROBLEMS)
async def recipients(
    request: AnyRequest,
    queue: Text = "",
    orig: Text = "",
    rcpt: Text = "",
    job: Text = "",
    envelope_id: Text = "",
    older_than: _Age = "",
    paused: FromQuery[bool] = False,
    limit: Limit = 100,
) -> Page:
    """Recipients that wait; `more` says that there are others."""
    wish = wishes(queue=queue, orig=orig, rcpt=rcpt, job=job, envid=envelope_id, older_than=older_than, paused=paused, maxitems=limit)
    return await site_of(request).relay.body("order-list", Page, wish)


@post("/api/v1/recipients/delete", opt={"scope": "queues"}, tags=["recipients"], status_code=200, responses=PROBLEMS)
async def delete(request: AnyRequest, data: JSONBody[Deletion]) -> Done:
    """Send them nothing any more. A queue or a job has to be named (`*/*` is all mail)."""
    return await ordered(request, "order-delete", data.arguments() | wishes(dsn=data.dsn, no_accounting=not data.accounted))


@post("/api/v1/recipients/priority", opt={"scope": "queues"}, tags=["recipients"], status_code=200, responses=PROBLEMS)
async def priority(request: AnyRequest, data: JSONBody[Priority]) -> Done:
    """Let them go before others of their queues, or after."""
    return await ordered(request, "order-priority", {**data.arguments(), "priority": str(data.priority)})


ROUTES = [recipients, delete, priority]
