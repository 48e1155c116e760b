"""Reading a shard's event log from a place on: by consumers while it grows, by commands, and by the log itself after a crash.

Never writes to the log. A frame that is not whole at the end of the newest segment is one that is being written, if nothing whole is
behind it: it is waited for. All else that fits no checksum is damage: it is copied to `damaged/` beside the segments, told of, and reading
goes on at the next frame that fits.
Places whose segment is gone (`event-log-max-size`) go on at the next that is there, which is told, too. Whatever the octets are,
only OSError is raised, for a folder that cannot be read.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from postwright.model.record import Record
from postwright.store import event_frames as frames
from postwright.store.event_files import Place, read_key, segment_numbers, segment_path

CHUNK = 1 << 18

Report = Callable[[str, str], None]


class Event(Struct, gc=False):
    """One event: its record, the octets that it was stored as, the place behind it, and the log's key."""

    record: Record
    payload: bytes
    after: Place
    key: int
    name: str = ""  # its id, once that was asked for

    @property
    def id(self) -> str:
        """See `event_frames.event_id`."""
        if not self.name:
            self.name = frames.event_id(self.record, self.payload, self.key)
        return self.name


class EventReader:
    """`place` is where the next `read` begins, and may be set. `copies` False leaves damaged octets where they are, uncopied."""

    def __init__(self, folder: Path, place: Place, report: Report = lambda event, detail: None, *, copies: bool = True) -> None:
        self.folder = folder
        self._place = place
        self._report = report
        self._copies = copies
        self._fd = -1
        self._open = 0  # number of the segment that `_fd` is
        self._key = 0
        self._newer = 0  # a segment behind the open one, 0 while none was seen

    @property
    def place(self) -> Place:
        return self._place

    @place.setter
    def place(self, place: Place) -> None:
        if place.segment != self._open:
            self.close()
        self._place = place

    def read(self, size: int = CHUNK) -> list[Event]:
        """The next events, some `size` octets of them; none when there are no more now. Raises OSError."""
        size = max(size, frames.HEAD)
        while True:
            if self._fd < 0 and not self._begin():
                return []
            # asked before the octets are: what is behind the end that we see then belongs to a segment that nobody appends to any more
            newer, before = self._newer or self._look_for_newer(), self._place
            found, ended = self._read_chunk(size, final=bool(newer))
            if found:
                return found
            if ended:
                self.place = Place(newer, 0)
            elif self._place == before:
                return []
            size = max(size, CHUNK)  # through damage in strides, however little was asked for

    def _look_for_newer(self) -> int:
        self._newer = next((number for number in segment_numbers(self.folder) if number > self._open), 0)
        return self._newer

    def _begin(self) -> bool:
        """Open the segment of our place, or the next that there is; False when there is none."""
        number = next((number for number in segment_numbers(self.folder) if number >= self._place.segment), 0)
        if not number:
            return False
        if number != self._place.segment:
            if self._place.offset or self._place.segment:
                self._report("events are gone", f"{self.folder}: from segment {self._place.segment} up to {number} nothing is there")
            self._place = Place(number, 0)
        path = segment_path(self.folder, number)
        try:
            self._fd, self._open, self._newer = os.open(path, os.O_RDONLY | os.O_CLOEXEC), number, 0
        except FileNotFoundError:
            return False  # deleted between two looks: the next look finds another
        head = frames.read_segment_head(os.pread(self._fd, frames.SEGMENT_HEAD, 0))
        self._key = head.key if head is not None else read_key(self.folder) or 0
        return True

    # -- octets -------------------------------------------------------------------------

    def _read_chunk(self, size: int, *, final: bool) -> tuple[list[Event], bool]:
        """Events from our place on, and whether the segment has no more. `final`: nobody appends to it any more."""
        if not self._place.offset:
            if os.fstat(self._fd).st_size < frames.SEGMENT_HEAD and not final:
                return [], False  # its head is being written
            self._place = Place(self._open, frames.SEGMENT_HEAD)
        offset = self._place.offset
        data = self._octets(offset, size)
        last = final and offset + len(data) >= os.fstat(self._fd).st_size
        events: list[Event] = []
        at = 0
        while at < len(data):
            step = self._frame_at(data, at)
            if step > 0:
                self._take(data, at, at + step, events)
                at += step
            elif step == 0 and not last and (at or not self._has_whole(data)):
                break
            else:
                behind = self._next_frame(data, at + 1, last)
                self._set_aside(data[at:behind], offset + at, "do not fit their checksum")
                at = behind
        self._place = Place(self._open, offset + at)
        return events, last

    def _octets(self, offset: int, size: int) -> bytes:
        data = os.pread(self._fd, size, offset)
        needed = frames.HEAD + frames.size_at(data, 0)
        return os.pread(self._fd, needed, offset) if needed > len(data) >= frames.HEAD else data

    def _frame_at(self, data: bytes, at: int) -> int:
        """How many octets the frame there has; 0 for one that is not whole yet, -1 for what is none."""
        if len(data) - at < frames.HEAD:
            return 0
        size = frames.size_at(data, at)
        if size < 0:
            return -1
        if at + frames.HEAD + size > len(data):
            return 0
        return frames.HEAD + size if frames.fits(data, at, size, self._key) else -1

    def _has_whole(self, data: bytes) -> bool:
        """Is a whole frame behind one that seems to be being written? Then its size is damaged: they are written one after the other."""
        return self._next_frame(data, 1, last=True) < len(data)

    def _next_frame(self, data: bytes, at: int, last: bool) -> int:
        """Where the next frame begins that fits, or may when more is read (never if these are the `last` octets); else behind all."""
        found = data.find(frames.MAGIC, at + frames.MAGIC_AT)
        while found >= 0:
            at = found - frames.MAGIC_AT
            step = self._frame_at(data, at)
            if step > 0 or (step == 0 and not last):
                return at
            found = data.find(frames.MAGIC, found + 1)
        return len(data) if last else max(at, len(data) - frames.HEAD)

    def _take(self, data: bytes, begin: int, end: int, events: list[Event]) -> None:
        payload = data[begin + frames.HEAD : end]
        record = frames.unpack(payload)
        offset = self._place.offset
        if record is None:
            self._set_aside(data[begin:end], offset + begin, "are an event of another version")
        else:
            events.append(Event(record, payload, Place(self._open, offset + end), self._key))

    # -- damage -------------------------------------------------------------------------

    def _set_aside(self, data: bytes, offset: int, why: str) -> None:
        detail = f"{segment_path(self.folder, self._open)}: {len(data)} octets at {offset} {why}"
        if self._copies and data:
            target = self.folder / "damaged" / f"{self._open:08}-{offset}.bin"
            try:
                target.parent.mkdir(exist_ok=True, mode=0o700)
                if not target.exists():
                    target.write_bytes(data)
                detail += f"; a copy is in {target}"
            except OSError as error:
                detail += f"; they cannot be copied: {error}"
        self._report("damaged events", detail)

    # -- how far ------------------------------------------------------------------------

    def behind(self) -> int:
        """Octets of the log that were not read yet."""
        total = 0
        for number in segment_numbers(self.folder):
            if number >= self._place.segment:
                try:
                    size = os.stat(segment_path(self.folder, number)).st_size
                except FileNotFoundError:
                    continue
                had = self._place.offset if number == self._place.segment else 0
                total += max(0, size - max(had, frames.SEGMENT_HEAD))
        return total

    def close(self) -> None:
        """Close the file; `read` opens it again."""
        fd, self._fd, self._open, self._newer = self._fd, -1, 0, 0
        if fd >= 0:
            os.close(fd)
