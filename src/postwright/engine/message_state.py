"""One message as the spool has it: who it is from and for, who handed it in, and which recipients it is still kept for.

A shard answers for its own spool; a message whose recipients are all settled is in none. What became of those stands in the event log
(`message_search.timeline`). Reads one record; raises ValueError for an id that is none.
"""

from __future__ import annotations

from typing import Protocol

import msgspec
from msgspec import Struct

from postwright.engine import frames as f
from postwright.model.errors import SpoolError
from postwright.model.message import parse_id
from postwright.store.spool import Spool

Arguments = dict[str, str]


class HeldRecipient(Struct):
    """One that is not settled. `due` Unix seconds, 0 when nothing was put off; `attempts` made so far."""

    address: str
    attempts: int = 0
    due: float = 0.0


class HeldMessage(Struct):
    """`user` who has handed it in: a login, or `key NAME`; `not_before` Unix seconds, 0 for at once. `settled`: recipients it is no more
    kept for."""

    id: str
    received: float
    sender: str
    user: str
    job: str
    envid: str
    octets: int
    not_before: float
    waiting: list[HeldRecipient]
    settled: int


class Holder(Protocol):
    """The shard."""

    spool: Spool


class Relay(Protocol):
    """The supervisor."""

    async def ask_shards(self, verb: str, argument: bytes = b"", timeout: float = 10.0) -> list[f.Answer]: ...


def held(node: Holder, arguments: Arguments) -> bytes:
    """The shard's answer: JSON of a HeldMessage, or of None."""
    text = arguments["id"]
    number, spool = parse_id(text), node.spool
    ref, states = spool.ref(number), spool.states(number)
    if ref is None or states is None:
        return b"null"
    try:
        message = spool.read_message(number, ref)
    except (KeyError, SpoolError):
        return b"null"
    recipients, envelope = message.envelope.recipients, message.envelope
    waiting = [HeldRecipient(recipients[index].address.text, attempts, due) for who, due, attempts, _ in states for index in who]
    return msgspec.json.encode(
        HeldMessage(
            text.lower(),
            message.received_at,
            envelope.reverse_path.text,
            message.arrival.user,
            message.job,
            envelope.envid,
            message.facts.size,
            message.not_before,
            waiting,
            len(recipients) - len(waiting),
        )
    )


async def _message(relay: Relay, arguments: Arguments) -> f.Told:
    """`id`. The body is JSON null when no spool has it."""
    parse_id(arguments.get("id", ""))
    answers = await relay.ask_shards("message", msgspec.json.encode({"id": arguments["id"]}))
    found = next((answer.body for answer in answers if answer.body and answer.body != b"null"), b"null")
    silent = [answer.error for answer in answers if answer.error]
    return f.Told(ok=not silent, lines=silent, body=found)


MESSAGE_COMMANDS = {"view-message": _message}
