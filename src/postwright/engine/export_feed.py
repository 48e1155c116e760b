"""Feeds one consumer from the event logs of all shards: reads on, hands over in batches, remembers how far what was handed over is safe.

    feed     reads a batch of one shard's log, gives it to the outlet, and again
    outlet   (a program, a webhook, a broker) takes batches, says how many of them are safe, or fails

A cursor is moved, durably, when the outlet says so, and only over what it has; whatever fails is begun again at the cursor, after a pause
that grows. So every event arrives at least once, and nobody but this consumer waits: the log is on disk, and the relay does not know how
far he is. Raises nothing: what is wrong is in `status` and in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog
from msgspec import Struct

from postwright.engine.export_frames import ConsumerStatus
from postwright.store.event_files import Place, cursor_path, log_folders, read_cursor, segment_numbers, write_cursor
from postwright.store.event_reader import Event, EventReader

POLL = 0.2  # seconds between two looks at a log that had nothing new
FOLDERS = 1.0  # seconds between two looks for logs of shards that are new
PAUSE, LONGEST = 1.0, 60.0
LONGEST_ASKED = 3600.0  # seconds of a pause that a server may ask for
FAREWELL = 2.0  # seconds that a stop may take to hand over what is left, and to see it safe
REMEMBER = 1.0  # seconds between two cursors on disk


class OutletError(Exception):
    """It takes nothing now. `event` and `detail` for the log; `pause` seconds until the next attempt, None for one that grows."""

    def __init__(self, event: str, detail: str, pause: float | None = None) -> None:
        super().__init__(f"{event}: {detail}")
        self.event = event
        self.detail = detail
        self.pause = pause


def pause_asked(retry_after: str) -> float | None:
    """The pause that a Retry-After field asks for (RFC 9110 section 10.2.3), `LONGEST_ASKED` at most; None where it has no seconds."""
    return min(LONGEST_ASKED, float(retry_after)) if retry_after.isascii() and retry_after.isdigit() else None


class Outlet(Protocol):
    """Where events go. Whatever raises must be OutletError; the outlet is then closed, and opened again later."""

    async def open(self) -> None:
        """Be ready to take events."""

    async def put(self, events: list[Event]) -> None:
        """Take a batch of events that this consumer wants, in order. May take its time: that is how a consumer slows its feed down."""

    async def settled(self) -> int:
        """How many of the batches put so far, oldest first, have become safe since the last time that this was asked. Called often."""

    async def finish(self) -> None:
        """Nothing more comes for now: hand on what has only been gathered."""

    async def close(self) -> None:
        """Let go; never raises."""


class _Source(Struct):
    """One shard's log: `safe` is what the cursor says."""

    folder: Path
    reader: EventReader
    safe: Place
    dirty: bool = False


class _Sent(Struct):
    source: _Source
    after: Place
    events: int


