"""What the queues of a shard must not forget at a restart, on disk: modes, retry steps and waits, disabled source addresses.

A file of lines for each shard, `queues/shard-N` in the state folder, one JSON array a line: time, domain, virtual MTA, what is remembered
(`schedule.memo`; null: nothing any more). What has changed is written a second later, all of it in one go, and at a stop; so a kill loses
a second of it, and none of the mail. All files are read at a start, since a queue may have been another shard's; of two lines about a queue
the later counts. Lines that are no such lines (a torn last one) are passed over. A file that has grown to several times what it says is
written anew.

A queue asks when it comes to be (`recall`), so that a hundred thousand remembered queues cost a start nothing but their reading. A disk
that takes nothing is said once, and the queues go on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from postwright.model.work import QueueKey
from postwright.schedule.memo import Memo, lasts, memo_of
from postwright.schedule.queue import Queue

DAY = 86400.0
GATHER = 1.0  # seconds from a change to the disk
SLACK = 2000  # lines beyond three times what is remembered
MOST_LINE = 65536

_Line = tuple[float, str, str, Memo | None]
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Line).decode


class QueueMemory:
    """Of one shard. `trouble` is told when the disk does not take what must be remembered."""

    def __init__(self, folder: Path, number: int, trouble: Callable[[OSError], None]) -> None:
        self._folder = folder
        self._file = folder / f"shard-{number}"
        self._trouble = trouble
        self._known: dict[QueueKey, tuple[float, Memo]] = {}  # of queues that are not there yet, and of those that are, as last written
        self._dirty: dict[QueueKey, Queue] = {}
        self._lines = 0
        self._troubled = False

    def load(self, now: float, mine: Callable[[QueueKey], bool]) -> None:
        """Read what all shards have written about queues that are `mine`."""
        latest: dict[QueueKey, float] = {}
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in sorted(self._folder.glob("shard-*")):
                with path.open("rb") as file:
                    for line in file:
                        self._read(line, latest, now)
        except OSError as error:
            self._tell(error)
        for key in [key for key in self._known if not mine(key)]:
            del self._known[key]
        self._lines = len(latest)

    def _read(self, line: bytes, latest: dict[QueueKey, float], now: float) -> None:
        try:
            at, domain, vmta, memo = _decode(line[:MOST_LINE])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return
        key = QueueKey(domain, vmta)
        if at < latest.get(key, float("-inf")):
            return
        latest[key] = at
        # what a shard of earlier days has left says nothing any more, unless it speaks of times to come
        if memo is None or (at < now - DAY and not lasts(memo, now)):
            self._known.pop(key, None)
        else:
            self._known[key] = (at, memo)

    def recall(self, key: QueueKey) -> Memo | None:
        """What is known of a queue that has come to be."""
        known = self._known.get(key)
        return known[1] if known is not None else None

    @property
    def waits(self) -> bool:
        """Something has changed and is not on disk."""
        return bool(self._dirty)

    def note(self, queue: Queue) -> None:
        """Something of it has changed that is to be remembered; call `flush` before long."""
        self._dirty[queue.key] = queue

    def flush(self, now: float) -> None:
        """Write what has changed."""
        dirty, self._dirty = self._dirty, {}
        lines: list[bytes] = []
        for key, queue in dirty.items():
            memo = memo_of(queue, now)
            before = self._known.get(key)
            if memo == (before[1] if before is not None else None):
                continue
            if memo is None:
                del self._known[key]
            else:
                self._known[key] = (now, memo)
            lines.append(_encode((now, key.domain, key.vmta, memo)) + b"\n")
        if lines:
            self._append(lines)

    def _append(self, lines: list[bytes]) -> None:
        self._lines += len(lines)
        if self._lines > 3 * len(self._known) + SLACK:
            self._rewrite()
            return
        try:
            with self._file.open("ab") as file:
                file.write(b"".join(lines))
        except OSError as error:
            self._tell(error)

    def _rewrite(self) -> None:
        """Our own file anew, by what is known."""
        draft = self._folder / f".{self._file.name}"
        try:
            with draft.open("wb") as file:
                for key, (at, memo) in self._known.items():
                    file.write(_encode((at, key.domain, key.vmta, memo)) + b"\n")
            os.replace(draft, self._file)
        except OSError as error:
            self._tell(error)
        self._lines = len(self._known)

    def _tell(self, error: OSError) -> None:
        if not self._troubled:
            self._troubled = True
            self._trouble(error)
