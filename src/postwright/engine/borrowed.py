"""Leases under way of entries, those that other shards keep above all, and what becomes of them when such a shard dies in the middle.

That shard will hand over anew all that its disk says is alive, and so also what we are just sending; both would be sent. So
either the lease ends while the shard is away, and what is left of it is dropped here, since it comes again; or it is handed over
while the lease goes on, and that is dropped, since the lease still has it. Pure bookkeeping; never waits, never raises.
"""

from __future__ import annotations

from msgspec.structs import replace

from postwright.engine.frames import Handed
from postwright.model.work import Entry, Lease


class Borrowed:
    """`begin` and `end` of every lease of an entry of another shard; `orphan` when that shard dies; `adopt` what it hands over anew."""

    def __init__(self) -> None:
        self._leases: dict[int, Lease] = {}
        self._orphans: set[tuple[int, int]] = set()  # (message id, recipient): in flight, and their shard has died since

    def begin(self, lease: Lease) -> None:
        """The lease is under way."""
        self._leases[id(lease)] = lease

    def end(self, lease: Lease, again: list[Entry]) -> list[Entry]:
        """The lease is over. Returns what of `again` is still ours to try again."""
        self._leases.pop(id(lease), None)
        if not self._orphans:
            return again
        message_id = lease.entry.message_id
        gone = {index for index in lease.entry.recipients if (message_id, index) in self._orphans}
        self._orphans -= {(message_id, index) for index in gone}
        return [left for entry in again if (left := without(entry, gone)) is not None]

    def in_flight(self, shard: int) -> list[Entry]:
        """What of that shard's is leased."""
        return [lease.entry for lease in self._leases.values() if lease.entry.ref.spool == shard]

    def orphan(self, shard: int) -> None:
        """That shard has died: its recipients that are in flight will be handed over again."""
        for lease in self._leases.values():
            entry = lease.entry
            if entry.ref.spool == shard:
                self._orphans |= {(entry.message_id, index) for index in entry.recipients}

    def adopt(self, entries: list[Handed]) -> list[Handed]:
        """Handed-over entries without the recipients that are in flight here; those have a shard again."""
        if not self._orphans:
            return entries
        kept: list[Handed] = []
        for entry in entries:
            ours = {index for index in entry.recipients if (entry.message_id, index) in self._orphans}
            self._orphans -= {(entry.message_id, index) for index in ours}
            entry.recipients = tuple(index for index in entry.recipients if index not in ours)
            if entry.recipients:
                kept.append(entry)
        return kept


def without(entry: Entry, recipients: set[int]) -> Entry | None:
    """The entry without these recipients, None when none is left."""
    if not recipients:
        return entry
    left = tuple(index for index in entry.recipients if index not in recipients)
    return replace(entry, recipients=left) if left else None
