"""`/api/v1/messages`: hand in mail, see what became of it, take back what has not gone.

    POST    202 with the message's id when it is on disk; `Idempotency-Key` makes it safe to ask again
    GET     what waits, and the timeline out of the event log
    DELETE  what waits goes no further

A key with `submit` sees and takes back its own messages; `logs` sees all, `queues` takes back all. Errors are problem+json.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter, JSONBody
from msgspec import Struct

from postwright.control.api.handing_in import Order, RefusedRecipient, hand_in, refused
from postwright.control.api.idempotency import LONGEST, Answer, Reused
from postwright.control.api.message_models import NewMessage, made
from postwright.control.api.mime_build import MimeError
from postwright.control.http.access import Identity
from postwright.control.http.asking import RelayAway
from postwright.control.http.guard import identity_of, mark_of, site_of
from postwright.control.http.problems import Problem, Refused
from postwright.control.http.shield import peer
from postwright.control.http.site import Site
from postwright.engine.message_search import Found, timeline
from postwright.engine.message_state import HeldMessage, HeldRecipient
from postwright.model.message import parse_id
from postwright.model.record import Record

PATH = "/api/v1/messages"
LARGEST = 60 * 1024 * 1024  # octets of a request; a third of a file in base64 is not there
LARGE = 256 * 1024  # octets above which a message is made in a thread

_KINDS = {
    "r": "accepted", "d": "delivered", "b": "bounced", "t": "deferred", "rb": "bounced later", "rs": "reported", "f": "complained",
}  # fmt: skip
_PROBLEM = {
    status: ResponseSpec(data_container=Problem, description=text, media_type="application/problem+json")
    for status, text in (
        (400, "No JSON of this form"),
        (401, "The key is wrong"),
        (403, "The key may not"),
        (404, "There is no such message, or it is not for this key to see"),
        (413, "Too large"),
        (422, "Refused, with the reason for each recipient"),
        (429, "Too fast; see Retry-After"),
        (503, "The relay is down or has too much to do; see Retry-After"),
    )
}


class Accepted(Struct):
    """`id` is the message's, as in records and in our Received; `recipients` were taken, and `refused` were not."""

    id: str
    recipients: int
    refused: list[RefusedRecipient] = []


class Happened(Struct):
    """One thing that happened to one recipient. `status` RFC 3463, `host` who said so, `reply` what was said; `queue` where it waited."""

    at: float
    event: str
    recipient: str
    status: str = ""
    reply: str = ""
    host: str = ""
    queue: str = ""
    source_ip: str = ""


class MessageState(Struct):
    """`state` is `waiting` while the relay has recipients of it, else `done`. `timeline` oldest first; `whole` whether the event log has
    all of it (it keeps what `event-log-keep` says, and is off without `event-log`). Times in Unix seconds."""

    id: str
    state: str
    waiting: list[HeldRecipient]
    timeline: list[Happened]
    whole: bool
    sender: str = ""
    job: str = ""
    envelope_id: str = ""
    received: float = 0.0
    octets: int = 0
    not_before: float = 0.0


class Cancelled(Struct):
    """How many recipients will get nothing any more; `in_flight` are being sent to this very moment, and are not tried again."""

    id: str
    recipients: int
    in_flight: int = 0


_KEY = HeaderParameter(name="Idempotency-Key", description="Makes it safe to ask again: the same answer for 24 hours", max_length=LONGEST)


@post(
    PATH,
    opt={"scope": "submit", "pace": False},
    tags=["messages"],
    status_code=202,
    request_max_body_size=LARGEST,
    responses={202: ResponseSpec(data_container=Accepted, description="The message is on disk and will be delivered"), **_PROBLEM},
)
async def submit(
    request: Request[Any, Any, Any],
    data: JSONBody[NewMessage],
    idempotency_key: Annotated[str | None, _KEY] = None,
) -> Response[bytes]:
    """Hand in a message. It is on disk when 202 is said; what may not be sent is refused with the reason."""
    site, who = site_of(request), identity_of(request)
    return _response(await answered(site, who, peer(request.scope), data, await request.body(), idempotency_key or ""))


async def answered(site: Site, who: Identity, where: str, data: NewMessage, body: bytes, key: str) -> Answer:
    """The answer to a request to hand in a message. Raises Refused."""

    handed_in = False

    async def work(claim: str = "") -> Answer:
        nonlocal handed_in
        handed_in = True
        return Answer(202, msgspec.json.encode(await _submitted(site, who, where, data, len(body), claim)))

    if not key:
        return await work()
    claim = site.answers.claim(who.name, key)
    try:
        return await site.answers.once(who.name, key, body, lambda: work(claim))
    except Reused as error:
        raise Refused(422, str(error)) from None
    except OSError as error:
        site.log.error("answers for Idempotency-Key cannot be kept", error=str(error))
        raise Refused(503, "the answer cannot be kept for this Idempotency-Key; it is not certain that it counts", retry_after=30) from None
    finally:
        if handed_in:  # by this request: the message of another one with this key waits until that one's answer is kept
            site.injection.settled(claim)


