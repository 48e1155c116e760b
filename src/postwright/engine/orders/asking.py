"""What orders are asked with, and what is told of them: arguments of the control socket (all text) as values, figures as words.

Wrong arguments are a ValueError, whose text is told to whoever asked.
"""

from __future__ import annotations

from typing import Final, Protocol, TypeVar

import msgspec
from msgspec import Struct

from postwright.engine import frames as f
from postwright.engine.lock_lines import shown
from postwright.engine.orders.book import Why
from postwright.engine.orders.desk import Desk
from postwright.engine.orders.selection import Selection, accepted_until
from postwright.engine.orders.tally import Tally
from postwright.engine.views.traffic import TrafficBook
from postwright.model.durations import seconds_of
from postwright.model.message import parse_id

Arguments = dict[str, str]
T = TypeVar("T")

PATIENCE: Final = 3600.0  # seconds: a pass over millions of recipients takes minutes
_LONGEST_TEXT: Final = 500


class Steering(Protocol):
    """The supervisor, as far as orders need it."""

    desk: Desk
    traffic: TrafficBook

    async def ask_shards(self, verb: str, argument: bytes = b"", timeout: float = 10.0) -> list[f.Answer]: ...
    def pids(self) -> list[int]: ...


class Outcome(Struct, omit_defaults=True):
    """What came of an order, or would: for programs. `until` Unix seconds; `undo` is a command."""

    order: str
    dry_run: bool = False
    tally: Tally | None = None
    matching: int | None = None
    until: float | None = None
    undo: str = ""


def flag(arguments: Arguments, name: str) -> bool:
    """Is it there ("no", "false" and "0" count as not there)?"""
    return arguments.get(name, "no").lower() not in ("no", "false", "0", "")


def span(arguments: Arguments, name: str) -> int | None:
    """A time as PowerMTA writes it, in seconds; None when it is not there. Raises ValueError."""
    text = arguments.get(name, "")
    if not text:
        return None
    try:
        return seconds_of(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def why(arguments: Arguments, now: float) -> Why:
    """Who, when, why, and (`for`) for how long. Raises ValueError."""
    lasting = span(arguments, "for")
    reason = arguments.get("reason", "")[:_LONGEST_TEXT]
    return Why(arguments.get("by", ""), now, reason, None if lasting is None else now + lasting)


_NAMED: Final = ("queue", "job", "orig", "rcpt", "envid")


def selection(arguments: Arguments, now: float) -> Selection:
    """`queue`, `job`, `orig`, `rcpt`, `envid`, `older-than`, `message` (an id); what is empty is any. Raises ValueError."""
    age = span(arguments, "older-than")
    newest = 0 if age is None else max(1, accepted_until(now - age))  # 1: nobody's
    given = {name: arguments.get(name, "").strip() for name in _NAMED}
    for name, text in given.items():
        if len(text) > _LONGEST_TEXT:  # not cut: that would mean others
            raise ValueError(f"{name} has {_LONGEST_TEXT} characters at most")
    return Selection(**given, newest=newest, message=parse_id(arguments["message"]) if arguments.get("message") else 0)


def selection_to_change(arguments: Arguments, now: float) -> Selection:
    """As `selection`; but whoever names something and leaves it empty (a script whose variable is not set) does not mean all."""
    for name in (*_NAMED, "older-than", "message"):
        if name in arguments and not arguments[name].strip():
            raise ValueError(f"{name} is empty: leave it out if it does not matter")
    return selection(arguments, now)


async def ask(relay: Steering, verb: str, kind: type[T], **values: object) -> tuple[list[T], list[str]]:
    """The shards' answers, and what is to be told of those that gave none. Structs go as JSON, True as "yes", False not at all."""
    arguments = {name.replace("_", "-"): _text(value) for name, value in values.items() if value is not False}
    answers = await relay.ask_shards(verb, msgspec.json.encode(arguments), PATIENCE)
    errors = list(dict.fromkeys(answer.error for answer in answers if answer.error))
    shards, silent = len(relay.pids()), len(relay.pids()) - len(answers)
    if silent:
        errors.append(f"{silent} of {shards} shards do not answer; what stands is theirs when they begin")
    return [msgspec.json.decode(answer.body, type=kind) for answer in answers if not answer.error], errors


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return "yes" if value is True else msgspec.json.encode(value).decode()


async def broadcast(relay: Steering) -> list[str]:
    """Every shard has the book as it stands. What is to be told of those that have not."""
    _, errors = await ask(relay, "order-book", type(None), book=relay.desk.book)
    return errors


async def counted(relay: Steering, selected: Selection) -> tuple[Tally, list[str]]:
    """How much is meant."""
    found, errors = await ask(relay, "order-count", Tally, selection=selected)
    return summed(found), errors


def summed(tallies: list[Tally]) -> Tally:
    """Of all shards."""
    total = Tally()
    for tally in tallies:
        total.add(tally)
    return total


def told(lines: list[str], errors: list[str], outcome: Outcome) -> f.Told:
    """The answer: what was done, then what was not."""
    return f.Told(ok=not errors, lines=[*lines, *errors], body=msgspec.json.encode(outcome))


def refused(why: object) -> f.Told:
    """Nothing was done."""
    return f.Told(ok=False, lines=[str(why)])


def counts(tally: Tally) -> str:
    """`1,234 recipients of 1,200 messages in 3 queues (56,789 octets)`."""
    what = f"{_many(tally.recipients, 'recipient')} of {_many(tally.messages, 'message')} in {_many(tally.queues, 'queue')}"
    return f"{what} ({tally.octets:,} octets)"


def in_flight(tally: Tally, what: str) -> list[str]:
    """A line about those that are under way."""
    return [f"{_many(tally.in_flight, 'recipient')} in flight there: {what}"] if tally.in_flight else []


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def quoted(text: str) -> str:
    """For a shell, and for a terminal."""
    return "'" + shown(text).replace("'", "'\\''") + "'"


