"""What a shadow of the bounce rules has seen (`engine.sorting`): values for the bus, a line for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct

_TOLD = 5


class ShadowStatus(Struct):
    """Since the settings came into force: bounces `compared`, and how many of each "category -> category" the pack would change."""

    pack: str
    compared: int = 0
    differs: dict[str, int] = {}


def shadow_lines(shadows: Iterable[ShadowStatus | None]) -> list[str]:
    """All shards together; nothing where no shadow is set up."""
    seen = [shadow for shadow in shadows if shadow is not None]
    if not seen:
        return []
    differs: Counter[str] = Counter()
    for shadow in seen:
        differs.update(shadow.differs)
    compared = sum(shadow.compared for shadow in seen)
    told = "".join(f"; {kind}: {count}" for kind, count in differs.most_common(_TOLD))
    return [f"  bounce rules {seen[0].pack} as a shadow: {differs.total()} of {compared} bounces would be sorted otherwise{told}"]
