"""The field x-schedule: when a message may be sent (`process-x-schedule`; powermta.md section 6).

    x-schedule: 2030-01-31 08:00 / 2030-01-31 12:00, 2030-02-01 08:00 / 2030-02-01 12:00

A list of windows, start and end, in local time unless a zone stands behind (`+02:00`, `Z`). A window without end is open for ever. Seconds
may be left out, a `T` may stand for the blank. Pure; raises ValueError, whose text is fit for a peer, and nothing else.
"""

from __future__ import annotations

import re
from datetime import datetime, tzinfo

MOST = 100  # windows: each is kept with the message
LONGEST = 8192  # characters of the field
FOREVER = 253402300799.0  # the year 9999: a number that every format can hold

Window = tuple[float, float]

_time = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d)?(?:[Zz]|[+-]\d\d:\d\d)?", re.ASCII).fullmatch


def windows(text: str, zone: tzinfo | None = None) -> tuple[Window, ...]:
    """Unix seconds, ordered by start, those that touch put together. `zone` is what local time is, None the system's."""
    if len(text) > LONGEST:
        raise ValueError("x-schedule is too long")
    parts = [part for part in text.split(",") if part.strip()]
    if not parts:
        raise ValueError("x-schedule names no time")
    if len(parts) > MOST:
        raise ValueError(f"x-schedule has more than {MOST} windows")
    return _joined(sorted([_window(part, zone) for part in parts]))


def _window(part: str, zone: tzinfo | None) -> Window:
    start, slash, end = part.partition("/")
    begins = _moment(start, zone)
    ends = _moment(end, zone) if slash else FOREVER
    if ends <= begins:
        raise ValueError("x-schedule has a window that ends before it begins")
    return begins, ends


def _moment(text: str, zone: tzinfo | None) -> float:
    text = " ".join(text.split()).upper()
    if _time(text) is None:
        raise ValueError("x-schedule wants times such as 2030-01-31 08:00 / 2030-01-31 12:00")
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo is not None or zone is None else found.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError("x-schedule names a time that does not exist") from None


def _joined(found: list[Window]) -> tuple[Window, ...]:
    joined: list[Window] = []
    for start, end in found:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)


def opens(of: tuple[Window, ...], now: float) -> float | None:
    """When a message with these windows may go: `now`, a time to come, or None when the last of them is over. Without windows: now."""
    if not of:
        return now
    return next((max(start, now) for start, end in of if now < end), None)
