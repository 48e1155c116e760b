"""What the queues of a shard must not forget at a restart, on disk: modes, retry steps and waits, disabled source addresses.

A file of lines for each shard, `queues/shard-N` in the state folder, one JSON array a line: time, domain, virtual MTA, what is remembered
(`schedule.memo`; null: nothing any more). What has changed is written a second later, all of it in one go, and at a stop; so a kill loses
a second of it, and none of the mail. All files are read at a start, since a queue may have been another shard's: of two lines about a queue
the later counts, in one file by their order. Lines that are no such lines (a torn last one) are passed over. At a start, when it has grown
to several times what it says, and after a write that failed, a file is written anew.

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
    """Of one shard. `trouble` is told when the disk does not take what must be remembered, once for each time that this begins."""

    def __init__(self, folder: Path, number: int, trouble: Callable[[OSError], None]) -> None:
        self._folder = folder
        self._file = folder / f"shard-{number}"
        self._trouble = trouble
        self._known: dict[QueueKey, tuple[float, Memo]] = {}  # of queues that are not there yet, and of those that are, as last written
        self._gone: dict[QueueKey, float] = {}  # when a queue was last said to have nothing: another file may say otherwise
        self._dirty: dict[QueueKey, Queue] = {}
        self._lines = 0
        self._behind = False  # the file does not say what is known: a write has failed
        self._troubled = False

    def load(self, now: float, mine: Callable[[QueueKey], bool]) -> None:
        """Read what all shards have written, and keep what is said about queues that are `mine`.

        What is known of the others is written to our own file, too: whoever has them now may not have read it yet when their last shard
        writes its file anew without them.
        """
        latest: dict[QueueKey, tuple[float, Memo | None]] = {}
        for path in self._files():
            for key, (at, memo) in self._read(path, now).items():
                if key not in latest or at >= latest[key][0]:
                    latest[key] = (at, memo)
        # what a shard of earlier days has left says nothing any more, unless it speaks of times to come
        self._known = {
            key: (at, memo) for key, (at, memo) in latest.items() if memo is not None and (at >= now - DAY or lasts(memo, now))
        }
        self._rewrite()
        self._known = {key: known for key, known in self._known.items() if mine(key)}

    def _files(self) -> list[Path]:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return sorted(self._folder.glob("shard-*"))
        except OSError as error:
            self._tell(error)
            return []

    def _read(self, path: Path, now: float) -> dict[QueueKey, tuple[float, Memo | None]]:
        """What one file says last of each queue: in it the order counts, since a clock may have been set back."""
        found: dict[QueueKey, tuple[float, Memo | None]] = {}
        try:
            with path.open("rb") as file:
                for line in file:
                    try:
                        at, domain, vmta, memo = _decode(line[:MOST_LINE])
                    except (msgspec.MsgspecError, UnicodeDecodeError):
                        continue
                    found[QueueKey(domain, vmta)] = (min(at, now), memo)
        except OSError as error:
            self._tell(error)
        return found

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
                self._gone[key] = now
            else:
                self._known[key] = (now, memo)
                self._gone.pop(key, None)
            lines.append(_encode((now, key.domain, key.vmta, memo)) + b"\n")
        if lines:
            self._append(lines)

    def _append(self, lines: list[bytes]) -> None:
        self._lines += len(lines)
        if self._behind or self._lines > 3 * len(self._known) + SLACK:
            self._rewrite()
            return
        try:
            with self._file.open("ab") as file:
                file.write(b"".join(lines))
        except OSError as error:
            self._tell(error)

    def _rewrite(self) -> None:
        """Our own file anew, by what is known; of queues that have nothing any more, those of the last `SLACK` to say so."""
        for key in list(self._gone)[: max(0, len(self._gone) - SLACK // 2)]:
            del self._gone[key]
        draft = self._folder / f".{self._file.name}"
        try:
            with draft.open("wb") as file:
                for key, (at, memo) in self._known.items():
                    file.write(_encode((at, key.domain, key.vmta, memo)) + b"\n")
                for key, at in self._gone.items():
                    file.write(_encode((at, key.domain, key.vmta, None)) + b"\n")
            os.replace(draft, self._file)
        except OSError as error:
            self._tell(error)
            return
        self._lines = len(self._known) + len(self._gone)
        self._behind = self._troubled = False

    def _tell(self, error: OSError) -> None:
        self._behind = True
        if not self._troubled:
            self._troubled = True
            self._trouble(error)
