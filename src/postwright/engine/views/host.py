"""What this machine is, as far as a status tells of it (powermta.md section 4, `mta`). Read once; what cannot be found out is empty."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from functools import cache

from msgspec import Struct


class HostFacts(Struct, frozen=True):
    """Operating system, processors and memory (octets; 0 where that is not known)."""

    system: str
    release: str
    build: str
    processor: str
    processors: int
    memory: int


@cache
def host_facts() -> HostFacts:
    """Of this machine."""
    about = platform.uname()
    return HostFacts(about.system, about.release, about.version, about.machine, os.cpu_count() or 1, _memory())


def _memory() -> int:
    with suppress(ValueError, OSError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 0
