"""What all ways of submission over HTTP share: a message with its recipients goes to a shard, and what became of it becomes an answer.

`hand_in` gives the relay's answer for a message that is on disk, or raises `Refused`: 422 for what will never be taken (each recipient's
reason in it), 429 with Retry-After for what comes too fast, 503 with Retry-After for a relay that is down, full or has too much to do.
It decides nothing about mail: every judgement is the shard's, by the rules of `<source {api}>` (or of the source that is named).
"""

from __future__ import annotations

import asyncio
import time

from msgspec import Struct

from postwright.control.http.access import Identity
from postwright.control.http.problems import Refused
from postwright.control.http.site import Site
from postwright.engine.bus import MAX_FRAME
from postwright.engine.injection_client import Broken, Unreachable
from postwright.engine.injection_frames import Inject, Injected
from postwright.engine.scripts import Asked, ScriptError, To, merged, script

TOO_FAST = 10  # seconds of Retry-After for a rate
BUSY = 30  # seconds of Retry-After for a full disk, or memory
AWAY = 5
LARGEST = MAX_FRAME - 65536  # octets that the bus carries
MANY, MUCH = 500, 256 * 1024  # recipients and octets above which a dialogue is written in a thread
_RECIPIENTS_MOST = 100_000


class Order(Struct, frozen=True):
    """What is handed in. `merge`: the content is a template, and each recipient has its own variables. `key`: see `Inject`."""

    sender: str
    recipients: list[To]
    content: bytes
    asked: Asked = Asked()
    merge: bool = False
    source: str = "{api}"
    key: str = ""


class RefusedRecipient(Struct):
    """Who was not taken, and why: an SMTP reply code, an enhanced status code (RFC 3463) and words."""

    address: str
    code: int
    status: str
    reason: str


async def hand_in(site: Site, who: Identity | None, peer: str, order: Order) -> Injected:
    """The answer of a shard that has the message on disk. Raises Refused."""
    if not order.recipients:
        raise Refused(422, "there is no recipient")
    if len(order.recipients) > _RECIPIENTS_MOST:
        raise Refused(422, f"there are more than {_RECIPIENTS_MOST} recipients")
    large = len(order.recipients) > MANY or len(order.content) > MUCH
    try:
        octets = await asyncio.to_thread(_script, order) if large else _script(order)
    except ScriptError as error:
        raise Refused(422, str(error)) from None
    if len(octets) > LARGEST:
        raise Refused(422, f"the message with all its recipients has more than {LARGEST} octets: hand it in in parts")
    label, user = (who.name, who.user) if who is not None and who.by_key else ("", "")
    asked = Inject(0, octets, order.source, user, peer, "api", key=order.key, who=label)
    try:
        told = await site.injection.hand_in(asked)
    except Unreachable as error:
        raise Refused(503, str(error), retry_after=AWAY) from None
    except Broken as error:
        detail = f"{error}; the message may have been taken: with an Idempotency-Key it is safe to ask again"
        raise Refused(503, detail, retry_after=AWAY) from None
    if told.code != 250:
        raise _refusal(told, order)
    return told


def _script(order: Order) -> bytes:
    return script(order.sender, _with_reserved(order), order.content, order.asked, time.time(), merge=order.merge)


def _with_reserved(order: Order) -> list[To]:
    extra = merged(order.asked) if order.merge else {}
    return [To(to.address, {**to.variables, **extra}) for to in order.recipients] if extra else order.recipients


def refused(told: Injected, order: Order) -> list[RefusedRecipient]:
    """Who was not taken."""
    return [RefusedRecipient(order.recipients[one.index].address, one.code, one.status, one.text) for one in told.refused]


def _refusal(told: Injected, order: Order) -> Refused:
    """The answer for a message of which nothing was kept."""
    reason = f"{told.code} {told.status} {told.text}".replace("  ", " ")
    each = [f"{one.address}: {one.code} {one.status} {one.reason}" for one in refused(told, order)]
    if 400 <= told.code < 500 and told.status.startswith("4.7."):
        return Refused(429, told.text, each, TOO_FAST)
    if 400 <= told.code < 500:
        return Refused(503, told.text, each, BUSY)
    return Refused(422, reason, each)
