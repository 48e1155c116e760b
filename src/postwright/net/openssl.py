"""What OpenSSL can do and Python's `ssl` (before 3.15) does not let us ask for: TLS 1.3 suites, groups of the key exchange, ticket keys.

The pointer to OpenSSL's own context stands first in a Python `SSLContext`; we read it there, and call the very library that `_ssl` is
linked with. That is done only on releases of CPython whose layout is known, and after a trial has shown that what stands there
answers as the context does. Anywhere else each function says False and changes nothing, and `missing` says why.
"""

from __future__ import annotations

import _ssl
import ctypes
import ssl
import sys
from functools import cache

# PySSLContext is {PyObject_HEAD; SSL_CTX *ctx; ...} in Modules/_ssl.c of all of these.
_KNOWN = ((3, 11), (3, 12), (3, 13), (3, 14))
_SET_TICKET_KEYS, _GET_TICKET_KEYS, _SET_GROUPS, _GET_MIN_VERSION = 59, 58, 92, 130  # openssl/ssl.h, openssl/tls1.h
_TLS_1_2, _TLS_1_3 = 0x0303, 0x0304
TICKET_KEYS = 80  # octets: a name of 16, HMAC and cipher keys of 32 each (OpenSSL 1.1.0 and later)


class _Library:
    """The three calls, with their C types."""

    def __init__(self, handle: ctypes.CDLL) -> None:
        self.get_options = handle.SSL_CTX_get_options
        self.get_options.restype, self.get_options.argtypes = ctypes.c_uint64, (ctypes.c_void_p,)
        self.set_suites = handle.SSL_CTX_set_ciphersuites
        self.set_suites.restype, self.set_suites.argtypes = ctypes.c_int, (ctypes.c_void_p, ctypes.c_char_p)
        self.control = handle.SSL_CTX_ctrl
        self.control.restype, self.control.argtypes = ctypes.c_long, (ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p)
        self.clear_errors = handle.ERR_clear_error
        self.clear_errors.restype, self.clear_errors.argtypes = None, ()


def missing() -> str:
    """Why none of this can be done here; "" when it can."""
    return _found()[1]


def set_ciphersuites(context: ssl.SSLContext, suites: str) -> bool:
    """The suites of TLS 1.3 that may be used, names of RFC 8446 with colons between them. Raises ValueError when OpenSSL knows none."""
    library = _found()[0]
    if library is None:
        return False
    if library.set_suites(_pointer(context), suites.encode("ascii", "replace")) != 1:
        library.clear_errors()
        raise ValueError(f"OpenSSL does not take these TLS 1.3 suites: {suites}")
    return True


def set_groups(context: ssl.SSLContext, groups: str) -> bool:
    """The groups of the key exchange, best first; all of them must be known to OpenSSL, or nothing is changed."""
    library = _found()[0]
    if library is None:
        return False
    done = bool(library.control(_pointer(context), _SET_GROUPS, 0, groups.encode("ascii", "replace")) == 1)
    if not done:
        library.clear_errors()
    return done


def set_ticket_keys(context: ssl.SSLContext, keys: bytes) -> bool:
    """The keys of session tickets, `TICKET_KEYS` octets: contexts with the same keys resume one another's sessions."""
    library = _found()[0]
    if library is None or library.control(_pointer(context), _GET_TICKET_KEYS, 0, None) != len(keys):
        return False
    return bool(library.control(_pointer(context), _SET_TICKET_KEYS, len(keys), keys) == 1)


def _pointer(context: ssl.SSLContext) -> int:
    found: int | None = ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value
    return found or 0


@cache
def _found() -> tuple[_Library | None, str]:
    reason = _unknown()
    if reason:
        return None, reason
    try:
        library = _Library(ctypes.CDLL(_ssl.__file__))
    except (OSError, AttributeError):
        return None, "the OpenSSL of this Python cannot be called from outside"
    return (library, "") if _as_expected(library) else (None, "the OpenSSL of this Python is not laid out as expected")


def _unknown() -> str:
    """Is this a Python whose memory we know? Looked at before anything is read that could not be there."""
    if sys.implementation.name != "cpython" or sys.version_info[:2] not in _KNOWN:
        return "nothing is known of the ssl module of this Python"
    if object.__basicsize__ != 2 * ctypes.sizeof(ctypes.c_void_p) or hasattr(sys, "gettotalrefcount"):
        return "this Python is a debug or free-threaded build"
    if not hasattr(_ssl, "__file__"):
        return "the ssl module is built into this Python"
    return ""


def _as_expected(library: _Library) -> bool:
    """Two contexts that differ must be told apart by OpenSSL just as Python does."""
    for version, number in ((ssl.TLSVersion.TLSv1_2, _TLS_1_2), (ssl.TLSVersion.TLSv1_3, _TLS_1_3)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = version
        if version is ssl.TLSVersion.TLSv1_3:
            context.options |= ssl.OP_NO_TICKET
        pointer = _pointer(context)
        if not pointer or library.get_options(pointer) != context.options & 0xFFFFFFFFFFFFFFFF:
            return False
        if library.control(pointer, _GET_MIN_VERSION, 0, None) != number:
            return False
    return True
