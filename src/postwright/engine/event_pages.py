"""The event log by pages, for programs that come again and ask for what is new: a page, and a cursor that says where the next begins.

A cursor names a place in each shard's log. It is the reader's to keep: nothing here remembers who has read what, and events that the log
no longer has (`event-log-keep`) are passed over. Only reads; it blocks: not for an event loop. Raises ValueError for a cursor that is none,
and OSError for a folder that cannot be read.
"""

from __future__ import annotations

import re
from heapq import merge
from pathlib import Path

from msgspec import Struct

from postwright.engine.export_feed import place_since
from postwright.store.event_files import Place, log_folder, log_folders
from postwright.store.event_forms import EventForm
from postwright.store.event_reader import Event, EventReader

MOST_READS = 100  # chunks of each shard's log for one page: of rare events a page may be empty, and not be the last

_cursor = re.compile(r"\d{1,4}:\d{1,9}:\d{1,15}(,\d{1,4}:\d{1,9}:\d{1,15}){0,255}").fullmatch


class EventPage(Struct):
    """`events` are objects with the names of accounting columns, `eventId` and `time` first. `more`: ask again at once."""

    events: list[dict[str, str | float]]
    next: str
    more: bool


def places_of(cursor: str) -> dict[int, Place]:
    """`SHARD:SEGMENT:OFFSET`, with commas between them; {} for "". Raises ValueError."""
    if not cursor:
        return {}
    if _cursor(cursor) is None:
        raise ValueError("that is no cursor of an earlier answer")
    found = {}
    for part in cursor.split(","):
        shard, segment, offset = map(int, part.split(":"))
        found[shard] = Place(segment, offset)
    return found


def event_page(state_dir: Path, kinds: frozenset[str], cursor: str, since: float, most: int) -> EventPage:
    """At most `most` events of these types behind the cursor; without one, those since then (Unix seconds)."""
    places, form = places_of(cursor), EventForm(kinds)
    readers: dict[int, EventReader] = {}
    for number in log_folders(state_dir):
        folder = log_folder(state_dir, number)
        readers[number] = EventReader(folder, places.get(number) or place_since(folder, since), copies=False)
    ends = places | {number: reader.place for number, reader in readers.items()}
    try:
        found, more = _gathered(readers, ends, kinds, most)
    finally:
        for reader in readers.values():
            reader.close()
    next_ = ",".join(f"{number}:{place.segment}:{place.offset}" for number, place in sorted(ends.items()))
    return EventPage([form.values(event) for event in found], next_, more)


def _gathered(readers: dict[int, EventReader], ends: dict[int, Place], kinds: frozenset[str], most: int) -> tuple[list[Event], bool]:
    """Events in the order of their times, and whether there are more; `ends` become the places behind those that were passed."""
    found: list[Event] = []
    for _ in range(MOST_READS):
        chunks = {number: reader.read() for number, reader in readers.items()}
        if not any(chunks.values()):
            ends.update({number: reader.place for number, reader in readers.items()})
            return found, False
        streams = [[(event.record.time_logged, number, at, event) for at, event in enumerate(chunk)] for number, chunk in chunks.items()]
        for _, number, _, event in merge(*streams, key=lambda one: one[:3]):
            if event.record.type in kinds:
                if len(found) == most:
                    return found, True
                found.append(event)
            ends[number] = event.after
    return found, True
