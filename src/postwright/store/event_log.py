"""The durable event log of a shard: every accounting record once more, as it is, for consumers that read at their own pace.

A `RecordSink` beside the accounting files, behind the same journal: records come after they are durable in the spool, gather, and are
appended in one write; a checkpoint of the journal remembers how far the log was (`position`), and after a crash the later records come
again. Those that the log has already are passed over, so an event is in the log once; a power cut may leave it there twice, under the
same name. Nobody who reads is waited for, or known here but by a file that says where he is.

Segments are begun when one is full or old, and at each start; `store.event_keeping` deletes them. A disk that takes no events is
told by `tick`, and loses none: the journal keeps them, and when too much waits no more mail is taken. Raises nothing but what a
checkpoint's sync raises in its thread. While nobody wants events nothing is made, written or kept.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import xxhash
from msgspec import Struct

from postwright.model.record import Record
from postwright.store import event_frames as frames
from postwright.store.accounting_ledger import sync_file, sync_folder
from postwright.store.event_files import Place, highest_number, introduce, log_folders, make_key, segment_numbers, segment_path
from postwright.store.event_keeping import Keeping
from postwright.store.event_reader import EventReader, Report

GATHER = 128  # events that are worth a write
BACKLOG = 64 * 1024 * 1024  # octets, guessed by the number of events, that no disk takes
PIECE = 1024  # events that are written at once
TYPICAL = 512  # octets of an event
SEGMENT = 16 * 1024 * 1024
AGE = 3600.0
ORPHANS = 60.0

_digest = xxhash.xxh3_128_intdigest


class EventOptions(Struct, frozen=True):
    """`records`: types that are wanted, none for no log. `consumers` by name; `keep` seconds, `max_size` octets of each shard's log.

    `shards` is how many there are: logs of more, of an earlier run, have nobody but the first shard to keep them.
    """

    records: frozenset[str] = frozenset()
    consumers: tuple[str, ...] = ()
    keep: float = 86400.0
    max_size: int = 4 << 30
    shards: int = 0


class EventLog:
    """The log of one shard in `folder`. See `store.spool.RecordSink` for what the calls mean."""

    def __init__(self, folder: Path, shard: int, options: EventOptions, report: Report, now: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self.trouble = ""
        self._shard = shard
        self._report = report
        self._now = now
        self._keeping = Keeping(folder, report)
        self._orphans_due = 0.0
        self._waiting: list[Record] = []
        self._enough = GATHER
        self._fd = -1
        self._end = Place(highest_number(folder), 0)  # a number that was used again would be behind who was there before
        self._begun = 0.0
        self._key = 0
        self._unsynced: dict[int, int] = {}  # segment -> the octet from where on it is not known to be on disk
        self._newcomers: dict[str, Place] = {}  # consumers that may be new, and where they begin
        self._past: Counter[int] = Counter()  # events that a crash left behind the last checkpoint
        self.wants: frozenset[str] = frozenset()
        self._options = EventOptions()
        self.reconfigure(options)

    def reconfigure(self, options: EventOptions) -> None:
        """At a reload. New consumers begin at the end of the log as it is now."""
        self.flush()
        self._options = options
        self.wants = options.records
        self._newcomers = {name: self._newcomers.get(name, self._next) for name in options.consumers}
        self.flush()

    @property
    def _next(self) -> Place:
        """Where the next event will be, or before it."""
        return self._end if self._fd >= 0 else Place(self._end.segment + 1, 0)

    @property
    def choked(self) -> str:
        """See `RecordSink.choked`."""
        return "the event log cannot be written" if len(self._waiting) * TYPICAL > BACKLOG else ""

    # -- events -------------------------------------------------------------------------

    def write(self, records: Sequence[Record]) -> None:
        """See `RecordSink.write`."""
        wants, waiting = self.wants, self._waiting
        for record in records:
            if record.type in wants:
                waiting.append(record)
        if len(waiting) >= self._enough:
            self.flush()

    def flush(self) -> None:
        """Append what has gathered. When the disk refuses, it waits; so do consumers that are new."""
        if self._waiting or self._newcomers:
            with self._noting():
                self._append()
                self._introduce()  # last, and at the place that was noted: a log that nobody may read is better than none
            self._enough = len(self._waiting) + GATHER  # a disk that refuses is not asked again for every event

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
            self.trouble = ""
        except OSError as error:
            self.trouble = f"cannot write the event log {self.folder}: {error}"

    def _introduce(self) -> None:
        while self._newcomers:
            name, place = next(iter(self._newcomers.items()))
            introduce(self.folder, name, place)
            del self._newcomers[name]

    def _append(self) -> None:
        """In pieces, so that a full disk is not offered all of a long backlog again every second."""
        while self._waiting:
            some = self._waiting[:PIECE]
            payloads = [frames.pack(record) for record in some]
            past: Counter[int] = Counter()
            if self._past:
                payloads = self._new_ones(payloads, past)
            if payloads:
                self._make_ready()
                key = self._key
                self._put(b"".join([frames.frame(payload, key) for payload in payloads]))
            del self._waiting[: len(some)]
            for name in past:  # not before: what the disk refuses is looked at again
                self._past[name] -= past[name]

    def _new_ones(self, payloads: list[bytes], past: Counter[int]) -> list[bytes]:
        """Without those that are in the log since before the crash; they are counted in `past`."""
        found: list[bytes] = []
        for payload in payloads:
            name = _digest(payload)
            if self._past[name] > past[name]:
                past[name] += 1
            else:
                found.append(payload)
        return found

    def _put(self, data: bytes) -> None:
        """All of it or nothing."""
        segment, offset = self._end
        self._unsynced.setdefault(segment, offset)
        written = os.write(self._fd, data)
        if written < len(data):
            self._take_back(offset)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._end = Place(segment, offset + written)

    def _take_back(self, offset: int) -> None:
        """Half a write off the end again; a disk that refuses that gets no more into this segment, as nobody would know where."""
        try:
            os.ftruncate(self._fd, offset)
        except OSError:
            self._seal()

    # -- segments -----------------------------------------------------------------------

    def _make_ready(self) -> None:
        """A segment that is ours, open, and neither full nor old."""
        if self._fd >= 0 and (self._end.offset >= SEGMENT or self._now() - self._begun > AGE):
            self._seal()
        if self._fd < 0:
            self._begin()

    def _seal(self) -> None:
        fd, self._fd = self._fd, -1
        os.close(fd)

    def _begin(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = make_key(self.folder)
        number = self._end.segment + 1
        path = segment_path(self.folder, number)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        head = frames.segment_head(self._shard, number, key)
        try:
            if os.write(fd, head) < len(head):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        self._fd, self._key, self._begun = fd, key, self._now()
        self._end = Place(number, len(head))
        self._unsynced[number] = 0

    # -- crashes ------------------------------------------------------------------------

    def position(self) -> tuple[bytes, Callable[[], None]] | None:
        """See `RecordSink.position`."""
        self.flush()
        if self._waiting:
            return None
        unsynced, self._unsynced, end = self._unsynced, {}, self._end
        return msgspec.msgpack.encode(end), lambda: self._sync(unsynced, end)

    def _sync(self, unsynced: dict[int, int], end: Place) -> None:
        """In a thread. What a failed sync leaves is written again over itself, for the next one to find (see `store.accounting`)."""
        for number in sorted(unsynced):
            path = segment_path(self.folder, number)
            try:
                sync_file(path)
            except OSError:
                self._dirty_again(path, unsynced, end)
                raise
        if unsynced:
            try:
                sync_folder(self.folder)
            except OSError:
                self._unsynced_again(unsynced)  # a segment whose name is lost is as lost as its events
                raise

    def _dirty_again(self, path: Path, unsynced: dict[int, int], end: Place) -> None:
        """Up to `end` and no further: behind it the log is written meanwhile, and half a write is taken back."""
        self._unsynced_again(unsynced)
        number = int(path.stem)
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            begin, size = unsynced[number], end.offset if number == end.segment else os.fstat(fd).st_size
            while begin < size and (octets := os.pread(fd, min(1 << 20, size - begin), begin)):
                begin += os.pwrite(fd, octets, begin)
        finally:
            os.close(fd)

    def _unsynced_again(self, unsynced: dict[int, int]) -> None:
        for number, begin in unsynced.items():
            self._unsynced[number] = min(begin, self._unsynced.get(number, begin))

    def resume(self, position: bytes, folder: Path) -> None:
        """See `RecordSink.resume`: the events behind that place are remembered, so that they are not written again."""
        with self._noting():
            place = _place(position)
            reader = EventReader(self.folder, place, self._report)
            while events := reader.read(1 << 20):
                self._past.update(_digest(event.payload) for event in events)
            reader.close()
            for number in segment_numbers(self.folder):
                if number >= place.segment:
                    self._unsynced[number] = 0

    def resumed(self) -> None:
        """See `RecordSink.resumed`."""
        self.flush()
        self._past.clear()

    # -- time -----------------------------------------------------------------------------

    def tick(self) -> list[str]:
        """Every second: write, delete what is old. Returns what is in trouble."""
        self.flush()
        options = self._options
        if self._end.segment:
            self._keeping.look(self._now(), options.keep, options.max_size, options.consumers, self._end.segment)
        if not self._shard:
            self._look_after_orphans()
        return [self.trouble] if self.trouble else []

    def _look_after_orphans(self) -> None:
        """Nobody writes to these logs any more; consumers still read them."""
        options, now = self._options, self._now()
        if not options.shards or now < self._orphans_due:
            return
        self._orphans_due = now + ORPHANS
        for number, folder in log_folders(self.folder.parents[1]).items():
            if number >= options.shards:
                newest = max(segment_numbers(folder), default=0)
                Keeping(folder, self._report).look(now, options.keep, options.max_size, options.consumers, newest)

    def close(self) -> None:
        """At the end."""
        self.flush()
        if self._fd >= 0:
            with contextlib.suppress(OSError):  # no checkpoint says that it is safe
                os.fdatasync(self._fd)
            self._seal()


def _place(position: bytes) -> Place:
    try:
        return msgspec.msgpack.decode(position, type=Place) if position else Place(0, 0)
    except (msgspec.MsgspecError, ValueError):
        return Place(0, 0)  # of another version: all is looked at
