"""How many files a process of the relay may have open: one descriptor a connection, so the usual 1,024 of a shell are few.

The kernel has two limits: the one that holds, and one up to which every process may raise it for itself. A relay takes what it may have;
its shards inherit that. Nothing is raised (in Python's sense) where a system refuses: then there is what there was. """

from __future__ import annotations

import contextlib
import re
import resource
import socket
import struct
from pathlib import Path

from postwright.engine.bus import connect_unix

MOST = 1 << 20  # no relay needs more, and some systems say "unlimited" and mean it not


def raise_limit() -> int:
    """Take as many as this process may have; how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(MOST, hard) if hard != resource.RLIM_INFINITY else MOST
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def may_have() -> int:
    """What a relay that is started like this process would take."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return MOST if hard == resource.RLIM_INFINITY else min(MOST, hard)


def of_relay(control: Path) -> int | None:
    """The limit of the relay whose control socket that is; None where none runs, or where the system does not tell (no /proc)."""
    try:
        with connect_unix(control, 1.0) as sock:
            pid, _, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
        limits = Path(f"/proc/{pid}/limits").read_text("ascii")
    except (OSError, AttributeError):
        return None
    found = re.search(r"^Max open files\s+(\d+)", limits, re.MULTILINE)
    return int(found[1]) if found else None
