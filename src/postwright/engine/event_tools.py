"""Reading event logs from outside of the relay: what `postwright events` is made of. Only reads; moves no cursor.

Raises ValueError for a time that is none, and OSError for a folder that cannot be read.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from postwright.engine.export_feed import place_since
from postwright.model.columns import DEFAULTS, LONG_NAMES
from postwright.store.event_files import Place, log_folder, log_folders
from postwright.store.event_forms import EventForm
from postwright.store.event_reader import Event, EventReader

POLL = 0.2
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def since_time(text: str, now: float) -> float:
    """`15m`, `2h30m` ago, `2026-11-25`, `2026-11-25T10:30`, or Unix seconds; in UTC. Raises ValueError."""
    if re.fullmatch(r"(\d+[smhd])+", text):
        return now - sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([smhd])", text))
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time: write 15m, 2h, 2026-11-25T10:30, or seconds since 1970") from None
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


def kinds_of(text: str) -> frozenset[str]:
    """Types of records, short or long, with commas between them; all for "". Raises ValueError."""
    found = frozenset(LONG_NAMES.get(word.strip().lower(), word.strip().lower()) for word in text.split(",") if word.strip())
    for kind in found - set(DEFAULTS):
        raise ValueError(f"{kind!r} is no type of record; there are {', '.join(DEFAULTS)}")
    return found or frozenset(DEFAULTS)


class EventView:
    """All logs below a state folder. `since` Unix seconds, None for what comes from now on."""

    def __init__(self, state_dir: Path, kinds: frozenset[str], since: float | None) -> None:
        self._state_dir = state_dir
        self._kinds = kinds
        self._since = since
        self._readers: dict[int, EventReader] = {}
        self._form = EventForm(kinds)
        self._look(first=True)

    def _look(self, *, first: bool = False) -> None:
        for number in log_folders(self._state_dir):
            if number not in self._readers:
                folder = log_folder(self._state_dir, number)
                begin = self._since if self._since is not None else float("inf") if first else 0.0
                place = place_since(folder, begin) if begin else Place(0, 0)
                self._readers[number] = EventReader(folder, place, copies=False)

    def some(self) -> list[Event]:
        """The next events, in the order of their times as far as they have been read."""
        self._look()
        events = [event for reader in self._readers.values() for event in reader.read()]
        return sorted([event for event in events if event.record.type in self._kinds], key=lambda event: event.record.time_logged)

    def follow(self, *, as_json: bool = False) -> Iterator[str]:
        """Lines for ever, as events come."""
        while True:
            events = self.some()
            yield from [self._line(event, as_json) for event in events]
            if not events:
                time.sleep(POLL)

    def rest(self, *, as_json: bool = False) -> Iterator[str]:
        """Lines up to the end of what is there now."""
        for events in self.batches():
            yield from [self._line(event, as_json) for event in events]

    def batches(self) -> Iterator[list[Event]]:
        """Events up to the end of what is there now, some at a time; a batch in which none was wanted is an empty one."""
        while True:
            places = self._places()
            yield self.some()
            if self._places() == places:
                return

    def close(self) -> None:
        """Done with the logs."""
        for reader in self._readers.values():
            reader.close()

    def _places(self) -> list[Place]:
        return [reader.place for reader in self._readers.values()]

    def _line(self, event: Event, as_json: bool) -> str:
        return self._form.json(event).decode() if as_json else self._form.line(event)
