"""What a lease is about, read from the spool of the shard that keeps it: our own, or another's segment files.

A recipient of a mail merge gets its own message and content here (`merged`); nobody above needs to know of merges. Raises KeyError for
what is gone, SpoolError for what cannot be read, as `Hub.read` says.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from postwright.engine.hub import ContentReader
from postwright.engine.merged import Originals
from postwright.model.message import Message
from postwright.model.work import Entry
from postwright.net.clock import Clock
from postwright.store.spool import Spool


class Reading:
    """Of one shard; `readers` gives those of the others."""

    def __init__(self, number: int, spool: Spool, clock: Clock, readers: Callable[[int], ContentReader]) -> None:
        self._number = number
        self._spool = spool
        self._make = readers
        self._readers: dict[int, ContentReader] = {}
        self._originals = Originals(clock)

    def read(self, entry: Entry) -> tuple[Message, bytes]:
        """Message and content as this entry's recipients have it."""
        originals = self._originals
        if originals.kept:
            return originals.read(entry.ref, entry.recipients[0], partial(self._stored, entry))
        found = self._stored(entry)
        if found[0].envelope.merge is None:
            return found
        return originals.read(entry.ref, entry.recipients[0], lambda: found)

    def read_message(self, entry: Entry) -> Message:
        """The message alone."""
        return self._originals.message(entry.ref, entry.recipients[0], partial(self._stored_message, entry))

    def drop(self, shard: int) -> None:
        """That shard is gone."""
        reader = self._readers.pop(shard, None)
        if reader is not None:
            reader.close()

    def _stored(self, entry: Entry) -> tuple[Message, bytes]:
        ref = entry.ref
        if ref.spool == self._number:
            return self._spool.read(entry.message_id, ref)
        return self._reader(ref.spool).read(ref)

    def _stored_message(self, entry: Entry) -> Message:
        ref = entry.ref
        if ref.spool == self._number:
            return self._spool.read_message(entry.message_id, ref)
        return self._reader(ref.spool).read_message(ref)

    def _reader(self, shard: int) -> ContentReader:
        reader = self._readers.get(shard)
        if reader is None:
            reader = self._readers[shard] = self._make(shard)
        return reader
