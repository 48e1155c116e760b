"""What glibc's heap does to a process that runs for months: it keeps what was freed in its middle, and wraps holes into large blocks.

A start over a large spool frees much: with 300,000 recipients handed over between two shards that was 49 octets each, for good (`trim`).
And every TLS session of the event loop has a buffer of 256 KB, of which an idle one has touched four; out of the heap it begins in the
pages that the handshake before it has left dirty, and keeps them (`large_blocks_apart`: 48 KB for each idle session became 25).
Where the C library has no such functions (musl, macOS) nothing is done: those give memory back by themselves or not at all.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

# <malloc.h>
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
LARGE = 256 * 1024  # octets: the buffer of a TLS session
_TOP_KEPT = 64 * 1024 * 1024  # octets of free heap that are kept: with the one threshold set, glibc moves the other no more by itself


def _find(name: str, *arguments: type[ctypes._SimpleCData[int]]) -> Callable[..., int] | None:
    try:
        function = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return None
    function.argtypes, function.restype = arguments, ctypes.c_int
    return function  # type: ignore[no-any-return]


_malloc_trim = _find("malloc_trim", ctypes.c_size_t)
_mallopt = _find("mallopt", ctypes.c_int, ctypes.c_int)


def large_blocks_apart() -> bool:
    """Blocks of 256 KB and more are pages of their own from now on, given back when they are freed; whether that could be had."""
    return _mallopt is not None and _mallopt(_M_MMAP_THRESHOLD, LARGE) == 1 and _mallopt(_M_TRIM_THRESHOLD, _TOP_KEPT) == 1


def trim() -> bool:
    """Give free pages back; whether there were any. Milliseconds, more when there is much: for moments when no mail moves."""
    return _malloc_trim is not None and _malloc_trim(0) == 1
