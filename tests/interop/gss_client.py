"""A GSS-API initiator for tests, on the system's MIT library: the client's half that no program at hand speaks over SMTP (GSS-SPNEGO).

The library's code is not ours; what is here only calls it. KRB5_CONFIG and KRB5CCNAME must be in the environment of this process.
"""

from __future__ import annotations

from ctypes import byref, c_int, c_uint32, c_void_p

from postwright.engine.gssapi import _Buffer, _buffer, _call, _import_name, _octets, _oid, _release

MUTUAL, REPLAY, SEQUENCE, INTEGRITY = 2, 4, 8, 32


class Initiator:
    """One dialogue with `service` (SERVICE@HOST) by the mechanism of that identifier."""

    def __init__(self, service: str, mechanism: bytes, flags: int = MUTUAL | REPLAY | SEQUENCE | INTEGRITY) -> None:
        self._target = _import_name(service)
        self._mechanism = _oid(mechanism)
        self._flags = flags
        self._handle = c_void_p()

    def step(self, token: bytes = b"") -> tuple[bytes, bool]:
        """The server's token in; ours out, and whether the context is established. Raises GssError."""
        given, said = _buffer(token), _Buffer()
        try:
            major = _call(
                "gss_init_sec_context",
                *(None, byref(self._handle), self._target, byref(self._mechanism), c_uint32(self._flags), c_uint32(0), None),
                *(byref(given), None, byref(said), None, None),
            )
            return _octets(said), not major & 1
        finally:
            _release(said)

    def wrap(self, data: bytes) -> bytes:
        given, said = _buffer(data), _Buffer()
        _call("gss_wrap", self._handle, c_int(0), c_uint32(0), byref(given), None, byref(said))
        return _octets(said)

    def unwrap(self, data: bytes) -> bytes:
        given, said = _buffer(data), _Buffer()
        _call("gss_unwrap", self._handle, byref(given), byref(said), None, None)
        return _octets(said)
