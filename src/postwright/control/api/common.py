"""What the subjects of the API share: parameters of lists, the answer to an order, and the errors that each route may give.

Nothing here asks the relay but for `ordered`, which has an order carried out and tells what came of it.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter
from msgspec import Struct

from postwright.control.http.asking import RelayError
from postwright.control.http.guard import identity_of, mark_of, site_of
from postwright.control.http.problems import PROBLEM, Problem
from postwright.engine.orders.asking import Outcome

AnyRequest = Request[Any, Any, Any]

LONGEST = 512  # characters of a name or a pattern

Limit = Annotated[int, QueryParameter(ge=1, le=1000, description="Most entries of a page")]
Cursor = Annotated[str, QueryParameter(max_length=4096, description="`next` of the page before; none for the first")]
Text = Annotated[str, QueryParameter(max_length=LONGEST)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST)]
Free = Annotated[str, msgspec.Meta(max_length=LONGEST)]
Span = Annotated[str, msgspec.Meta(pattern=r"^([0-9]{1,9}[smhdw]?)*$", max_length=40, description="Such as 90s, 2h, 1d12h; empty for none")]

_ERRORS = {
    400: "The request is not of this form",
    401: "The key is wrong",
    403: "The key may not",
    404: "It is not there",
    413: "Too large",
    422: "The relay says no, and why",
    429: "Too fast; see Retry-After",
    503: "The relay does not answer; see Retry-After",
}
PROBLEMS = {
    status: ResponseSpec(data_container=Problem, description=text, media_type=PROBLEM, generate_examples=False)
    for status, text in _ERRORS.items()
}


class Done(Struct):
    """What came of an order, or (`dry_run`) would. `lines` are for people; figures are of recipients that wait; `in_flight` are under way,
    of whatever they are; `until` Unix seconds, 0 for no end; `undo` is a command of `postwright`, "" for none."""

    lines: list[str]
    dry_run: bool = False
    recipients: int = 0
    messages: int = 0
    queues: int = 0
    octets: int = 0
    in_flight: int = 0
    until: float = 0.0
    undo: str = ""


def wishes(**values: object) -> dict[str, str]:
    """Arguments of the control socket out of a request's values: what is empty is not there, and `_` becomes `-`."""
    found = {}
    for name, value in values.items():
        if value not in (None, "", False, 0):
            found[name.rstrip("_").replace("_", "-")] = "yes" if value is True else str(value)
    return found


async def ordered(request: AnyRequest, verb: str, arguments: dict[str, str]) -> Done:
    """Have it done in the name of whoever asks. Raises RelayAway, RelayError."""
    told = await site_of(request).relay.ask_with(verb, {**arguments, **mark_of(identity_of(request))})
    if not told.ok:
        raise RelayError(told.lines)
    done = Done(told.lines, dry_run=arguments.get("dry-run") == "yes")
    try:
        outcome = msgspec.json.decode(told.body, type=Outcome)
    except msgspec.MsgspecError:  # an order that counts nothing
        return done
    done.until, done.undo = outcome.until or 0.0, f"postwright {outcome.undo}" if outcome.undo else ""
    if (tally := outcome.tally) is not None:
        done.recipients, done.messages, done.queues = tally.recipients, tally.messages, tally.queues
        done.octets, done.in_flight = tally.octets, tally.in_flight
    return done
