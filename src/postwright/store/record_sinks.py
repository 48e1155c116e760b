"""Accounting files and event log as the one sink of a spool's records: written together, remembered together, each with its own place.

A checkpoint of a version without an event log has the files' position alone, which is told by its first octet (a map, not an array).
Without consumers the log is passed by. Fails as its two parts do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from postwright.model.record import Record
from postwright.store.accounting import AcctFiles
from postwright.store.event_log import EventLog


class _Joint(Struct, array_like=True):
    files: bytes
    events: bytes


_decode = msgspec.msgpack.Decoder(_Joint).decode
_encode = msgspec.msgpack.Encoder().encode


class RecordSinks:
    """See `store.spool.RecordSink`."""

    def __init__(self, files: AcctFiles, events: EventLog) -> None:
        self._files = files
        self._events = events

    @property
    def wants(self) -> frozenset[str]:
        return self._files.wants | self._events.wants

    @property
    def choked(self) -> str:
        return self._files.choked or self._events.choked

    def write(self, records: Sequence[Record]) -> None:
        self._files.write(records)
        if self._events.wants:
            self._events.write(records)

    def position(self) -> tuple[bytes, Callable[[], None]] | None:
        files = self._files.position()
        if files is None:
            return None
        events = self._events.position()
        if events is None:
            return None

        def sync() -> None:
            events[1]()  # first: it notes what failed, the files ask their ledger what is to be synced
            files[1]()

        return _encode(_Joint(files[0], events[0])), sync

    def remembered(self, position: bytes) -> None:
        self._files.remembered(_parts(position).files)

    def resume(self, position: bytes, folder: Path) -> None:
        parts = _parts(position)
        self._files.resume(parts.files, folder)
        self._events.resume(parts.events, folder)

    def resumed(self) -> None:
        self._files.resumed()
        self._events.resumed()


def _parts(position: bytes) -> _Joint:
    try:
        return _decode(position)
    except (msgspec.MsgspecError, ValueError):
        return _Joint(position, b"")
