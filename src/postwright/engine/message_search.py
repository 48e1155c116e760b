"""Finding what happened to messages, in the event logs: the last that fit a text, and everything about one message.

For a person who looks at a page, or a program that asks for one message: reads only, from the newest window of time backwards, and stops
at a number of records and after some seconds, saying how far it came. What the log no longer has (`event-log-keep`) it cannot find, and
without an event log there is nothing to find: `Found.logs` tells. It blocks: not for an event loop. Raises OSError for a folder that
cannot be read.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from postwright.engine.event_tools import EventView
from postwright.model.columns import DEFAULTS
from postwright.model.message import IdMaker, parse_id
from postwright.model.record import Record
from postwright.store.event_files import log_folders

MOST = 200
SECONDS = 5.0
_FIRST_WINDOW = 300.0
_GROWTH = 4
_EARLY = 5.0  # seconds before its id's own time at which a message may be told of (clocks of two shards, and of us)
_LATE = 60.0  # records may be written so much later than they are of; a log is only about in the order of time


class Wish(Struct, frozen=True):
    """`text` is part of an address, job, envelope id, queue, reply or header that the log has, in any case, or a message's id; "" for all.

    `since` and `until` are Unix seconds; `kinds` types of records (d, b, ...), none for all.
    """

    text: str
    since: float
    until: float
    kinds: frozenset[str] = frozenset()


class Found(Struct):
    """`records` newest first. `back_to` is how far it was looked; `whole` says that this is all the way. `logs`: there is an event log."""

    records: list[Record]
    back_to: float
    whole: bool
    logs: bool


def search(state_dir: Path, wish: Wish, most: int = MOST, seconds: float = SECONDS) -> Found:
    """The newest `most` records that fit, found within about so many seconds."""
    if not log_folders(state_dir):
        return Found([], wish.until, True, False)
    fits = _fitting(wish.text)
    deadline = time.monotonic() + seconds
    found: list[Record] = []
    end, width = wish.until, _FIRST_WINDOW
    while end > wish.since:
        begin = max(wish.since, end - width)
        some, whole = _window(state_dir, wish.kinds, fits, begin, end, most - len(found), deadline)
        if not whole:  # it has the oldest of its window, and the newest are wanted
            return Found(found, end, False, True)
        found += some
        if len(found) >= most:
            return Found(found, found[-1].time_logged, begin <= wish.since, True)
        end, width = begin, width * _GROWTH
    return Found(found, wish.since, True, True)


def timeline(state_dir: Path, message_id: int, seconds: float = SECONDS) -> Found:
    """Everything that the log has about a message, oldest first; when that takes too long, its beginning."""
    now = time.time()
    born = (message_id >> 22) / 1000 + IdMaker.EPOCH_MS / 1000 - _EARLY
    if not log_folders(state_dir):
        return Found([], now, True, False)
    deadline = time.monotonic() + seconds
    some, whole = _window(state_dir, frozenset(), lambda record: record.message_id == message_id, born, now + _LATE, 100_000, deadline)
    return Found(some[::-1], born, whole, True)


def _window(
    state_dir: Path, kinds: frozenset[str], fits: Callable[[Record], bool], begin: float, end: float, most: int, deadline: float
) -> tuple[list[Record], bool]:
    """What fits from `begin` to before `end`, the newest `most`, newest first; and whether the time was enough for all of it."""
    kept: deque[Record] = deque(maxlen=most)
    whole = True
    with closing(EventView(state_dir, kinds or frozenset(DEFAULTS), begin)) as view:
        for events in view.batches():
            if time.monotonic() > deadline:
                whole = False
                break
            kept.extend(event.record for event in events if begin <= event.record.time_logged < end and fits(event.record))
            if events and min(event.record.time_logged for event in events) > end + _LATE:
                break
    return sorted(kept, key=lambda record: -record.time_logged), whole


def _fitting(text: str) -> Callable[[Record], bool]:
    wanted = text.strip().lower()
    if not wanted:
        return lambda record: True
    try:
        message = parse_id(wanted)
    except ValueError:
        return lambda record: _has(record, wanted)
    return lambda record: record.message_id == message or _has(record, wanted)


def _has(record: Record, wanted: str) -> bool:
    texts = (record.rcpt, record.orig, record.job_id, record.env_id, record.queue, record.dsn_diag, record.dsn_mta)
    return any(wanted in text.lower() for text in texts) or any(wanted in value.lower() for value in (record.headers or {}).values())
