"""Who had what done, when and why: a line of JSON for each order, appended to a file of the state folder and never changed.

The control socket writes one when an order has been carried out, was refused or failed; dry runs and questions change nothing and are not
in it. A file that is full (`LARGEST`) is moved aside, and of those that were, `KEPT` are kept. A disk that takes nothing is said in
the log, which has every order anyway; it does not keep anybody from pausing a queue. Nothing secret comes here: no order has a secret.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
import structlog
from msgspec import Struct

from postwright.engine import frames as f
from postwright.engine import state_folder
from postwright.engine.lock_lines import shown

FILE: Final = state_folder.AUDIT
LARGEST: Final = 4 * 1024 * 1024  # octets
KEPT: Final = 4
MOST: Final = 1000  # lines of one answer
_LONGEST_TEXT: Final = 500
_LONGEST_BODY: Final = 4000
_UNTOLD: Final = ("by", "as", "reason")

ORDERS: Final = frozenset(
    (
        "clear-dnscache",
        "disable-source",
        "enable-source",
        "events-replay",
        "order-delete",
        "order-pause",
        "order-priority",
        "order-reset",
        "order-resume",
        "order-schedule",
        "order-secrets",
        "reload",
        "rotate",
        "set-mode",
        "stop",
        "unlock",
    )
)
"""The verbs that change something. Whoever adds one that does adds it here."""


class Done(Struct, omit_defaults=True):
    """One order. `time` Unix seconds; `by` who asked, as the system knows him, and through what; `result` what programs are told of it."""

    time: float
    by: str
    verb: str
    arguments: dict[str, str] = {}
    reason: str = ""
    ok: bool = True
    said: str = ""
    result: msgspec.Raw = msgspec.Raw(b"null")


class Audit:
    """Of one relay."""

    def __init__(self, folder: Path, now: Callable[[], float], log: structlog.stdlib.BoundLogger) -> None:
        self._file = folder / FILE
        self._now = now
        self._log = log

    def write(self, verb: str, arguments: dict[str, str], told: f.Told) -> None:
        """An order was carried out, or refused."""
        if verb not in ORDERS or arguments.get("dry-run", "no") not in ("", "no", "false", "0"):
            return
        named = {name: text[:_LONGEST_TEXT] for name, text in arguments.items() if name not in _UNTOLD}
        reason, by = arguments.get("reason", "")[:_LONGEST_TEXT], arguments.get("by", "")
        result = msgspec.Raw(told.body) if 0 < len(told.body) <= _LONGEST_BODY else msgspec.Raw(b"null")
        said = " ".join(told.lines[:2])[:_LONGEST_TEXT]
        done = Done(self._now(), by, verb, named, reason, told.ok, said, result)
        self._log.info("order", by=by, verb=verb, arguments=named, reason=reason, ok=told.ok, said=said)
        try:
            self._append(msgspec.json.encode(done) + b"\n")
        except OSError as error:
            self._log.error("the audit file takes nothing", error=str(error))

    def _append(self, line: bytes) -> None:
        if self._size() + len(line) > LARGEST:
            self._move_aside()
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            cut = size and os.pread(descriptor, 1, size - 1) != b"\n"  # by a full disk: that one is none, but this one is
            os.write(descriptor, b"\n" + line if cut else line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _size(self) -> int:
        try:
            return self._file.stat().st_size
        except FileNotFoundError:
            return 0

    def _move_aside(self) -> None:
        for number in range(KEPT, 1, -1):
            older = self._older(number - 1)
            if older.exists():
                os.replace(older, self._older(number))
        os.replace(self._file, self._older(1))

    def _older(self, number: int) -> Path:
        return self._file.with_name(f"{FILE}.{number}")

    def read(self, most: int) -> list[Done]:
        """The last `most`, the newest last; a line that is none is passed over (a full disk has cut it). Raises OSError."""
        found: list[Done] = []
        for path in (self._file, *[self._older(number) for number in range(1, KEPT + 1)]):
            if len(found) < most and path.exists():
                found = [*_lines(path)][-(most - len(found)) :] + found
        return found


def _lines(path: Path) -> Iterator[Done]:
    for line in path.read_bytes().splitlines():
        try:
            yield msgspec.json.decode(line, type=Done)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue


def audit_lines(done: list[Done]) -> list[str]:
    """For a person; what anybody wrote is shown with controls escaped."""
    return [_line(one) for one in done] or ["Nothing was ordered yet."]


def _line(one: Done) -> str:
    when = datetime.fromtimestamp(one.time).strftime("%Y-%m-%d %H:%M:%S")
    arguments = " ".join(f"{shown(name)}={shown(text)}" for name, text in one.arguments.items())
    reason = f" [{shown(one.reason)}]" if one.reason else ""
    return f"{when} {shown(one.by) or '?'}: {one.verb} {arguments}{reason}: {'' if one.ok else 'REFUSED: '}{shown(one.said)}"
