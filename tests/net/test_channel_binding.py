"""Channel bindings: the same at both ends, another for each connection, and by the rules of RFC 5929 and RFC 9266."""

from __future__ import annotations

import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from postwright.net import channel_binding, openssl
from postwright.net.channel_binding import END_POINT, EXPORTER, UNIQUE, ServerContext, end_point
from postwright.testing.certificate import self_signed_pem


def certificate(key: Any, algorithm: Any) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.example")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)


def test_an_end_point_is_hashed_as_it_was_signed() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    for algorithm, name in ((hashes.SHA256(), "sha256"), (hashes.SHA384(), "sha384"), (hashes.SHA512(), "sha512")):
        der = certificate(key, algorithm)
        assert end_point(der) == hashlib.new(name, der).digest()


@pytest.mark.parametrize("old", [hashes.MD5(), hashes.SHA1()])
def test_an_end_point_signed_with_an_old_hash(old: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # nobody signs so any more, the library that makes our certificates included
    monkeypatch.setattr(channel_binding.x509, "load_der_x509_certificate", lambda _: SimpleNamespace(signature_hash_algorithm=old))
    assert end_point(b"certificate") == hashlib.sha256(b"certificate").digest()


def test_an_end_point_that_the_rfc_does_not_define() -> None:
    assert end_point(certificate(ed25519.Ed25519PrivateKey.generate(), None)) == b""
    assert end_point(b"no certificate") == b""


@pytest.fixture(scope="module")
def server_context(tmp_path_factory: pytest.TempPathFactory) -> ServerContext:
    file = tmp_path_factory.mktemp("tls") / "cert.pem"
    file.write_bytes(b"".join(self_signed_pem(["mx.example"])))
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def client_of(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    return context


def shake_hands(
    server_context: ssl.SSLContext,
    version: ssl.TLSVersion,
    name: str = "mx.example",
    client_context: ssl.SSLContext | None = None,
    session: ssl.SSLSession | None = None,
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    client_context = client_context or client_of(version)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(there, back, server_side=True)
    ends = server, client_context.wrap_bio(back, there, server_hostname=name, session=session)
    for _ in range(3):
        for end in reversed(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass
    return ends


@pytest.mark.skipif(bool(openssl.missing()), reason="this Python's OpenSSL cannot be called")
def test_tls_1_3_has_an_exporter_that_is_never_the_same(server_context: ServerContext) -> None:
    seen = set()
    for _ in range(3):
        server, client = shake_hands(server_context, ssl.TLSVersion.TLSv1_3)
        assert channel_binding.kinds(server) == (EXPORTER,)
        value = channel_binding.values(server)[EXPORTER]
        assert value == channel_binding.values_of_client(client)[EXPORTER]
        assert len(value) == 32
        seen.add(value)
    assert len(seen) == 3


def test_tls_1_2_has_tls_unique(server_context: ServerContext) -> None:
    server, client = shake_hands(server_context, ssl.TLSVersion.TLSv1_2)
    assert channel_binding.kinds(server) == (UNIQUE,)
    assert channel_binding.values(server) == {UNIQUE: server.get_channel_binding("tls-unique")}
    assert channel_binding.values(server)[UNIQUE] == channel_binding.values_of_client(client)[UNIQUE]


def test_a_session_that_is_resumed_has_no_tls_unique(server_context: ServerContext) -> None:
    version = ssl.TLSVersion.TLSv1_2
    client_context = client_of(version)
    _, client = shake_hands(server_context, version, client_context=client_context)
    server, client = shake_hands(server_context, version, client_context=client_context, session=client.session)
    assert server.session_reused
    assert channel_binding.kinds(server) == ()
    assert channel_binding.values(server) == {}
    assert UNIQUE not in channel_binding.values_of_client(client)


def test_the_end_point_is_that_of_the_context_in_use(server_context: ServerContext) -> None:
    server, client = shake_hands(server_context, ssl.TLSVersion.TLSv1_3)
    shown = client.getpeercert(True)
    assert shown
    server_context.end_point = end_point(shown)
    try:
        assert END_POINT in channel_binding.kinds(server)
        assert channel_binding.values(server)[END_POINT] == channel_binding.values_of_client(client)[END_POINT]
    finally:
        server_context.end_point = b""


def test_a_certificate_by_name_has_its_own_end_point(server_context: ServerContext, tmp_path: Path) -> None:
    file = tmp_path / "other.pem"
    file.write_bytes(b"".join(self_signed_pem(["other.example"])))
    other = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    other.load_cert_chain(file)
    other.end_point = end_point(x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(Encoding.DER))

    def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        if name == "other.example":
            connection.context = other

    server_context.sni_callback = choose
    try:
        for name, own in (("other.example", other), ("mx.example", server_context)):
            server, client = shake_hands(server_context, ssl.TLSVersion.TLSv1_3, name)
            ours, theirs = channel_binding.values(server), channel_binding.values_of_client(client)
            assert server.context is own
            assert ours.get(EXPORTER) == theirs.get(EXPORTER)
            assert (ours.get(END_POINT) == theirs[END_POINT]) == (own is other)  # the first one says nothing of its certificate
    finally:
        server_context.sni_callback = None


def test_where_the_trial_fails_there_is_no_exporter(server_context: ServerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    constant = b"x" * 32
    assert not channel_binding._tried(lambda _: constant)  # not another for each connection
    assert not channel_binding._tried(lambda _: b"")
    assert not channel_binding._tried(lambda end: hashlib.sha256(str(id(end)).encode()).digest())  # not alike at both ends
    monkeypatch.setattr(channel_binding, "_exporter", lambda: None)
    server, client = shake_hands(server_context, ssl.TLSVersion.TLSv1_3)
    assert channel_binding.kinds(server) == ()
    assert channel_binding.values(server) == {}
    assert EXPORTER not in channel_binding.values_of_client(client)


def test_an_object_that_is_laid_out_otherwise_is_not_touched(server_context: ServerContext) -> None:
    class Other:
        _sslobj = object()
        context = server_context

    def never(*_: Any) -> int:
        raise AssertionError("OpenSSL was called")

    assert channel_binding._pointer(Other()) == 0  # type: ignore[arg-type]
    assert channel_binding._export(never, never, Other()) == b""  # type: ignore[arg-type]


def test_a_handshake_that_is_not_done_exports_nothing(server_context: ServerContext) -> None:
    unfinished = server_context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    exporter = channel_binding._exporter()
    assert exporter is None or exporter(unfinished) == b""
