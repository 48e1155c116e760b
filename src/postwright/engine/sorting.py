"""Which rules sort the bounces of a generation, and the shadow that watches them: a pack that is tried beside, and changes nothing.

The configuration's `<bounce-category-patterns>` count, or else the pack that we ship. `bounce-category-shadow` names the file of a pack:
every bounce is sorted by it as well, and where the two differ it is counted and told in the log. Only bounces cost anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from weakref import WeakKeyDictionary

import structlog

from postwright.engine.shadow_status import ShadowStatus
from postwright.model.outcome import Disposition, Kind
from postwright.policy import bounce_pack
from postwright.policy.bounce import AnySorter, PatternSorter, Sorter
from postwright.policy.resolve import Resolved
from postwright.policy.settings import Settings

_BOUNCED = (Kind.PERMANENT, Kind.EXPIRED)
_MOST_OCTETS = 1 << 20
_TOLD_OF_EACH = 3  # differences of one kind that are written to the log with their words; all are counted
_MOST_KINDS = 1000
_SHOWN = 300  # characters of a diagnostic in the log


_sorters: WeakKeyDictionary[Resolved, AnySorter] = WeakKeyDictionary()


def sorter_of(resolved: Resolved) -> AnySorter:
    """The rules of these settings, compiled once for a generation."""
    found = _sorters.get(resolved)
    if found is None:
        patterns = resolved.settings.bounce_categories
        found = _sorters[resolved] = bounce_pack.shipped() if patterns is None else PatternSorter(patterns)
    return found


def shadow_pack(settings: Settings) -> Sorter | None:
    """The pack of `bounce-category-shadow`, or None. Raises ValueError or OSError, naming the file."""
    path = settings.general.bounce_category_shadow
    return read_pack(path) if path else None


def read_pack(path: str) -> Sorter:
    """A pack from its file. Raises ValueError (what is wrong, and where) or OSError."""
    with Path(path).open("rb") as file:
        octets = file.read(_MOST_OCTETS + 1)
    if len(octets) > _MOST_OCTETS:
        raise ValueError(f"{path}: more than a megabyte is no pack of bounce rules")
    try:
        return bounce_pack.parse(octets.decode("utf-8"))
    except ValueError as error:  # UnicodeDecodeError is one
        raise ValueError(f"{path}: {error}") from None


class Shadow:
    """One generation's shadow of one shard."""

    __slots__ = ("_log", "_pack", "_sorter", "status")

    def __init__(self, pack: Sorter, sorter: AnySorter, log: structlog.stdlib.BoundLogger) -> None:
        self._pack = pack
        self._sorter = sorter
        self._log = log
        self.status = ShadowStatus(pack.name)

    def compare(self, dispositions: Iterable[Disposition], host: str) -> None:
        """What both make of those that bounced. `host` as dsnMta has it."""
        for fate in dispositions:
            if fate.kind in _BOUNCED:
                self._compare(fate, host)

    def _compare(self, fate: Disposition, host: str) -> None:
        now = self._sorter.sort(fate.status, fate.diagnostic, host)
        then = self._pack.sort(fate.status, fate.diagnostic, host)
        self.status.compared += 1
        if now.category == then.category:
            return
        differs = self.status.differs
        kind = f"{now.category} -> {then.category}"
        if kind not in differs and len(differs) >= _MOST_KINDS:
            kind = "others"
        differs[kind] = differs.get(kind, 0) + 1
        if differs[kind] <= _TOLD_OF_EACH:
            said = fate.diagnostic[:_SHOWN].encode("unicode_escape").decode("ascii")
            told = {"category": now.category, "rule": now.rule, "shadow": then.category, "shadow_rule": then.rule}
            self._log.info("the shadow sorts a bounce otherwise", **told, said=said)


def shadow_of(resolved: Resolved, log: structlog.stdlib.BoundLogger) -> Shadow | None:
    """The shadow of a generation. A file that has gone bad since it was checked is told, and there is none."""
    try:
        pack = shadow_pack(resolved.settings)
    except (ValueError, OSError) as error:
        log.warning("bounce-category-shadow cannot be read", error=str(error))
        return None
    return Shadow(pack, sorter_of(resolved), log) if pack is not None else None
