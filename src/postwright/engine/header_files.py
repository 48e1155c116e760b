"""Files of header fields that are put into all mail of a virtual MTA, or of the whole relay (`include-headers-from`).

Read when settings are put in force, not when mail goes: a file that cannot be used is told at the load, or at a reload, and the old
settings stay. Lines may end in LF alone; what is not a header field is refused, since it would break every message.
"""

from __future__ import annotations

from pathlib import Path

from postwright.content.delivery_fields import MOST, problem
from postwright.policy.resolve import Resolved
from postwright.policy.settings import Settings


class HeaderFiles:
    """All files that some settings name, by path. Raises OSError, ValueError (with the path) when made."""

    def __init__(self, settings: Settings) -> None:
        names = {settings.general.include_headers_from}
        names.update(vmta.include_headers_from for vmta in settings.vmtas.values())
        names.update(pool.include_headers_from for pool in settings.pools.values())
        self._fields = {name: read(name) for name in sorted(names) if name}

    def of(self, resolved: Resolved, vmta_name: str) -> bytes:
        """The fields for mail of this virtual MTA: the relay's, then its own, or those of the first of its pools that has some."""
        own = ""
        vmta = resolved.vmta(vmta_name)
        if vmta is not None:
            pools = [pool.include_headers_from for pool in map(resolved.pool, vmta.pools) if pool is not None]
            own = next((name for name in (vmta.include_headers_from, *pools) if name), "")
        everywhere = resolved.settings.general.include_headers_from
        return b"".join(self._fields[name] for name in dict.fromkeys((everywhere, own)) if name)


def read(name: str) -> bytes:
    """The fields in a file, each line with CRLF. Raises OSError, ValueError."""
    path = Path(name)
    with path.open("rb") as file:
        octets = file.read(MOST + 1)
    lines = octets.replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n")
    fields = b"".join(line + b"\r\n" for line in lines if octets.strip())
    wrong = problem(fields)
    if wrong:
        raise ValueError(f"include-headers-from {name}: {wrong}")
    return fields
