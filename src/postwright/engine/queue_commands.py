"""Commands about one queue, on the supervisor's side: all shards are asked, and the one that has the queue answers.

The questions are `engine.queue_verbs`'; nothing here knows a queue.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Protocol

import msgspec

from postwright.engine import frames as f
from postwright.engine.lock_lines import shown
from postwright.engine.orders.asking import flag, quoted
from postwright.engine.queue_events import QueueEvents
from postwright.engine.tracing import TraceLines
from postwright.engine.why_facts import Why
from postwright.engine.why_lines import why_lines
from postwright.model.message import parse_id

_NEAR_MOST = 5
_SHOWN_MOST = 100


class Shards(Protocol):
    """The supervisor, as far as it is needed."""

    async def ask_shards(self, verb: str, argument: bytes = b"", timeout: float = 10.0) -> list[f.Answer]: ...


async def ask(relay: Shards, verb: str, arguments: dict[str, str]) -> f.Told | bytes:
    """The answer of the shard that has the queue, or what to tell when there is none."""
    answers = await relay.ask_shards(verb, msgspec.json.encode(arguments))
    body = next((answer.body for answer in answers if answer.body), b"")
    if body:
        return body
    errors = [answer.error for answer in answers if answer.error]
    none = f"there is no queue {shown(arguments.get('queue', ''))}: nothing waits in it, or it is written otherwise"
    return f.Told(ok=False, lines=errors or [none, *await near_lines(relay, arguments)])


async def near_lines(relay: Shards, arguments: dict[str, str]) -> list[str]:
    """What may have been meant."""
    answers = await relay.ask_shards("near-names", msgspec.json.encode(arguments))
    names = sorted({name for answer in answers if answer.body for name in msgspec.json.decode(answer.body, type=list[str])})
    return [f"did you mean {', '.join(map(shown, names[:_NEAR_MOST]))}?"] if names else []


async def trace(relay: Shards, arguments: dict[str, str]) -> f.Told:
    """Lines that have come, in `TraceLines` as JSON."""
    answer = await ask(relay, "trace", arguments)
    if isinstance(answer, f.Told):
        return f.Told(ok=True) if arguments.get("op") == "end" else answer
    return f.Told(ok=True, lines=msgspec.json.decode(answer, type=TraceLines).lines, body=answer)


async def events(relay: Shards, arguments: dict[str, str]) -> f.Told:
    """Errors and outcomes, as lines and as `QueueEvents` in JSON."""
    answer = await ask(relay, "events", arguments)
    if isinstance(answer, f.Told):
        return answer
    known = msgspec.json.decode(answer, type=QueueEvents)
    lines = [f"{_when(event.time)} {event.kind}: {shown(event.text)}" for event in known.errors]
    for one in known.outcomes:
        said = " | ".join((one.source_ip, one.recipient, one.job, one.mta, one.diagnostic))
        lines.append(f"{_when(one.time)} {one.fate} | {shown(said)}")
    return f.Told(ok=True, lines=lines or ["Nothing is recorded of that queue."], body=answer)


async def why(relay: Shards, arguments: dict[str, str]) -> f.Told:
    """Why mail waits, and for how long: lines, and a list of `Why` in JSON. All shards may have queues that are meant."""
    found, errors = await _whys(relay, arguments)
    if not found:
        what = arguments.get("queue", "")
        none = f"no recipient of message {what} waits: all are settled, or it was never here"
        none = none if _is_id(what) else f"nothing waits of {shown(what)}, or it is written otherwise"
        return f.Told(ok=False, lines=errors or [none, *await near_lines(relay, arguments)])
    return f.Told(ok=True, lines=[line for one in found for line in why_lines(one, time.time())], body=msgspec.json.encode(found))


async def _whys(relay: Shards, arguments: dict[str, str]) -> tuple[list[Why], list[str]]:
    """A message is looked for where its recipients belong, which the shard that keeps it knows; anywhere only if it is not there."""
    among: list[str] = []
    if _is_id(arguments.get("queue", "")):
        answers = await relay.ask_shards("queues-of-message", msgspec.json.encode(arguments))
        among = [name for answer in answers if answer.body for name in msgspec.json.decode(answer.body, type=list[str])]
    for narrowed in ({"among": "\n".join(among)}, {}) if among else ({},):
        answers = await relay.ask_shards("why", msgspec.json.encode({**arguments, **narrowed}))
        found = [one for answer in answers if answer.body for one in msgspec.json.decode(answer.body, type=list[Why])]
        if found:
            break
    return found, [answer.error for answer in answers if answer.error]


def _is_id(text: str) -> bool:
    try:
        parse_id(text)
    except ValueError:
        return False
    return True


async def _order(verb: str, relay: Shards, arguments: dict[str, str]) -> f.Told:
    """Something is done to queues; the names of those that it was done to, in all shards."""
    answers = await relay.ask_shards(verb, msgspec.json.encode(arguments))
    done = [name for answer in answers if answer.body for name in msgspec.json.decode(answer.body, type=list[str])]
    errors = [answer.error for answer in answers if answer.error]
    if not done:
        none = f"nothing was changed: no queue {shown(arguments.get('queue', ''))} to which that applies"
        return f.Told(ok=False, lines=errors or [none])
    dry_run = flag(arguments, "dry-run")
    lines = _named("Would change" if dry_run else "Changed", sorted(done))
    undo = [] if dry_run else [f"Undo: postwright {_undo(verb, arguments)}"]
    return f.Told(ok=not errors, lines=[*errors, *lines, *undo], body=msgspec.json.encode(sorted(done)))


def _undo(verb: str, arguments: dict[str, str]) -> str:
    queue, source = quoted(arguments.get("queue", "")), shown(arguments.get("source", ""))
    if verb == "set-mode":
        return f"set queue --mode={'normal' if arguments.get('mode') == 'backoff' else 'backoff'} {queue}"
    return f"{'enable' if verb == 'disable-source' else 'disable'} source {source} {queue}"


def _named(what: str, names: list[str]) -> list[str]:
    """A line each, and of very many one that says how many more there are."""
    lines = [f"{what}: {shown(name)}" for name in names[:_SHOWN_MOST]]
    return lines if len(names) <= _SHOWN_MOST else [*lines, f"... and {len(names) - _SHOWN_MOST:,} more"]


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")


QUEUE_COMMANDS: dict[str, Callable[[Shards, dict[str, str]], Awaitable[f.Told]]] = {
    "trace": trace,
    "events": events,
    "why": why,
    "disable-source": partial(_order, "disable-source"),
    "enable-source": partial(_order, "enable-source"),
    "set-mode": partial(_order, "set-mode"),
}
