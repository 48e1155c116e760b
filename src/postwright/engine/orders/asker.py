"""Who is at the other end of the control socket: the user as the kernel knows him (SO_PEERCRED), which nobody can make up.

A program that asks for somebody else (the HTTP process, for the owner of a key) names him in the argument `as`; whoever can open the
socket is trusted with that, and is named beside. Where the kernel does not tell, the answer is "?".
"""

from __future__ import annotations

import os
import pwd
import socket
import struct
from typing import Any, Final

_CREDENTIALS: Final = struct.Struct("iII")
_LONGEST: Final = 200


def peer_of(transport: Any) -> str:
    """`root`, or `uid 1234` for one without a name. `transport` is asyncio's, of a Unix stream socket."""
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None or not hasattr(socket, "SO_PEERCRED"):
        return "?"
    try:
        with socket.socket(fileno=os.dup(sock.fileno())) as own:  # uvloop's is none that can be asked
            _, uid, _ = _CREDENTIALS.unpack(own.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    except (OSError, struct.error):
        return "?"
    return _name(uid)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def with_asker(arguments: dict[str, str], peer: str) -> dict[str, str]:
    """The arguments, with `by` as it is and not as anybody says."""
    behalf = arguments.get("as", "")[:_LONGEST]
    return {**arguments, "by": f"{behalf} (by {peer})" if behalf else peer}
