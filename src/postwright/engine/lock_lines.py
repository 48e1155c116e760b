"""Locks as lines for a person: who, since when and until when, how many failures, and why. Names are strangers' words, and so escaped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from postwright.policy.locks import Lock as Lock  # given on to those who may not import more of policy

HEAD = ("WHO", "KIND", "SINCE", "UNTIL", "FAILURES", "WHY")


def shown(who: str) -> str:
    """A name with nothing in it that could do harm in a log or on a terminal."""
    return who if who.isascii() and who.isprintable() else who.encode("unicode_escape").decode("ascii")


def lock_lines(locks: Sequence[Lock]) -> list[str]:
    """A table, the newest lock last; one line when there are none."""
    if not locks:
        return ["Nobody is locked."]
    rows = [HEAD, *[_row(lock) for lock in locks]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return ["  ".join([cell.ljust(width) for cell, width in zip(row, widths, strict=True)]).rstrip() for row in rows]


def _row(lock: Lock) -> tuple[str, ...]:
    spared = f" (but for {len(lock.spared)} networks known)" if lock.spared else ""
    return shown(lock.who), lock.kind, _time(lock.since), _time(lock.until), str(lock.failures), lock.why + spared


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
