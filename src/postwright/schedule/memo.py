"""What must be remembered of a queue beyond a restart: its retry step and wait, backoff mode, disabled source addresses.

    memo_of    what there is to remember of a queue now, None for nothing
    restored_…  what of it still holds, for a queue that has come to be

Pure; time is an argument. Times by a clock that was years ahead hold nobody for years: a wait is at most as long as its settings would make
it, a mode that should have ended is over.
"""

from __future__ import annotations

from msgspec import Struct

from postwright.schedule.queue import Backoff, Queue
from postwright.schedule.rate import NEVER

FAR = 400 * 86400.0  # seconds: beyond that a time is a mistake of some clock


class Memo(Struct, omit_defaults=True, frozen=True):
    """Times in Unix seconds. `mode` is (since, until, reason) of backoff mode, `until` None for no end; `disabled` source addresses with
    their ends, None for none."""

    step: int = 0
    until: float = 0.0
    error: str = ""
    mode: tuple[float, float | None, str] | None = None
    disabled: dict[str, float | None] = {}


def memo_of(queue: Queue, now: float) -> Memo | None:
    """What a restart would lose of this queue."""
    disabled = {use.address: _finite(use.disabled_until) for use in queue.sources.disabled(now)} if queue.sources is not None else {}
    mode = queue.backoff
    waits = queue.retry_at if queue.retry_at > now else 0.0
    if not (queue.retry_step or waits or mode is not None or disabled):
        return None
    kept = None if mode is None else (mode.since, _finite(mode.until), mode.reason)
    return Memo(queue.retry_step, waits, queue.last_error, kept, disabled)


def lasts(memo: Memo, now: float) -> bool:
    """Does it speak of times to come?"""
    return memo.until > now or restored_mode(memo, now) is not None or bool(restored_sources(memo, now))


def restored_mode(memo: Memo, now: float) -> Backoff | None:
    """Backoff mode as it goes on, None when it is over."""
    if memo.mode is None:
        return None
    since, until, reason = memo.mode
    if until is not None and (until <= now or until > now + FAR):
        return None
    return Backoff(min(since, now), NEVER if until is None else until, reason)


def restored_wait(memo: Memo, longest: float, now: float) -> float:
    """Until when the queue waits, 0 for not at all. `longest` seconds that its settings let it."""
    return min(memo.until, now + longest) if memo.until > now else 0.0


def restored_sources(memo: Memo, now: float) -> dict[str, float]:
    """Addresses that are still disabled, until when."""
    ends = {address: NEVER if until is None else until for address, until in memo.disabled.items()}
    return {address: until for address, until in ends.items() if until > now and (until == NEVER or until <= now + FAR)}


def _finite(until: float) -> float | None:
    return None if until == NEVER else until
