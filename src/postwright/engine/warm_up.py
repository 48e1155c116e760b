"""Warm-up: which recipients of a queue go by a cold virtual MTA today (cold-virtual-mta, max-cold-virtual-mta-msg).

The first so many recipients of each day (UTC) that come to a queue go by the cold ones, in turn; the others by its own. A queue lives in
one shard, with all virtual MTAs that its mail may come to (`policy.placement`), and that shard alone counts: so the number is exact. It
remembers whom it counted, not how many: mail that is handed over again after a crash is counted once, and goes where it went.

On disk: a file of lines for each shard, each line written before its recipient is queued; all files are read at a start and at a reload,
since a queue may have been another shard's. A disk that does not take a line is said once, and the count goes on in memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from postwright.model.work import Entry, QueueKey
from postwright.policy.placement import Cold

DAY = 86400.0
_INDEX_BITS = 20  # above any index of a recipient (`RECIPIENTS_MOST`)


class _Count(Struct):
    """Of one queue. `begun` and `day` are days since 1970; `used` which of the cold ones each recipient of `day` went by."""

    begun: int
    day: int
    used: dict[int, int]


class WarmUp:
    """Of one shard. `trouble` is told when the disk does not take what must be remembered."""

    def __init__(self, folder: Path, number: int, trouble: Callable[[OSError], None]) -> None:
        self._folder = folder
        self._file = folder / f"shard-{number}"
        self._trouble = trouble
        self._counts: dict[QueueKey, _Count] = {}
        self._troubled = False
        self._day = -1  # the last on which the file was written anew

    def share(self, key: QueueKey, cold: Cold, entry: Entry, now: float) -> Iterator[tuple[QueueKey, Entry]]:
        """The entry in parts, each with the queue that it goes to; one part, as a rule."""
        today = int(now // DAY)
        if today != self._day:
            self._day = today
            self.compact(now)
        count = self._today(key, today)
        limit = cold.days[min(count.day - count.begun, len(cold.days) - 1)]
        parts: dict[str, list[int]] = {}
        for index in entry.recipients:
            name = entry.message_id << _INDEX_BITS | index
            target = count.used.get(name)
            if target is None and not entry.attempts and (limit is None or len(count.used) < limit):
                target = len(count.used) % len(cold.targets)
                count.used[name] = target
                self._write(f"went\t{count.day}\t{key.domain}\t{key.vmta}\t{target}\t{name}")
            vmta = key.vmta if target is None else cold.targets[target % len(cold.targets)]
            parts.setdefault(vmta, []).append(index)
        if len(parts) == 1:
            yield QueueKey(key.domain, next(iter(parts))), entry
            return
        for vmta, indexes in parts.items():
            yield QueueKey(key.domain, vmta), replace(entry, recipients=tuple(indexes))

    def _today(self, key: QueueKey, today: int) -> _Count:
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = _Count(today, today, {})
            self._write(f"begun\t{today}\t{key.domain}\t{key.vmta}")
        elif count.day < today:
            count.day, count.used = today, {}
        return count

    def counts(self, now: float) -> list[tuple[QueueKey, int, int]]:
        """Queues with their day (1 the first) and how many recipients have gone by a cold one today."""
        today = int(now // DAY)
        return [(key, today - one.begun + 1, len(one.used) if one.day == today else 0) for key, one in self._counts.items()]

    # -- disk -----------------------------------------------------------------------------

    def load(self, now: float) -> None:
        """Read what all shards have written. What is no line of ours is passed over."""
        today = int(now // DAY)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in sorted(self._folder.iterdir()):
                for line in path.read_text("utf-8", "replace").splitlines():
                    self._read(line.split("\t"), today)
        except OSError as error:
            self._trouble(error)

    def _read(self, words: list[str], today: int) -> None:
        try:
            kind, day, key = words[0], int(words[1]), QueueKey(words[2], words[3])
            sent = (int(words[4]), int(words[5])) if kind == "went" else None
        except (IndexError, ValueError):
            return
        count = self._counts.setdefault(key, _Count(day, today, {}))
        if kind == "begun":
            count.begun = min(count.begun, day)
        elif sent is not None and day == today:
            if count.day < today:
                count.day, count.used = today, {}
            count.used.setdefault(sent[1], sent[0])

    def compact(self, now: float) -> None:
        """Write our own file anew without what is of earlier days. Other shards' lines are then in ours, too, which changes nothing."""
        today = int(now // DAY)
        lines: list[str] = []
        for key, count in self._counts.items():
            lines.append(f"begun\t{count.begun}\t{key.domain}\t{key.vmta}\n")
            if count.day == today:
                lines += [f"went\t{today}\t{key.domain}\t{key.vmta}\t{target}\t{name}\n" for name, target in count.used.items()]
        draft = self._folder / f".{self._file.name}"
        try:
            draft.write_text("".join(lines), "utf-8")
            os.replace(draft, self._file)
        except OSError as error:
            self._trouble(error)

    def _write(self, line: str) -> None:
        try:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
        except OSError as error:
            if not self._troubled:
                self._troubled = True
                self._trouble(error)
