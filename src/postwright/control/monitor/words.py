"""Figures, times and sizes as a person reads them on a page. Pure; UTC throughout, since logs and accounting files are."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = ("B", "KB", "MB", "GB", "TB")


def count(value: float) -> str:
    """A whole number with thousands apart: `12,345`."""
    return f"{value:,.0f}"


def rate(value: float) -> str:
    """Per second, as exact as it is of use: `0`, `0.4`, `12.3`, `4,711`."""
    return f"{value:,.1f}" if 0 < value < 100 else f"{value:,.0f}"


def size(octets: float) -> str:
    """`512 B`, `1.5 KB`, `3.0 GB`; of 1024 each."""
    for unit in _UNITS:
        if octets < 1024 or unit == _UNITS[-1]:
            break
        octets /= 1024
    return f"{octets:.0f} {unit}" if unit == "B" else f"{octets:,.1f} {unit}"


def duration(seconds: float) -> str:
    """The two largest units: `45 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    whole = max(0, int(seconds))
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    first = next((n for n, (value, _) in enumerate(parts) if value), 3)
    return " ".join(f"{value} {unit}" for value, unit in parts[first : first + 2] if value) or "0 s"


def moment(time: float) -> str:
    """`2026-11-25 15:17:03` of a Unix time; a dash for none, and for one that no calendar has."""
    try:
        return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S") if time > 0 else "-"
    except (ValueError, OverflowError, OSError):
        return "-"


def until(time: float, now: float) -> str:
    """`in 5 min`, `now` when that is over, a dash for none."""
    if time <= 0:
        return "-"
    return f"in {duration(time - now)}" if time - now >= 1 else "now"


def ago(time: float, now: float) -> str:
    """`5 min ago`; a dash for none."""
    return f"{duration(now - time)} ago" if time > 0 else "-"


def spark(values: list[float | None], width: int = 100, height: int = 24) -> list[str]:
    """The `points` of polylines that draw `values` from left to right, a line for each stretch without a gap."""
    top = max((value for value in values if value is not None), default=0.0) or 1.0
    lines: list[list[str]] = [[]]
    for n, value in enumerate(values):
        if value is None:
            lines.append([])
            continue
        x = width * n / max(1, len(values) - 1)
        lines[-1].append(f"{x:.1f},{height - 1 - (height - 2) * max(0.0, value) / top:.1f}")
    return [" ".join(line) for line in lines if line]
