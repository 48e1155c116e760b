"""Names and values of accounting fields as the tools take them: PowerMTA's short names, times of any form, and what a row says by them.

Pure. A time that cannot be read is 0, "not known".
"""

from __future__ import annotations

import re
from calendar import timegm
from datetime import datetime
from functools import lru_cache

from postwright.model.columns import HEADER, canonical

# what pmtaacctfind calls them
_ALIASES = {
    "from": "orig",
    "to": "rcpt",
    "srcip": "dlvSourceIp",
    "dstip": "dlvDestinationIp",
    "timedelivered": "timeLogged",
    "timebounced": "timeLogged",
    "size": "dlvSize",
    "job": "jobId",
    "user": "rcvSmtpUser",
    "pool": "vmtaPool",
    "category": "bounceCat",
    "status": "dsnStatus",
    "domain": "domain",  # of the recipient: no column, but what most questions are about
}
_FORMS = (
    "%Y-%m-%d %H:%M:%S%z",
    "%Y-%m-%dT%H:%M:%S%z",
    "%m/%d/%Y %H:%M:%S%z",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
)
_iso = re.compile(r"(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)([+-])(\d\d):?(\d\d)").fullmatch
_unix = re.compile(r"\d{1,11}(?:\.\d*)?").fullmatch

TIMES = frozenset(("timelogged", "timequeued", "timefirstattempt", "timeimprinted"))


def field_named(text: str) -> str:
    """The column that somebody means, in lower case; `domain` is the recipient's. Raises ValueError for a name that means none."""
    lower = text.strip().lower()
    if lower.startswith("header:"):  # acctfind's way to write it
        lower = HEADER + lower[len("header:") :].strip()
    name = _ALIASES.get(lower) or canonical(lower) or (lower if lower in TIMES else "")
    if not name:
        raise ValueError(f"`{text}` is no field of accounting files")
    return name.lower()


@lru_cache(maxsize=65536)
def seconds(text: str) -> int:
    """A time as Unix seconds: `2019-02-08 21:54:05+0000`, seconds already, `02/08/2019 21:54:05+0000`; without an offset it is UTC."""
    iso = _iso(text)
    if iso is not None:
        year, month, day, hour, minute, second, sign, hours, minutes = iso.groups()
        try:
            at = timegm((int(year), int(month), int(day), int(hour), int(minute), int(second)))
        except ValueError:
            return 0
        offset = int(hours) * 3600 + int(minutes) * 60
        return max(0, at - offset if sign == "+" else at + offset)
    if _unix(text) is not None:
        return int(float(text))
    return _other(text)


def _other(text: str) -> int:
    for form in _FORMS:
        try:
            return max(0, timegm(datetime.strptime(text, form).utctimetuple()))
        except OverflowError:  # the first or the last year, and an offset that leads out of it
            return 0
        except ValueError:
            continue
    return 0


def whole_number(text: str) -> int:
    """A count as rows have it, 0 for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def domain_of(address: str) -> str:
    """The domain of an address in lower case, "" if it has none."""
    return address.rpartition("@")[2].lower() if "@" in address else ""
