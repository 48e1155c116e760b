"""The shards' parts of a view, gathered at the supervisor, and how the view is told.

A shard that does not answer in time is missing, and the lines of the answer say so; what a shard says of a wrong argument is told as it is.
An answer that goes into no frame is an error: sent, it would end the link, and with it the process that is at its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, TypeVar

import msgspec

from postwright.engine import frames as f
from postwright.engine.bus import MAX_FRAME

LARGEST: Final = MAX_FRAME - 65536  # octets of a body; what is around it takes a little
TOO_MUCH: Final = "that is more than goes into an answer: ask for fewer (maxitems)"

T = TypeVar("T")
Arguments = dict[str, str]


class Shards(Protocol):
    """The supervisor, as far as it is needed."""

    async def ask_shards(self, verb: str, argument: bytes = b"", timeout: float = 10.0) -> list[f.Answer]: ...
    def pids(self) -> list[int]: ...


async def gathered(relay: Shards, verb: str, arguments: Arguments, kind: type[T]) -> tuple[list[T], list[str]]:
    """The parts, without those of shards that have nothing to say, and what is to be told of those that gave none."""
    answers = await relay.ask_shards(verb, msgspec.json.encode(arguments))
    silent = len(relay.pids()) - len(answers)
    errors = list(dict.fromkeys(answer.error for answer in answers if answer.error))
    errors += [f"{silent} of {len(relay.pids())} shards do not answer, and are not counted"] if silent else []
    return [msgspec.msgpack.decode(answer.body, type=kind) for answer in answers if answer.body], errors


def fits(body: bytes) -> bool:
    """Does it go into a frame?"""
    return len(body) <= LARGEST


def told(view: object, troubles: Sequence[str]) -> f.Told:
    """The view, as JSON."""
    body = msgspec.json.encode(view)
    return f.Told(ok=True, lines=list(troubles), body=body) if fits(body) else refused([*troubles, TOO_MUCH])


def refused(troubles: Sequence[str], otherwise: str = "no shard answers") -> f.Told:
    """There is none, and why."""
    return f.Told(ok=False, lines=list(troubles) or [otherwise])
