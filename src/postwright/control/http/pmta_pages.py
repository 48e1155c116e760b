"""PowerMTA's monitor addresses (powermta.md section 4): the same trees as its commands, as XML or JSON.

For programs that were written for PowerMTA; people have the pages below /ui, and are sent there when they ask for no format. Nothing here
knows a key of a tree that `control.pmta` writes. What is asked wrongly is answered in the form that was asked for, with its status.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
from litestar import Request, Response, get, post
from litestar.response import Redirect

from postwright.control.http.commanding import Commander
from postwright.control.http.guard import identity_of, mark_of, site_of
from postwright.control.http.problems import Refused
from postwright.control.pmta import details
from postwright.control.pmta.commands import SHOW, Command, Unknown, answer_of, arguments_of
from postwright.control.pmta.forms import CONTENT_TYPES, FORMS, Answer, Form, Tree, failed, written
from postwright.control.pmta.orders import waiting
from postwright.engine.listeners import machine_addresses
from postwright.engine.views.detail_facts import DomainView, JobView, QueueView

AnyRequest = Request[Any, Any, Any]

MOST_ROWS: Final = 10_000
_BY_NAME: Final = {command.name: command for command in SHOW}
_TOP: Final = ("queues", "domains")  # the pages that http-default-* are for; the others show all


@get("/", opt={"scope": "read"}, include_in_schema=False, sync_to_thread=False)
def root() -> Redirect:
    """People come here; their pages are below /ui."""
    return Redirect("/ui")


def form_of(request: AnyRequest) -> Form | None:
    """`format=`; None when none is asked for. Raises Refused for one that is none."""
    wanted = request.query_params.get("format")
    if wanted is None:
        return None
    return _form(wanted)


def _form(wanted: str) -> Form:
    for form in FORMS:
        if form == wanted:
            return form
    raise Refused(400, f"the format is one of {', '.join(FORMS)}")


def answered(answer: Answer, form: Form, status: int = 200) -> Response[bytes]:
    """An answer in that form; one that is none is 400 unless it says more."""
    status = status if answer.ok or status != 200 else 400
    media, _, _ = CONTENT_TYPES[form].partition(";")
    return Response(written(answer, form).encode("utf-8", "backslashreplace"), status_code=status, media_type=media)


async def _page(request: AnyRequest, name: str) -> Response[Any]:
    """What `show NAME` says, with the options of the command as the query."""
    form = form_of(request)
    if form is None and "text/html" in request.headers.get("accept", ""):
        return Redirect("/ui")
    site, command = site_of(request), _BY_NAME[f"show {name}"]
    told = await site.relay.ask_with(command.verb, _asked(request, command, name))
    return answered(answer_of(command, told), form or "text")


def _asked(request: AnyRequest, command: Command, name: str) -> dict[str, str]:
    """The view's arguments out of the query: a flag by `yes`, `true`, `1` or nothing."""
    query, http = request.query_params, site_of(request).settings.http
    given: dict[str, Any] = {}
    if name in _TOP:
        given = {"maxitems": str(http.http_default_max_items), "sort": http.http_default_sort_order}
    for option in command.options:
        value = query.get(option.name)
        if value is None:
            continue
        if option.choices and value not in option.choices:
            raise Refused(400, f"{option.name} is one of {', '.join(option.choices)}")
        given[option.name] = value if option.metavar else value.lower() not in ("no", "false", "0")
    argument = query.get(command.argument[1], "") if command.argument else ""
    return arguments_of(command, given, argument)


@get("/status", opt={"scope": "read"}, include_in_schema=False)
async def status(request: AnyRequest) -> Response[Any]:
    """The relay as a whole."""
    return await _page(request, "status")


@get("/queues", opt={"scope": "read"}, include_in_schema=False)
async def queues(request: AnyRequest) -> Response[Any]:
    """Queues; `queue=DOMAIN/VMTA` filters, with `*`."""
    return await _page(request, "queues")


@get("/domains", opt={"scope": "read"}, include_in_schema=False)
async def domains(request: AnyRequest) -> Response[Any]:
    """Domains; `domain=` filters."""
    return await _page(request, "domains")


@get("/vmtas", opt={"scope": "read"}, include_in_schema=False)
async def vmtas(request: AnyRequest) -> Response[Any]:
    """Virtual MTAs."""
    return await _page(request, "vmtas")


