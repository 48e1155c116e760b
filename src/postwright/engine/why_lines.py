"""The answer of `why` for a person: what binds first, then how close the rest is. Pure; a peer's words are shown with controls escaped."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from postwright.engine.lock_lines import shown
from postwright.engine.why_facts import Limit, Why
from postwright.model.work import WaitReason

_IN_OCTETS = tuple(one.value for one in (WaitReason.DATA_VOLUME, WaitReason.VMTA_DATA_VOLUME, WaitReason.SOURCE_DATA_VOLUME))


def why_lines(why: Why, now: float) -> Iterator[str]:
    """`now` in Unix seconds."""
    yield f"{why.queue}: {why.text}"
    if why.origin:
        yield f"  said by        {why.origin}"
    if why.until is not None:
        yield f"  until          {_when(why.until, now).removeprefix('until ')}"
    yield f"  recipients     {why.recipients} ({why.ready} ready, {why.scheduled} wait for a time, {why.in_flight} in flight)"
    if why.held:
        yield f"  of paused jobs {why.held}"
        yield from (f"    {line}" for line in why.held_by)
    if why.attempts is not None and why.due is not None:
        due = _when(why.due, now) if why.due > now else "now"
        yield f"  the message    tried {why.attempts} times, due {due}"
    yield f"  connections    {why.connections}"
    if why.mode != "normal":
        end = _when(why.mode_until, now) if why.mode_until is not None else "until it is ended"
        yield f"  mode           {why.mode}, {end}, by {shown(why.mode_reason)}"
    if why.step:
        yield f"  retry step     {why.step}"
    for one in why.disabled:
        because = f", {shown(one.because)}" if one.because else ""
        yield f"  disabled       {one.address or 'an address of the system'}, {_when(one.until, now)}{because}"
    if why.last_error:
        yield f"  last error     {shown(why.last_error)}"
    estimate = f"about {_span(why.seconds)}" if why.seconds is not None else "nobody can tell"
    yield f"  drained in     {estimate} ({why.because})"
    for limit in [one for one in why.limits if one.reason != WaitReason.SOURCES_DISABLED.value]:  # told above
        yield f"  {'*' if limit.until is not None else ' '} {_limit(limit, now)}"


def _limit(limit: Limit, now: float) -> str:
    of = f" by {limit.source}" if limit.source else f" at {_host(limit.place)}" if limit.place else ""
    until = "" if limit.until is None else f", {_when(limit.until, now)}"
    figure = _octets if limit.reason in _IN_OCTETS else _count
    return f"{figure(limit.used)} of {figure(limit.limit)}{of}: {limit.origin}{until}"


def _count(value: float) -> str:
    return f"{value:g}"


def _octets(value: float) -> str:
    """As one writes it: 50M, 1.5G."""
    for size, unit in ((1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:g}"


def _host(place: str) -> str:
    """`mx HOST SOURCE` or `ip ADDRESS`, as `schedule.routes` counts them."""
    kind, _, where = place.partition(" ")
    host, _, source = where.partition(" ")
    return f"{shown(host)} from {source}" if kind == "mx" and source else shown(host)


def _when(at: float, now: float) -> str:
    if at < 0:
        return "until something ends it"
    return f"{datetime.fromtimestamp(at):%Y-%m-%d %H:%M:%S} (in {_span(max(0.0, at - now))})"


def _span(seconds: float) -> str:
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
