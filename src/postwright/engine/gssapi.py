"""GSS-API (RFC 2744) as an acceptor needs it, on the system's MIT library by ctypes: no compiler, no headers, nothing to build.

Only Kerberos is accepted, bare or inside SPNEGO, whatever other mechanisms the machine has. Calls block (the replay cache is a file) and
parse what strangers send in C: they belong into a thread of the login helper, never on a shard's loop. A context is for one thread at a
time. Raises GssError with the library's own words, OSError where the library or the keytab is not to be had.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_size_t, c_uint32, c_void_p
from functools import cache
from typing import Any

from postwright.model.errors import PostwrightError

LIBRARY = "libgssapi_krb5.so.2"
MISSING = f"logins by Kerberos need {LIBRARY} of this system: apt-get install libgssapi-krb5-2, or dnf install krb5-libs"

KERBEROS = bytes.fromhex("2a864886f712010202")  # 1.2.840.113554.1.2.2
SPNEGO = bytes.fromhex("2b0601050502")  # 1.3.6.1.5.5.2
_HOSTBASED = bytes.fromhex("2a864886f71201020104")  # GSS_C_NT_HOSTBASED_SERVICE, 1.2.840.113554.1.2.1.4
_ACCEPT = 2
_INDEFINITE = 0xFFFFFFFF
_ERRORS = 0xFFFF0000  # calling and routine errors; below are remarks, such as "continue"
_CONTINUE = 1
_ANONYMOUS = 64
_WORDS_MOST = 10


class GssError(PostwrightError):
    """The library refuses: a ticket that is not for us, expired, replayed, or no ticket at all."""


class _Buffer(Structure):
    _fields_ = (("length", c_size_t), ("value", c_void_p))


class _Oid(Structure):
    _fields_ = (("length", c_uint32), ("elements", c_void_p))


class _OidSet(Structure):
    _fields_ = (("count", c_size_t), ("elements", POINTER(_Oid)))


class _Pair(Structure):
    _fields_ = (("key", c_char_p), ("value", c_char_p))


class _Pairs(Structure):
    _fields_ = (("count", c_uint32), ("elements", POINTER(_Pair)))


@cache
def library() -> Any:
    """The library, loaded once. Raises OSError."""
    try:
        found = ctypes.CDLL(LIBRARY)
        for name in ("gss_accept_sec_context", "gss_acquire_cred_from", "gss_set_neg_mechs", "gss_wrap", "gss_unwrap"):
            getattr(found, name).restype = c_uint32
    except (OSError, AttributeError) as error:
        raise OSError(MISSING) from error
    return found


class Credential:
    """The keys of `keytab` for `service`: "smtp" for every smtp/HOST in it, "smtp@HOST" for one. Raises OSError or GssError."""

    def __init__(self, keytab: str, service: str) -> None:
        self._handle = c_void_p()
        with open(keytab, "rb"):
            pass  # the library's own words for a file that is not there name no file
        name = _import_name(service)
        store = _Pair(b"keytab", f"FILE:{keytab}".encode())
        pairs = _Pairs(1, ctypes.pointer(store))
        both, inner = _oid_set([KERBEROS, SPNEGO]), _oid_set([KERBEROS])
        try:
            wanted = (name, c_uint32(_INDEFINITE), byref(both), c_int(_ACCEPT), byref(pairs))
            _call("gss_acquire_cred_from", *wanted, byref(self._handle), None, None)
        finally:
            _call("gss_release_name", byref(name))
        _call("gss_set_neg_mechs", self._handle, byref(inner))  # SPNEGO shall choose nothing else, say NTLM of some plug-in

    def __del__(self) -> None:
        if self._handle.value:
            library().gss_release_cred(byref(c_uint32()), byref(self._handle))


class Context:
    """One client's dialogue. `step` until it is done; then `initiator`, `acceptor` (principals as text), `wrap` and `unwrap`."""

    def __init__(self, credential: Credential) -> None:
        self._credential = credential
        self._handle = c_void_p()
        self.initiator = ""
        self.acceptor = ""

    def step(self, token: bytes) -> tuple[bytes, bool]:
        """The client's token in; ours out (maybe empty), and whether the context is established. Raises GssError."""
        source, said, flags = c_void_p(), _Buffer(), c_uint32()
        given = _buffer(token)
        try:
            major = _call(
                "gss_accept_sec_context",
                *(byref(self._handle), self._credential._handle, byref(given), None, byref(source), None),
                *(byref(said), byref(flags), None, None),
            )
            answer = _octets(said)
            if major & _CONTINUE:
                return answer, False
            if flags.value & _ANONYMOUS:
                raise GssError("an anonymous client")
            self.initiator = _display(source)
            self.acceptor = self._target()
            return answer, True
        finally:
            _release(said)
            if source.value:
                library().gss_release_name(byref(c_uint32()), byref(source))

    def _target(self) -> str:
        target = c_void_p()
        try:
            _call("gss_inquire_context", self._handle, None, byref(target), None, None, None, None, None)
            return _display(target)
        finally:
            library().gss_release_name(byref(c_uint32()), byref(target))

    def wrap(self, data: bytes) -> bytes:
        """`data` under an integrity check, not hidden. Raises GssError."""
        given, said = _buffer(data), _Buffer()
        try:
            _call("gss_wrap", self._handle, c_int(0), c_uint32(0), byref(given), None, byref(said))
            return _octets(said)
        finally:
            _release(said)

    def unwrap(self, data: bytes) -> bytes:
        """What the client wrapped. Raises GssError for what it has not."""
        given, said = _buffer(data), _Buffer()
        try:
            _call("gss_unwrap", self._handle, byref(given), byref(said), None, None)
            return _octets(said)
        finally:
            _release(said)

    def __del__(self) -> None:
        if self._handle.value:
            library().gss_delete_sec_context(byref(c_uint32()), byref(self._handle), None)


