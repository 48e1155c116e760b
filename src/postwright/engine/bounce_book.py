"""What bounced lately, for who looks: counts by category and hour of the last day, and replies as examples of each.

In memory, of one shard, bounded: so many categories, so many examples of each, one a domain (the newest), so that a domain that refuses a
thousand does not hide the others. A peer's words are kept as they are, cut; who shows them escapes them. What accounting files say is not
touched: they are the truth, this is the view from the bridge.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from postwright.engine.settle import Context
from postwright.model.outcome import Disposition, Kind

HOURS: Final = 24
MOST_CATEGORIES: Final = 64
EXAMPLES: Final = 8
OTHERS: Final = "(others)"
_TEXT: Final = 300
_NO_BOUNCE: Final = frozenset((Kind.DELIVERED, Kind.RELAYED, Kind.TRANSIENT, Kind.UNTOUCHED))


class Example(Struct, frozen=True):
    """A bounce: its time (Unix), the queue, the receiving host and what it said."""

    time: float
    queue: str
    mta: str
    status: str
    text: str


class Category(Struct):
    """One category: `hours` are counts, oldest first, the last that of the hour that is; `examples` newest first."""

    name: str
    hours: list[int]
    examples: list[Example]

    @property
    def total(self) -> int:
        return sum(self.hours)


class _Kept:
    __slots__ = ("counts", "examples")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}  # by hour since 1970
        self.examples: dict[str, Example] = {}  # by domain, the newest last


class BounceBook:
    """Of one shard."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    def settled(self, context: Context, dispositions: Iterable[Disposition], mta: str, now: float) -> None:
        """Remember what failed for good in an attempt; `mta` as dsnMta has it."""
        for one in dispositions:
            if one.kind not in _NO_BOUNCE:
                category = context.category(one.status, one.diagnostic, mta)
                self.note(category, Example(now, context.queue, mta, one.status, one.diagnostic[:_TEXT]))

    def note(self, category: str, example: Example) -> None:
        """A bounce. Those of a domain push out each other's examples, not those of another."""
        kept = self._of(category)
        hour = int(example.time // 3600)
        if hour not in kept.counts:
            kept.counts = {one: count for one, count in kept.counts.items() if one > hour - HOURS}
        kept.counts[hour] = kept.counts.get(hour, 0) + 1
        domain = example.queue.partition("/")[0]
        kept.examples.pop(domain, None)
        kept.examples[domain] = example
        if len(kept.examples) > EXAMPLES:
            del kept.examples[next(iter(kept.examples))]

    def _of(self, name: str) -> _Kept:
        if name not in self._kept and len(self._kept) >= MOST_CATEGORIES:
            name = OTHERS
        return self._kept.setdefault(name, _Kept())

    def told(self, now: float) -> list[Category]:
        """The categories that had some in the last day, the most frequent first."""
        last = int(now // 3600)
        every = [
            Category(name, [kept.counts.get(hour, 0) for hour in range(last - HOURS + 1, last + 1)], list(kept.examples.values())[::-1])
            for name, kept in self._kept.items()
        ]
        return sorted((one for one in every if one.total), key=lambda one: (-one.total, one.name))


def merged(parts: Iterable[list[Category]]) -> list[Category]:
    """The books of all shards as one."""
    found: dict[str, Category] = {}
    for one in (category for part in parts for category in part):
        have = found.setdefault(one.name, Category(one.name, [0] * HOURS, []))
        have.hours = [a + b for a, b in zip(have.hours, one.hours, strict=True)]
        have.examples = sorted([*have.examples, *one.examples], key=lambda example: -example.time)[:EXAMPLES]
    return sorted(found.values(), key=lambda one: (-one.total, one.name))
