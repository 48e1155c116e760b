"""How long events are kept: `event-log-keep` behind those who have had them, and never more than `event-log-max-size`.

A segment goes when it is older than that and every consumer has it behind him. Consumers that are late keep it, up to the size: then the
oldest goes all the same, and that is told with the names of those who will miss it. The newest segment always stays. What cannot be
deleted now is tried again; nothing is raised.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from postwright.store.event_files import Place, cursor_path, read_cursor, segment_numbers, segment_path
from postwright.store.event_reader import Report

EVERY = 5.0


class _Segment(Struct):
    number: int
    size: int
    changed: float


class Keeping:
    """Of the log in one folder."""

    def __init__(self, folder: Path, report: Report) -> None:
        self._folder = folder
        self._report = report
        self._due = 0.0

    def look(self, now: float, keep: float, max_size: int, consumers: Sequence[str], newest: int) -> None:
        """Every few seconds at most: delete what need not be kept. `newest` is the segment being written, if one is."""
        if now < self._due:
            return
        self._due = now + EVERY
        segments = self._segments()
        total = sum(segment.size for segment in segments)
        if not segments or (total <= max_size and segments[0].changed >= now - keep):
            return
        needed = self._needed(consumers)
        for segment in segments:
            late = [name for name, place in needed.items() if place < (segment.number, segment.size)]
            old = segment.changed < now - keep and not late
            if segment.number >= newest or not (old or total > max_size):
                break
            self._delete(segment, late)
            total -= segment.size

    def _segments(self) -> list[_Segment]:
        found: list[_Segment] = []
        for number in segment_numbers(self._folder):
            try:
                stat = os.stat(segment_path(self._folder, number))
            except OSError:
                continue
            found.append(_Segment(number, stat.st_size, stat.st_mtime))
        return found

    def _needed(self, consumers: Sequence[str]) -> dict[str, Place]:
        """From where on each still wants it: all, if its cursor cannot be read; who never had one here wants nothing."""
        known = [name for name in consumers if cursor_path(self._folder, name).exists()]
        return {name: read_cursor(self._folder, name) or Place(0, 0) for name in known}

    def _delete(self, segment: _Segment, late: Sequence[str]) -> None:
        path = segment_path(self._folder, segment.number)
        try:
            os.unlink(path)
        except OSError as error:
            self._report("event segment not deleted", f"{path}: {error}")
            return
        if late:
            what = f"{path}, {segment.size} octets: the log had grown over event-log-max-size, and they had not been had by"
            self._report("events deleted unseen", f"{what} {', '.join(late)}")
