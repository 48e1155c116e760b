"""What objects weigh: each one that can be reached from another, once; and what a process has of the machine's memory."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from types import FunctionType, MethodType, ModuleType

_SHARED = (type, FunctionType, MethodType, ModuleType)
"""The program, and what hangs on functions (the settings): not the scheduler's own."""


def octets_of(root: object) -> int:
    """Octets of all objects that `root` holds, directly or not. Small numbers and interned texts, which others have too, count once."""
    seen: set[int] = {id(root)}
    todo: list[object] = [root]
    octets = 0
    while todo:
        one = todo.pop()
        octets += sys.getsizeof(one)
        for other in gc.get_referents(one):
            if id(other) not in seen and not isinstance(other, _SHARED):
                seen.add(id(other))
                todo.append(other)
    return octets


def resident() -> int:
    """Octets of this process in memory (proc(5), VmRSS)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024
