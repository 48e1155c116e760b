"""The date-time of a Date field (RFC 5322 section 3.3) as Unix seconds: a day that exists, with its right name, if it is named.

The obsolete zones with names are taken (section 4.3), years of two digits are not: they have been wrong for a quarter of a century.
Linear in a value that is bounded; any octets have an answer, None for what is no date-time. Pure; nothing is raised.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

LONGEST: Final = 256  # octets of a value that is read

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_HOURS: Final = {"ut": 0, "gmt": 0, "z": 0, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7}
_date_time = re.compile(
    r"""(?:(?P<name>[a-z]{3})[ ]?,[ ]?)?
    (?P<day>[0-9]{1,2})[ ](?P<month>[a-z]{3})[ ](?P<year>[0-9]{4})[ ]
    (?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}))?[ ]
    (?:(?P<sign>[+-])(?P<hours>[0-9]{2})(?P<minutes>[0-5][0-9])|(?P<zone>[a-z]{1,3}))""",
    re.VERBOSE,
).fullmatch
_comment = re.compile(r"\([^()]*\)")
_blanks = re.compile(r"\s+")


def seconds(value: bytes) -> float | None:
    """Unix seconds of what stands behind `Date:`, folded or not; None for what is no date-time."""
    if len(value) > LONGEST or not value.isascii():
        return None
    text = _blanks.sub(" ", _comment.sub(" ", value.decode("ascii"))).strip().lower()
    found = _date_time(text)
    if found is None or found["month"] not in _MONTHS:
        return None
    offset = _offset(found)
    if offset is None:
        return None
    try:
        when = datetime(
            int(found["year"]),
            _MONTHS.index(found["month"]) + 1,
            int(found["day"]),
            int(found["hour"]),
            int(found["minute"]),
            min(int(found["second"] or 0), 59) if found["second"] == "60" else int(found["second"] or 0),  # a leap second
            tzinfo=UTC,
        )
        if found["name"] and _DAYS[when.weekday()] != found["name"]:
            return None
        return (when - offset).timestamp()
    except (ValueError, OverflowError):  # the 31st of February; the first hours of the year 1
        return None


def _offset(found: re.Match[str]) -> timedelta | None:
    if found["zone"]:
        hours = _HOURS.get(found["zone"])
        return None if hours is None else timedelta(hours=hours)
    offset = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"]))
    return -offset if found["sign"] == "-" else offset
