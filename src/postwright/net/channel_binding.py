"""Channel bindings of a TLS connection, by which a login (SCRAM's -PLUS forms) proves that nobody sits between its two ends.

`tls-server-end-point` (RFC 5929 section 4) is a hash of the server's certificate. `tls-unique` (section 3) is Python's to give, and sound
up to TLS 1.2 only, and not where a session is resumed: who sits between two connections can have made them alike (RFC 7627 section 1). For
`tls-exporter` (RFC 9266), the one of TLS 1.3, Python has no function: OpenSSL's own is called through the pointer that stands in Python's
connection object. That is done only on releases of CPython whose layout is known (`net.openssl`), when the pointer next to it is what it
must be, and after a trial: two handshakes in memory, of which both ends must export the same value, and each connection another. Where that
fails `tls-exporter` is not offered. Nothing is raised, and values are never shown.
"""

from __future__ import annotations

import _ssl
import ctypes
import hashlib
import ssl
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from postwright.net import openssl
from postwright.net.tls_record import RecordObject

END_POINT: Final = "tls-server-end-point"
EXPORTER: Final = "tls-exporter"
UNIQUE: Final = "tls-unique"

_LABEL: Final = b"EXPORTER-Channel-Binding"  # RFC 9266 section 4, without context, 32 octets
_LENGTH: Final = 32
_WORD: Final = ctypes.sizeof(ctypes.c_void_p)
# PySSLSocket is {PyObject_HEAD; PyObject *Socket; SSL *ssl; PySSLContext *ctx; ...} in Modules/_ssl.c of all that `net.openssl` knows
_SSL, _CONTEXT = object.__basicsize__ + _WORD, object.__basicsize__ + 2 * _WORD

Exporter = Callable[[ssl.SSLObject], bytes]


class ServerContext(ssl.SSLContext):
    """A server's context that knows what its certificate is as a channel binding: OpenSSL does not tell a server which one it has shown,
    and with SNI only the context in use at the end does. One certificate to a context, or `end_point` stays b""."""

    end_point: bytes = b""
    sslobject_class = RecordObject  # here, since every server of ours has a context of this sort


def end_point(certificate: bytes) -> bytes:
    """`tls-server-end-point` of a certificate (DER): its hash by the hash of its signature, SHA-256 in place of MD5 and SHA-1. b"" where
    RFC 5929 does not say which (Ed25519), and for what is no certificate."""
    try:
        algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        return b""
    if algorithm is None:
        return b""
    name = "sha256" if algorithm.name in ("md5", "sha1") else algorithm.name
    return hashlib.new(name, certificate).digest() if name in hashlib.algorithms_available else b""


def kinds(connection: ssl.SSLObject) -> tuple[str, ...]:
    """The types that our side of this connection has, as a server."""
    found = [EXPORTER] if exporter_works() else []
    if connection.version() != "TLSv1.3":
        found = [] if connection.session_reused else [UNIQUE]
    if getattr(connection.context, "end_point", b""):
        found.append(END_POINT)
    return tuple(found)


def values(connection: ssl.SSLObject) -> Mapping[str, bytes]:
    """Type -> value, as a server."""
    return _values(connection, getattr(connection.context, "end_point", b""))


def values_of_client(connection: ssl.SSLObject) -> Mapping[str, bytes]:
    """Type -> value, as the client of this connection."""
    certificate = connection.getpeercert(True)
    return _values(connection, end_point(certificate) if certificate else b"")


def preferred_of_client(connection: ssl.SSLObject) -> tuple[str, bytes] | None:
    """The binding that both sides take for granted where nothing is agreed: tls-exporter on TLS 1.3 (RFC 9266), tls-unique before
    (RFC 5802 section 6.1), else the server's certificate."""
    return next(iter(values_of_client(connection).items()), None)


def exporter_works() -> bool:
    """Can `tls-exporter` be had in this process? The trial is made once, at the first question (about 2 ms)."""
    return _exporter() is not None


def _values(connection: ssl.SSLObject, end: bytes) -> Mapping[str, bytes]:
    exporter = _exporter()
    if connection.version() != "TLSv1.3":
        found = {UNIQUE: b"" if connection.session_reused else connection.get_channel_binding(UNIQUE) or b""}
    else:
        found = {EXPORTER: exporter(connection)} if exporter is not None else {}
    found[END_POINT] = end
    return {kind: value for kind, value in found.items() if value}


# the exporter --------------------------------------------------------------------------------------------------------


@cache
def _exporter() -> Exporter | None:
    if openssl.missing():
        return None
    try:
        library = ctypes.CDLL(_ssl.__file__)
        call, clear = library.SSL_export_keying_material, library.ERR_clear_error
    except (OSError, AttributeError):
        return None
    clear.restype, clear.argtypes = None, ()
    number, octets, size = ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t
    call.restype, call.argtypes = number, (ctypes.c_void_p, octets, size, octets, size, octets, size, number)
    exporter = partial(_export, call, clear)
    return exporter if _tried(exporter) else None


def _export(call: Any, clear: Any, connection: ssl.SSLObject) -> bytes:
    """b"" when this object is not laid out as expected, or its handshake is not done."""
    pointer = _pointer(connection)
    buffer = ctypes.create_string_buffer(_LENGTH)
    if not pointer:
        return b""
    if call(pointer, buffer, _LENGTH, _LABEL, len(_LABEL), None, 0, 0) != 1:
        clear()  # or Python's next call would find our error, and think it its own
        return b""
    return buffer.raw


def _pointer(connection: ssl.SSLObject) -> int:
    """OpenSSL's own connection. Only memory of the object itself is read; the pointer behind it must be the context that Python gives."""
    inner = getattr(connection, "_sslobj", None)
    if inner is None or type(inner).__basicsize__ < _CONTEXT + _WORD:
        return 0
    if ctypes.c_void_p.from_address(id(inner) + _CONTEXT).value != id(connection.context):
        return 0
    return ctypes.c_void_p.from_address(id(inner) + _SSL).value or 0


def _tried(exporter: Exporter) -> bool:
    """Both ends of two connections: alike within one, unlike between them."""
    try:
        seen = [[exporter(end) for end in _connection()] for _ in range(2)]
    except (OSError, ValueError):  # this OpenSSL has no anonymous suites: nothing is known then
        return False
    return all(len(one) == _LENGTH and one == other for one, other in seen) and seen[0] != seen[1]


def _connection() -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Two ends that have shaken hands in memory, without a certificate (so TLS 1.2, which exports by the same call)."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = _anonymous(ssl.PROTOCOL_TLS_SERVER).wrap_bio(there, back, server_side=True)
    client = _anonymous(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(back, there)
    for _ in range(3):
        for end in (client, server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass
    return server, client


def _anonymous(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH-AES256-SHA:AECDH-AES128-SHA:@SECLEVEL=0")
    return context
