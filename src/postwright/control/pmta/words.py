"""Figures and times as PowerMTA writes them. Pure; times are those of this machine's zone, as an administrator reads them."""

from __future__ import annotations

from datetime import datetime


def when(seconds: float) -> str:
    """`2026-11-25 15:20:01`; "" for no time."""
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}" if seconds > 0 else ""


def uptime(seconds: float) -> str:
    """Days and `HH:MM:SS`."""
    whole = max(0, int(seconds))
    return f"{whole // 86400} {whole // 3600 % 24:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def kilobytes(octets: int) -> float:
    """With one decimal."""
    return round(octets / 1024, 1)


def share(part: int, whole: int) -> float:
    """Percent, with one decimal; 0 of nothing."""
    return round(100.0 * part / whole, 1) if whole else 0.0


def cut(text: str, width: int) -> str:
    """At most so many columns: what is longer ends in three dots."""
    return text if len(text) <= width else f"{text[: width - 3]}..." if width > 6 else text[: max(0, width)]
