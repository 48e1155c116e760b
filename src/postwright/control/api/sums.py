"""`/api/v1/domains`, `/jobs` and `/vmtas`: what waits, added up; and what is done to jobs."""

from __future__ import annotations

from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct

from postwright.control.api.common import PROBLEMS, AnyRequest, Cursor, Done, Free, Limit, Name, Span, Text, ordered, wishes
from postwright.control.api.queues import Sort
from postwright.control.http.guard import site_of
from postwright.control.http.problems import Refused
from postwright.engine.views.sums import Sum, SumsView


class JobOrder(Struct, forbid_unknown_fields=True):
    """`job` is its id, as it was given."""

    job: Name
    dry_run: bool = False
    reason: Free = ""


class JobPause(JobOrder, forbid_unknown_fields=True):
    """`lasting`: after which it resumes by itself."""

    lasting: Span = ""


@get("/api/v1/domains", opt={"scope": "read"}, tags=["domains"], responses=PROBLEMS)
async def domains(
    request: AnyRequest,
    domain: Text = "",
    vmta: Text = "",
    sort: FromQuery[Sort] = "name",
    connected: FromQuery[bool] = False,
    errors: FromQuery[bool] = False,
    limit: Limit = 100,
    cursor: Cursor = "",
) -> SumsView:
    """What waits for each domain, under all virtual MTAs; `domain` and `vmta` with `*` for any text."""
    wish = wishes(domain=domain, vmta=vmta, sort=sort, connected=connected, errors=errors, maxitems=limit, after=cursor)
    return await site_of(request).relay.body("view-domains", SumsView, wish)


@get("/api/v1/domains/{domain:str}", opt={"scope": "read"}, tags=["domains"], responses=PROBLEMS)
async def domain(request: AnyRequest, domain: FromPath[str]) -> Sum:
    """What waits for one domain."""
    return await _one(request, "view-domains", "domain", domain.lower())


@get("/api/v1/jobs", opt={"scope": "read"}, tags=["jobs"], responses=PROBLEMS)
async def jobs(request: AnyRequest, job: Text = "", sort: FromQuery[Sort] = "name", limit: Limit = 100, cursor: Cursor = "") -> SumsView:
    """What waits of each job; `job` with `*` for any text."""
    return await site_of(request).relay.body("view-jobs", SumsView, wishes(job=job, sort=sort, maxitems=limit, after=cursor))


@get("/api/v1/jobs/{job:str}", opt={"scope": "read"}, tags=["jobs"], responses=PROBLEMS)
async def job(request: AnyRequest, job: FromPath[str]) -> Sum:
    """What waits of one job."""
    return await _one(request, "view-jobs", "job", job)


@post("/api/v1/jobs/pause", opt={"scope": "queues"}, tags=["jobs"], status_code=200, responses=PROBLEMS)
async def pause_job(request: AnyRequest, data: JSONBody[JobPause]) -> Done:
    """Send nothing of a job until it is resumed, or for a while."""
    return await ordered(request, "order-pause", wishes(job=data.job, dry_run=data.dry_run, reason=data.reason, for_=data.lasting))


@post("/api/v1/jobs/resume", opt={"scope": "queues"}, tags=["jobs"], status_code=200, responses=PROBLEMS)
async def resume_job(request: AnyRequest, data: JSONBody[JobOrder]) -> Done:
    """Let a paused job go on."""
    return await ordered(request, "order-resume", wishes(job=data.job, dry_run=data.dry_run, reason=data.reason))


@get("/api/v1/vmtas", opt={"scope": "read"}, tags=["vmtas"], responses=PROBLEMS)
async def vmtas(request: AnyRequest, vmta: Text = "", sort: FromQuery[Sort] = "name", limit: Limit = 100, cursor: Cursor = "") -> SumsView:
    """What waits under each virtual MTA, those without mail too; `vmta` with `*` for any text."""
    return await site_of(request).relay.body("view-vmtas", SumsView, wishes(vmta=vmta, sort=sort, maxitems=limit, after=cursor))


async def _one(request: AnyRequest, verb: str, argument: str, name: str) -> Sum:
    if not 0 < len(name) <= 512 or "*" in name:
        raise Refused(404, "nothing is called that")
    view = await site_of(request).relay.body(verb, SumsView, {argument: name, "maxitems": "10"})
    found = [row for row in view.rows if row.name == name]
    if not found:
        raise Refused(404, f"nothing waits of {name}, or it is written otherwise")
    return found[0]


ROUTES = [domains, domain, jobs, job, pause_job, resume_job, vmtas]
