"""How often which sender rule was broken (`engine.sender_rules`): counted in place, a line for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from msgspec import Struct

from postwright.content.sender_rules import Finding

_TOLD = 6


class RuleCounts(Struct):
    """Of a shard since its start: messages `judged`, of which some had findings and were taken (`noted`), were mended (`fixed`), or were
    `refused`; `rules` broken, by name."""

    judged: int = 0
    noted: int = 0
    fixed: int = 0
    refused: int = 0
    rules: dict[str, int] = {}

    def count(self, found: Iterable[Finding], mended: Mapping[bytes, Finding], *, refused: bool) -> None:
        """One message was judged."""
        names = {one.rule for one in (*found, *mended.values())}
        self.judged += 1
        self.fixed += bool(mended)
        self.refused += refused
        self.noted += bool(names) and not refused
        for name in names:
            self.rules[name] = self.rules.get(name, 0) + 1


def rule_lines(shards: Iterable[RuleCounts | None]) -> list[str]:
    """All shards together; nothing where nobody asks for the rules."""
    counts = [one for one in shards if one is not None and one.judged]
    if not counts:
        return []
    rules: Counter[str] = Counter()
    for one in counts:
        rules.update(one.rules)
    told = "".join(f"; {name}: {count}" for name, count in rules.most_common(_TOLD))
    judged, noted, fixed, refused = (sum(getattr(one, name) for one in counts) for name in ("judged", "noted", "fixed", "refused"))
    return [f"  sender rules: {judged} messages judged, {noted} noted, {fixed} of them mended, {refused} refused{told}"]
