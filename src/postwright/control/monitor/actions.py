"""Actions: what a page orders of the relay. First what it would concern is counted (a dry run) and told, with a field for the reason; then
it is ordered, with the answer and the way back. The relay writes the audit record; here only who asks is added.

An action whose page is opened without a script is a page of its own, with a form; with one it is a dialogue. Nobody without the scope gets
either. Raises Refused for an action that there is none of.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath
from msgspec import Struct

from postwright.control.http.asking import RelayAway
from postwright.control.http.problems import Refused
from postwright.control.monitor.frame import AnyRequest, Page
from postwright.engine.frames import Told

_LONGEST: Final = 500


class Action(Struct, frozen=True):
    """One order. `verb` with `base` arguments; what it is about comes under one of `subjects`; `fields` are asked for in the dialogue.

    `counted`: a dry run tells what it would concern. `undo` is the action that takes it back.
    """

    verb: str
    scope: str = "queues"
    subjects: tuple[str, ...] = ("queue",)
    base: dict[str, str] = {}
    fields: tuple[str, ...] = ("reason",)
    counted: bool = True
    undo: str = ""
    dangerous: bool = False


ACTIONS: Final[dict[str, Action]] = {
    "pause": Action("order-pause", subjects=("queue", "job"), fields=("for", "reason"), undo="resume"),
    "resume": Action("order-resume", subjects=("queue", "job"), undo="pause"),
    "retry": Action("order-schedule", base={"retry-recipients": "yes"}),
    "delete": Action("order-delete", subjects=("queue", "job"), fields=("dsn", "reason"), dangerous=True),
    "withdraw": Action("order-delete", subjects=("message",), fields=("dsn", "reason"), dangerous=True),
    "backoff": Action("set-mode", base={"mode": "backoff"}, counted=False, undo="normal"),
    "normal": Action("set-mode", base={"mode": "normal"}, counted=False, undo="backoff"),
    "disable": Action("disable-source", subjects=("queue",), fields=("source", "after", "reason"), counted=False, undo="enable"),
    "enable": Action("enable-source", subjects=("queue",), fields=("source", "reason"), counted=False, undo="disable"),
    "unlock": Action("unlock", scope="admin", subjects=("who",), counted=False),
}


class Wanted(Struct):
    """An action as it was asked for: about `what`, which came under the name `subject`."""

    kind: str
    action: Action
    subject: str
    what: str
    given: dict[str, str]

    def arguments(self, page: Page, *, dry_run: bool) -> dict[str, str]:
        """For the relay."""
        found = {**self.action.base, self.subject: self.what, "as": _by(page)}
        found |= {name: value for name, value in self.given.items() if value}
        return found | ({"dry-run": "yes"} if dry_run else {})

    def back_url(self) -> str:
        """Where one came from, as a rule: for a browser without a script, in which this is a page."""
        if self.subject == "queue" and "*" not in self.what:
            return f"/ui/queue?{urlencode({'name': self.what})}"
        if self.subject == "message":
            return f"/ui/message?{urlencode({'id': self.what})}"
        return {"job": "/ui/jobs", "who": "/ui/listeners"}.get(self.subject, "/ui/queues")

    def undo_url(self) -> str:
        """Where this is taken back, "" when it cannot be."""
        if not self.action.undo:
            return ""
        again = {self.subject: self.what} | {name: self.given[name] for name in ("source",) if self.given.get(name)}
        return f"/ui/act/{self.action.undo}?{urlencode(again)}"


def _by(page: Page) -> str:
    return page.who.name if page.who.name == page.who.address else f"{page.who.name} from {page.who.address}"


def _wanted(page: Page, kind: str, given: dict[str, str]) -> Wanted:
    action = ACTIONS.get(kind)
    if action is None:
        raise Refused(404, "there is no such action")
    if not page.who.may(action.scope):
        raise Refused(403, f"this needs the scope {action.scope}, which {page.who.name} has not")
    subject = next((name for name in action.subjects if given.get(name)), "")
    if not subject:
        raise Refused(400, f"about what? {' or '.join(action.subjects)} is missing")
    fields = {name: given.get(name, "").strip()[:_LONGEST] for name in action.fields}
    return Wanted(kind, action, subject, given[subject][:_LONGEST], fields)


async def _told(page: Page, wanted: Wanted, *, dry_run: bool) -> Told:
    try:
        return await page.site.relay.ask_with(wanted.action.verb, wanted.arguments(page, dry_run=dry_run))
    except RelayAway as error:
        return Told(ok=False, lines=[str(error)])


@get("/ui/act/{kind:str}", opt={"scope": "read"}, include_in_schema=False)
async def ask(request: AnyRequest, kind: FromPath[str]) -> Response[str]:
    """The dialogue: what it would concern."""
    page = Page(request, "queues")
    wanted = _wanted(page, kind, {name: str(value) for name, value in request.query_params.items()})
    told = await _told(page, wanted, dry_run=True) if wanted.action.counted else Told(ok=True)
    return page.shown("action_ask.html" if page.is_fragment else "action_ask_page.html", wanted=wanted, told=told)


@post("/ui/act/{kind:str}", opt={"scope": "read"}, include_in_schema=False, status_code=200)
async def do(request: AnyRequest, kind: FromPath[str]) -> Response[str]:
    """It is ordered."""
    page = Page(request, "queues")
    form = await request.form()
    wanted = _wanted(page, kind, {name: str(value) for name, value in form.items() if isinstance(value, str)})
    told = await _told(page, wanted, dry_run=False)
    return page.shown("action_done.html" if page.is_fragment else "action_done_page.html", wanted=wanted, told=told, outcome=_outcome(told))


def _outcome(told: Told) -> list[str]:
    """The answer's words; of one that has none (a list of queues) the names."""
    if told.lines:
        return [line for line in told.lines if not line.startswith("Undo: ")]
    try:
        names = msgspec.json.decode(told.body, type=list[str])
    except msgspec.MsgspecError:
        return []
    return names[:20]


ROUTES: list[Any] = [ask, do]
