"""How much memory is used of what there is, looked at once a second (`max-memory-usage-percent`); asking costs an attribute.

There are two answers, and the fuller one counts: the machine (/proc/meminfo; what the kernel could give back at once is not used), and
every control group that bounds us (version 2 or 1; without pages of files that nobody has looked at for a while). Where none of these can
be read there is no guard. Nothing here raises.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
OWN_GROUP = Path("/proc/self/cgroup")
GROUPS = Path("/sys/fs/cgroup")
_UNBOUNDED = 1 << 60  # version 1 says "none" with a number near 2**63


class MemoryGuard:
    """`exhausted` as of the last `look`. The paths are parameters for tests."""

    def __init__(self, meminfo: Path = MEMINFO, own_group: Path = OWN_GROUP, groups: Path = GROUPS) -> None:
        self.exhausted = False
        self._meminfo = meminfo
        self._bounds = list(_bounds(own_group, groups))

    def look(self, percent: int) -> None:
        """Is more used than `percent`? 100: never."""
        self.exhausted = percent < 100 and self.used() * 100 > percent

    def used(self) -> float:
        """The part that is used, 0.0 to 1.0, of the fuller one of machine and control groups; 0.0 where nothing is known."""
        return max([_machine(self._meminfo), *[bound.used() for bound in self._bounds]])


class _Bound:
    """A control group that has a limit. `current` and `stat` are files that are read at each look."""

    def __init__(self, limit: Path, current: Path, stat: Path, idle: str) -> None:
        self._limit = limit
        self._current = current
        self._stat = stat
        self._idle = idle

    def used(self) -> float:
        limit = _number(self._limit)
        if limit is None or not 0 < limit < _UNBOUNDED:
            return 0.0
        return max(0, (_number(self._current) or 0) - _field(self._stat, self._idle)) / limit


def _bounds(own_group: Path, groups: Path) -> list[_Bound]:
    """Every group that we are in, and those around it: the tightest may be any of them."""
    found: list[_Bound] = []
    for line in _text(own_group).splitlines():
        _, controllers, path = ([*line.split(":", 2), "", ""])[:3]
        if not controllers:
            folders = _upwards(groups, path)
            found += [_Bound(f / "memory.max", f / "memory.current", f / "memory.stat", "inactive_file") for f in folders]
        elif "memory" in controllers.split(","):
            folders = _upwards(groups / "memory", path)
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat")
            found += [_Bound(f / names[0], f / names[1], f / names[2], "total_inactive_file") for f in folders]
    return found


def _upwards(root: Path, path: str) -> list[Path]:
    """The folders of a group and of all around it which set a limit. In a container the path may lead out of what is mounted."""
    own = root / path.strip("/")
    folders = [own, *own.parents]
    inside = [folder for folder in folders if folder == root or root in folder.parents]
    return [folder for folder in inside if (folder / "memory.max").exists() or (folder / "memory.limit_in_bytes").exists()]


def _machine(meminfo: Path) -> float:
    total, available = _field(meminfo, "MemTotal:"), _field(meminfo, "MemAvailable:")
    return 1 - available / total if total and available else 0.0


def _field(path: Path, name: str) -> int:
    """The number behind a name at the beginning of a line; 0 if there is none."""
    for line in _text(path).splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == name and words[1].isdecimal():
            return int(words[1])
    return 0


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdecimal() else None


def _text(path: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text()
    return ""
