"""Times as configurations have them, `4d12h`: for pages, errors and reports alike. Pure."""

from __future__ import annotations

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