def _call(function: str, *arguments: Any) -> int:
    """`function(&minor, ...)`; its remarks. Raises GssError."""
    minor = c_uint32()
    found = getattr(library(), function)
    found.restype = c_uint32
    major: int = found(byref(minor), *arguments)
    if major & _ERRORS:
        raise GssError(f"{function}: {'; '.join(_words(major, minor.value))}")
    return major


def _words(major: int, minor: int) -> Iterable[str]:
    """What the library says of its codes: of GSS-API's own first, of Kerberos' then."""
    for code, kind in ((major, 1), (minor, 2)):
        more = c_uint32()
        for _ in range(_WORDS_MOST):
            text = _Buffer()
            if library().gss_display_status(byref(c_uint32()), c_uint32(code), c_int(kind), None, byref(more), byref(text)):
                break
            yield _octets(text).decode("utf-8", "replace")
            _release(text)
            if not more.value:
                break


def _import_name(service: str) -> c_void_p:
    name, given = c_void_p(), _buffer(service.encode())
    kind = _oid(_HOSTBASED)
    _call("gss_import_name", byref(given), byref(kind), byref(name))
    return name


def _display(name: c_void_p) -> str:
    text = _Buffer()
    try:
        _call("gss_display_name", name, byref(text), None)
        return _octets(text).decode("utf-8", "replace")
    finally:
        _release(text)


def _buffer(octets: bytes) -> _Buffer:
    buffer = _Buffer(len(octets), ctypes.cast(c_char_p(octets), c_void_p))
    buffer.kept = octets  # as long as C may look at it
    return buffer


def _octets(buffer: _Buffer) -> bytes:
    return ctypes.string_at(buffer.value, buffer.length) if buffer.value else b""


def _release(buffer: _Buffer) -> None:
    library().gss_release_buffer(byref(c_uint32()), byref(buffer))


def _oid(elements: bytes) -> _Oid:
    oid = _Oid(len(elements), ctypes.cast(c_char_p(elements), c_void_p))
    oid.kept = elements
    return oid


def _oid_set(oids: list[bytes]) -> _OidSet:
    array = (_Oid * len(oids))(*map(_oid, oids))
    found = _OidSet(len(oids), array)
    found.kept = oids, array
    return found