def _response(answer: Answer) -> Response[bytes]:
    again = {"Idempotent-Replayed": "true"} if answer.again else {}
    return Response(answer.body, status_code=answer.status, media_type="application/json", headers=again)


async def _submitted(site: Site, who: Identity, where: str, data: NewMessage, octets: int, key: str) -> Accepted:
    size = octets + 200 * len(data.recipients)
    try:
        ready = made(data) if size < LARGE else await asyncio.to_thread(made, data)
    except (MimeError, ValueError) as error:
        raise Refused(422, str(error)) from None
    order = Order(ready.sender, ready.recipients, ready.content, ready.asked, ready.merge, key=key)
    told = await hand_in(site, who, where, order)
    asked = told.recipients or len(order.recipients)  # of an answer that got lost only the message is known
    return Accepted(told.id, asked - len(told.refused), refused(told, order))


@get("/api/v1/messages/{message_id:str}", opt={"scope": ("submit", "logs")}, tags=["messages"], responses=_PROBLEM)
async def state(request: Request[Any, Any, Any], message_id: FromPath[str]) -> MessageState:
    """What became of a message: who it waits for, and what has happened."""
    site = site_of(request)
    number = _number(message_id)
    held, found = await _known(site, identity_of(request), message_id, number)
    happened = [_happened(record) for record in found.records]
    if held is None:
        first = next((record for record in found.records if record.type == "r"), None)
        if not happened:
            raise Refused(404, "no message of this id waits, and the event log has none" if found.logs else _NO_LOG)
        return MessageState(message_id, "done", [], happened, found.whole, *((first.orig, first.job_id, first.env_id) if first else ()))
    return MessageState(
        message_id, "waiting", held.waiting, happened, found.whole and found.logs,
        held.sender, held.job, held.envid, held.received, held.octets, held.not_before,
    )  # fmt: skip


_NO_LOG = "no message of this id waits; what has become of those that do not is known with `event-log yes`"


@delete("/api/v1/messages/{message_id:str}", opt={"scope": ("submit", "queues")}, tags=["messages"], status_code=200, responses=_PROBLEM)
async def cancel(request: Request[Any, Any, Any], message_id: FromPath[str]) -> Cancelled:
    """Take back a message: recipients that still wait get nothing. What is being sent this very moment is not stopped."""
    site, who = site_of(request), identity_of(request)
    number = _number(message_id)
    held, _ = await _known(site, who, message_id, number, history=False)
    if held is None:
        raise Refused(404, "no message of this id waits")
    told = await site.relay.ask("order-delete", message=message_id, reason="cancelled over the API", **mark_of(who))
    if not told.ok:
        raise Refused(503, "; ".join(told.lines), retry_after=5)
    tally = msgspec.json.decode(told.body, type=_Outcome).tally
    return Cancelled(message_id, tally.recipients, max(0, len(held.waiting) - tally.recipients))


class _Tally(Struct):
    recipients: int = 0


class _Outcome(Struct):
    tally: _Tally


async def _known(site: Site, who: Identity, message_id: str, number: int, *, history: bool = True) -> tuple[HeldMessage | None, Found]:
    """What waits of it and what happened, if that is for this one to know. Raises Refused 404 for what is not."""
    told = await site.relay.ask("view-message", id=message_id)
    if not told.ok:
        raise RelayAway("; ".join(told.lines))
    held: HeldMessage | None = msgspec.json.decode(told.body, type=HeldMessage | None)
    found = await asyncio.to_thread(timeline, site.state_dir, number) if history else Found([], 0.0, False, False)
    if not who.may("logs" if history else "queues"):
        owner = held.user if held is not None else next((one.rcv_smtp_user for one in found.records if one.type == "r"), None)
        if owner != (who.user or who.name):
            raise Refused(404, "no message of this id is yours")
    return held, found


def _number(message_id: str) -> int:
    try:
        return parse_id(message_id)
    except ValueError:
        raise Refused(404, "no id of a message looks like this") from None


def _happened(record: Record) -> Happened:
    return Happened(
        record.time_logged,
        _KINDS.get(record.type, record.type),
        record.rcpt,
        record.dsn_status,
        record.dsn_diag,
        record.dsn_mta,
        record.queue,
        record.dlv_source_ip,
    )


ROUTES = [submit, state, cancel]