@get("/jobs", opt={"scope": "read"}, include_in_schema=False)
async def jobs(request: AnyRequest) -> Response[Any]:
    """Jobs."""
    return await _page(request, "jobs")


# one of them ------------------------------------------------------------------------------------------------------------


def _wanted(request: AnyRequest, name: str) -> str:
    value = request.query_params.get(name, "")
    if not value or len(value) > 512:
        raise Refused(400, f"say which: ?{name}=")
    return value


async def _detail(request: AnyRequest, verb: str, arguments: dict[str, str], make: Callable[[bytes], Answer]) -> Response[bytes]:
    """What the view of one thing comes to; 404 with what the relay says where there is none."""
    form = form_of(request) or "text"
    told = await site_of(request).relay.ask_with(verb, {**arguments, "maxitems": str(MOST_ROWS)})
    return answered(make(told.body), form) if told.ok else answered(failed(*told.lines), form, 404)


@get("/queueDetail", opt={"scope": "read"}, include_in_schema=False)
async def queue_detail(request: AnyRequest) -> Response[bytes]:
    """`queue=DOMAIN/VMTA`: one queue, why it waits, what happened to it lately."""
    asked = {"queue": _wanted(request, "queue"), "mode-events": "yes"}
    return await _detail(request, "view-queue", asked, lambda body: details.queue(msgspec.json.decode(body, type=QueueView), time.time()))


@get("/domainDetail", opt={"scope": "read"}, include_in_schema=False)
async def domain_detail(request: AnyRequest) -> Response[bytes]:
    """`domain=DOMAIN`: what waits for it, and in which queues."""
    asked = {"domain": _wanted(request, "domain")}
    return await _detail(request, "view-domain", asked, lambda body: details.domain(msgspec.json.decode(body, type=DomainView)))


@get("/jobDetail", opt={"scope": "read"}, include_in_schema=False)
async def job_detail(request: AnyRequest) -> Response[bytes]:
    """`jobid=ID`: what waits of it, and in which queues."""
    asked = {"job": _wanted(request, "jobid")}
    return await _detail(request, "view-job", asked, lambda body: details.job(msgspec.json.decode(body, type=JobView)))


@get("/listqueue", opt={"scope": "logs"}, include_in_schema=False)
async def list_queue(request: AnyRequest) -> Response[bytes]:
    """`queue=`, `jobid=`, `envid=`, `rcpt=`, `orig=`: recipients that wait."""
    form, query = form_of(request) or "text", request.query_params
    names = {"queue": "queue", "jobid": "job", "envid": "envid", "rcpt": "rcpt", "orig": "orig", "maxitems": "maxitems"}
    arguments = {ours: query[theirs] for theirs, ours in names.items() if theirs in query}
    return answered(waiting(await site_of(request).relay.ask_with("order-list", arguments)), form)


@get("/getlocalips", opt={"scope": "read"}, include_in_schema=False, sync_to_thread=True)
def local_ips(request: AnyRequest) -> Response[bytes]:
    """The addresses of this machine."""
    addresses = machine_addresses()
    rows: list[Tree] = [{"address": address} for address in addresses]
    return answered(Answer({"ip": rows}, tuple(addresses)), form_of(request) or "text")


# commands ---------------------------------------------------------------------------------------------------------------


@post("/command", opt={"scope": "read"}, include_in_schema=False, status_code=200)
async def command(request: AnyRequest) -> Response[bytes]:
    """`command=LINE&format=`: what `pmta LINE` would say. What the line is decides which scope it needs."""
    fields = await request.form() if _is_form(request) else {}
    line = fields.get("command") or request.query_params.get("command")
    form = _form(str(fields.get("format") or request.query_params.get("format") or "text"))
    if not isinstance(line, str) or not line.strip():
        return answered(failed("there is no command=…"), form)
    who = identity_of(request)
    try:
        return answered(await Commander(site_of(request)).run(line, who, mark_of(who)), form)
    except Unknown as error:
        return answered(failed(str(error)), form)
    except Refused as error:
        return answered(failed(error.detail), form, error.status)


def _is_form(request: AnyRequest) -> bool:
    return request.headers.get("content-type", "").lower().startswith(("application/x-www-form-urlencoded", "multipart/form-data"))


ROUTES = [
    root, status, queues, domains, vmtas, jobs, queue_detail, domain_detail, job_detail, list_queue, local_ips, command,
]  # fmt: skip