class Feed:
    """`wants` says whether an event is for this consumer. `run` as a task; `stop` ends it; `rewind` and `wake` at any time."""

    def __init__(
        self,
        name: str,
        state_dir: Path,
        outlet: Outlet,
        wants: Callable[[Event], bool],
        log: structlog.stdlib.BoundLogger,
        *,
        poll: float = POLL,
    ) -> None:
        self.name = name
        self._state_dir = state_dir
        self._outlet = outlet
        self._wants = wants
        self._log = log.bind(consumer=name)
        self._poll = poll
        self._sources: dict[int, _Source] = {}
        self._sent: deque[_Sent] = deque()
        self._status = ConsumerStatus(name)
        self._failures = 0
        self._folders_due = self._remember_due = 0.0
        self._woken = asyncio.Event()
        self._stopping = False
        self._rewind: float | None = None
        self._look_for_logs()

    # -- from outside ---------------------------------------------------------------------

    def wake(self) -> None:
        """Try at once, whatever pause there is (a reload)."""
        self._woken.set()

    def stop(self) -> None:
        """End `run` soon."""
        self._stopping = True
        self._woken.set()

    def rewind(self, since: float) -> None:
        """Everything since then (Unix seconds) once more."""
        self._rewind = since
        self._woken.set()

    def status(self) -> ConsumerStatus:
        """How far it is now."""
        status = self._status
        readers = [EventReader(source.folder, source.safe, copies=False) for source in self._sources.values()]
        try:
            status.behind = sum(reader.behind() for reader in readers)
            oldest = [events[0].record.time_logged for reader in readers if status.behind and (events := reader.read(1))]
            status.lag = max(0.0, time.time() - min(oldest)) if oldest else 0.0
        except OSError as error:
            status.trouble = str(error)
        finally:
            for reader in readers:
                reader.close()
        return status

    # -- the loop -------------------------------------------------------------------------

    async def run(self) -> None:
        """Until `stop`."""
        for source in self._sources.values():
            # who fed this consumer before has moved its cursor since this feed was made
            source.safe = source.reader.place = read_cursor(source.folder, self.name) or source.safe
        while not self._stopping:
            try:
                await self._outlet.open()
                await self._feed()
            except OutletError as error:
                await self._failed(error)
            except OSError as error:  # the log or a cursor cannot be read or written
                await self._failed(OutletError("events cannot be read", str(error)))
            except Exception as error:  # a defect of ours, or of a library: told as one, and tried again like all else
                self._log.error("unexpected", what="a consumer of events could not be fed", exc_info=error)
                await self._failed(OutletError("unexpected", repr(error)))
            finally:
                self._remember()
                await self._outlet.close()
        for source in self._sources.values():
            source.reader.close()

    async def _feed(self) -> None:
        while not self._stopping:
            self._look_for_logs()
            if self._rewind is not None:
                self._go_back(self._rewind)
                return
            if not await self._round():
                await self._rest(self._poll)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._say_farewell(), FAREWELL)

    async def _round(self) -> bool:
        """Some of each log; whether there was anything."""
        moved = False
        for source in self._sources.values():
            moved = await self._some(source) or moved
        await self._settle()
        return moved

    async def _say_farewell(self) -> None:
        """What shards have written to their end, as far as there is time."""
        while await self._round():
            continue
        await self._outlet.finish()
        await self._settle()
        while self._sent:
            await asyncio.sleep(self._poll / 4)
            await self._settle()

    async def _some(self, source: _Source) -> bool:
        """One batch of one log; whether there was anything."""
        events = source.reader.read()
        if not events:
            return False
        mine = [event for event in events if self._wants(event)]
        if mine:
            await self._outlet.put(mine)
        if mine or self._sent:
            self._sent.append(_Sent(source, source.reader.place, len(mine)))
        else:
            source.safe, source.dirty = source.reader.place, True  # nothing that anybody could lose
        return True

    async def _settle(self) -> None:
        for _ in range(await self._outlet.settled()):
            self._take(self._sent.popleft())
            while self._sent and not self._sent[0].events:
                self._take(self._sent.popleft())
        if self._failures and not self._sent:
            self._failures, self._status.trouble = 0, ""
        now = time.monotonic()
        if now >= self._remember_due:
            self._remember_due = now + REMEMBER
            self._remember()

    def _take(self, sent: _Sent) -> None:
        sent.source.safe, sent.source.dirty = sent.after, True
        self._status.delivered += sent.events

    def _remember(self) -> None:
        for source in self._sources.values():
            if source.dirty:
                try:
                    write_cursor(source.folder, self.name, source.safe)
                except OSError as error:
                    self._status.trouble = str(error)
                    return
                source.dirty = False

    async def _rest(self, seconds: float) -> None:
        if self._stopping:  # a failure at the farewell: who comes after this feed waits for its end
            return
        try:
            await asyncio.wait_for(self._woken.wait(), seconds)
        except TimeoutError:
            return
        self._woken.clear()

    async def _failed(self, error: OutletError) -> None:
        self._failures += 1
        self._status.trouble = f"{error.event}: {error.detail}"
        self._log.error(error.event, detail=error.detail)
        self._back_to_cursors()
        await self._outlet.close()
        await self._rest(error.pause if error.pause is not None else min(LONGEST, PAUSE * 2 ** min(self._failures - 1, 10)))

    # -- places ---------------------------------------------------------------------------

    def _look_for_logs(self) -> None:
        now = time.monotonic()
        if now < self._folders_due:
            return
        self._folders_due = now + FOLDERS
        for number, folder in log_folders(self._state_dir).items():
            # its shard makes the cursor, at the end of the log: before that nothing is ours
            if number not in self._sources and cursor_path(folder, self.name).exists():
                # a cursor that cannot be read means all that there is, since twice is better than never
                place = read_cursor(folder, self.name) or Place(0, 0)
                self._sources[number] = _Source(folder, EventReader(folder, place, self._report), place)

    def _report(self, event: str, detail: str) -> None:
        self._log.error(event, detail=detail)

    def _back_to_cursors(self) -> None:
        self._sent.clear()
        for source in self._sources.values():
            source.reader.place = source.safe

    def _go_back(self, since: float) -> None:
        """To the first event logged since then, in every log, never forward. Records are written as they are made: times hardly go back."""
        self._rewind = None
        self._sent.clear()
        for source in self._sources.values():
            source.safe = min(source.safe, place_since(source.folder, since))
            source.reader.place, source.dirty = source.safe, True
        self._remember()
        self._log.info("events are sent again", since=since)


def place_since(folder: Path, since: float) -> Place:
    """Where the first event is that was logged at that time or later; the end of the log if there is none. Raises OSError."""
    reader = EventReader(folder, Place(0, 0), copies=False)
    for following in segment_numbers(folder)[1:]:
        if _first_time(folder, following) >= since:
            break
        reader.place = Place(following, 0)
    try:
        while True:
            before = reader.place
            events = reader.read()
            if not events:
                return before
            for event in events:
                if event.record.time_logged >= since:
                    return before
                before = event.after
    finally:
        reader.close()


def _first_time(folder: Path, number: int) -> float:
    reader = EventReader(folder, Place(number, 0), copies=False)
    try:
        events = reader.read(1)
        return events[0].record.time_logged if events else float("inf")
    finally:
        reader.close()
