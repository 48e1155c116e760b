"""Times as configurations have them, `4d12h`: for pages, errors and reports alike. Pure."""

from __future__ import annotations

import re

UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
"""No weeks: nobody counts the days of 3w1d."""


def duration(seconds: float) -> str:
    """`4d12h`; whole seconds."""
    left, parts = int(seconds), []
    for unit, length in UNITS:
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


_WEEK = ("w", 604800)
_PARTS = re.compile(r"([0-9]{1,9})([wdhms])")


def seconds_of(text: str) -> int:
    """PowerMTA's TIME: `1d12h`, `90s`, `2w`, a bare number in seconds. Raises ValueError."""
    wanted = text.strip().lower()
    if re.fullmatch(r"[0-9]{1,9}", wanted):
        return int(wanted)
    parts = _PARTS.findall(wanted)
    if not parts or "".join(number + unit for number, unit in parts) != wanted:
        raise ValueError(f"{text!r} is no time; such as 90s, 2h, 1d12h")
    lengths = dict((*UNITS, _WEEK))
    return sum(int(number) * lengths[unit] for number, unit in parts)
