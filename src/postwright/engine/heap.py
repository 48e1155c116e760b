"""Giving memory back to the system: glibc keeps what was freed in the middle of its heap, and a start over a large spool frees much.

With 300,000 recipients handed over between two shards that was 49 octets for each, for good. Where the C library has no
`malloc_trim` (musl, macOS) nothing is done: those give memory back by themselves or not at all.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable


def _find() -> Callable[[int], int] | None:
    try:
        function = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
    function.argtypes, function.restype = (ctypes.c_size_t,), ctypes.c_int
    return function


_malloc_trim = _find()


def trim() -> bool:
    """Give free pages back; whether there were any. Milliseconds, more when there is much: for moments when no mail moves."""
    return _malloc_trim is not None and _malloc_trim(0) == 1
