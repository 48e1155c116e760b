"""TLS towards receivers as the operator wants it, in real handshakes: who is checked before a login, versions, ciphers, our certificate.

The receiver is a listener of asyncio that notes what the handshake came to. Takes about two seconds.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.engine.tls_files import server as certificate_file

from postwright.model.outcome import Failure, Fault, Stage
from postwright.model.route import ClientTls, Login, Route, SessionOptions, SourceHost, TlsLevel
from postwright.net import openssl
from postwright.net.channel import Channel
from postwright.net.dialer import Dialer
from postwright.net.dialer_tls import TlsContexts, must_verify
from postwright.testing.scripted_peer import ScriptedPeer

EVENT_LOOPS = ("asyncio", "uvloop")  # TLS differs between them
HERE = SourceHost("", "client.example")


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return str(path)


def context_for(ca: trustme.CA, name: str = "mx.example") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(name).configure_cert(context)
    return context


class There:
    """A receiver with TLS from the first octet (STARTTLS has its tests in test_dialer)."""

    def __init__(self, port: int, peers: list[ScriptedPeer]) -> None:
        self.port = port
        self.peers = peers

    @property
    def route(self) -> Route:
        return Route("mx.example", "127.0.0.1", self.port, HERE, True)

    def tls(self, what: str) -> Any:
        transport = self.peers[-1].transport
        assert transport is not None
        return getattr(transport.get_extra_info("ssl_object"), what)()


@asynccontextmanager
async def receiver(context: ssl.SSLContext, *offers: str) -> AsyncIterator[There]:
    peers: list[ScriptedPeer] = []

    def make() -> ScriptedPeer:
        peers.append(ScriptedPeer(offers=offers))
        return peers[-1]

    listening = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0, ssl=context)
    try:
        yield There(listening.sockets[0].getsockname()[1], peers)
    finally:
        listening.close()
        for peer in peers:
            if peer.transport is not None:
                peer.transport.abort()
        await listening.wait_closed()


async def opened(there: There, options: SessionOptions) -> Channel:
    outcome = await Dialer().open(there.route, options)
    assert isinstance(outcome, Channel), outcome
    return outcome


async def failed(there: There, options: SessionOptions) -> Failure:
    outcome = await Dialer().open(there.route, options)
    assert isinstance(outcome, Failure)
    return outcome


# -- who is checked ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "options", "checked"),
    [
        ("192.0.2.1", SessionOptions(), False),
        ("192.0.2.1", SessionOptions(tls=TlsLevel.REQUIRED), False),
        ("127.0.0.1", SessionOptions(tls=TlsLevel.VERIFIED), True),
        ("127.0.0.1", SessionOptions(verify=True), True),
        ("192.0.2.1", SessionOptions(login=Login("anna")), True),
        ("10.0.0.1", SessionOptions(login=Login("anna")), True),
        ("127.0.0.1", SessionOptions(login=Login("anna")), False),
        ("::1", SessionOptions(login=Login("anna")), False),
        ("192.0.2.1", SessionOptions(login=Login("anna", verify=False)), False),
    ],
)
@pytest.mark.directive("auth-verify-tls")
def test_a_login_goes_to_nobody_who_is_not_checked(address: str, options: SessionOptions, checked: bool) -> None:
    assert must_verify(Route("mx.example", address, 25, HERE), options) is checked


@pytest.mark.directive("smtp-tls-ca-file")
async def test_authorities_of_the_operators(ca: trustme.CA, ca_file: str) -> None:
    options = SessionOptions(client_tls=ClientTls(ca_file=ca_file), verify=True, login=Login("anna", "secret"))
    async with receiver(context_for(ca), "AUTH PLAIN") as there:
        (await opened(there, options)).abort()
        assert there.peers[0].lines[1].startswith("AUTH PLAIN")
    for context in (context_for(ca, "other.example"), context_for(trustme.CA())):
        async with receiver(context, "AUTH PLAIN") as there:
            failure = await failed(there, options)
            assert (failure.stage, failure.fault) == (Stage.STARTTLS, Fault.TLS)
            assert failure.detail.startswith("certificate not accepted: ")
            assert there.peers == [] or there.peers[0].lines == []


async def test_a_file_that_is_gone_is_said(ca: trustme.CA, tmp_path: Path) -> None:
    async with receiver(context_for(ca)) as there:
        failure = await failed(there, SessionOptions(client_tls=ClientTls(ca_file=str(tmp_path / "gone.pem")), verify=True))
        assert failure.fault is Fault.TLS
        assert "gone.pem" in failure.detail


@pytest.mark.parametrize(
    ("login", "verify", "attempts"),
    [
        (None, False, 2),
        (None, True, 1),
        (Login("anna", "secret", verify=False), False, 1),
        (Login("anna", "secret", unencrypted=True), False, 2),
    ],
)
async def test_what_fails_to_shake_hands_gets_no_password_in_the_clear(login: Login | None, verify: bool, attempts: int) -> None:
    """An attacker who spoils the handshake must gain nothing by it."""
    peers: list[ScriptedPeer] = []

    def make() -> ScriptedPeer:
        peers.append(ScriptedPeer({"STARTTLS": b"!220 go"}, offers=("STARTTLS", "AUTH PLAIN CRAM-MD5")))
        return peers[-1]

    listening = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    route = Route("mx.example", "127.0.0.1", listening.sockets[0].getsockname()[1], HERE)
    outcome = await Dialer().open(route, SessionOptions(login=login, verify=verify))
    listening.close()
    assert len(peers) == attempts
    assert isinstance(outcome, Channel) is (attempts == 2)
    said = " ".join(line for peer in peers for line in peer.lines)
    assert ("AUTH" in said) is (login is not None and login.unencrypted)
    if isinstance(outcome, Channel):
        outcome.abort()


# -- versions and ciphers ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("versions", "spoken"),
    [
        (("TLSv1.1", "TLSv1.2", "TLSv1.3"), "TLSv1.3"),
        (("TLSv1.1", "TLSv1.2"), "TLSv1.2"),
        (("TLSv1.1",), "TLSv1.1"),
        (("TLSv1",), "TLSv1"),
    ],
)
@pytest.mark.directive("smtp-tls-allow-tlsv1", "smtp-tls-allow-tlsv1.1", "smtp-tls-allow-tlsv1.2", "smtp-tls-allow-tlsv1.3")
async def test_versions(ca: trustme.CA, versions: tuple[str, ...], spoken: str) -> None:
    context = context_for(ca)
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    async with receiver(context) as there:
        channel = await opened(there, SessionOptions(client_tls=ClientTls(versions)))
        assert (channel.tls, there.tls("version")) == (spoken, spoken)
        channel.abort()


def test_a_version_between_two_others_and_none_at_all() -> None:
    context = TlsContexts().context(ClientTls(("TLSv1.1", "TLSv1.3")))
    assert context.options & ssl.OP_NO_TLSv1_2
    assert not TlsContexts().context(ClientTls(("TLSv1.1", "TLSv1.2", "TLSv1.3"))).options & ssl.OP_NO_TLSv1_2
    for versions, verify in (((), False), (("TLSv1", "TLSv1.1"), True)):
        with pytest.raises(ValueError, match="no version of TLS"):
            TlsContexts().context(ClientTls(versions), verify=verify)
    assert TlsContexts().context(ClientTls(("TLSv1.1", "TLSv1.2")), verify=True).minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.directive("smtp-tls-ciphers", "smtp-tls-tlsv1.3-ciphersuites")
async def test_ciphers_and_suites(ca: trustme.CA) -> None:
    async with receiver(context_for(ca)) as there:
        rules = ClientTls(("TLSv1.2",), ciphers="ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-GCM-SHA384")
        channel = await opened(there, SessionOptions(client_tls=rules))
        assert channel.cipher.endswith("AES256-GCM-SHA384")
        channel.abort()
        if not openssl.missing():
            channel = await opened(there, SessionOptions(client_tls=ClientTls(suites="TLS_CHACHA20_POLY1305_SHA256")))
            assert channel.cipher == "TLS_CHACHA20_POLY1305_SHA256"
            channel.abort()


async def test_a_weak_key_is_better_than_the_clear_where_nobody_is_checked(ca: trustme.CA) -> None:
    """RSA key exchange and SHA-1: what a receiver of 2008 has."""
    context = context_for(ca)
    key = ca.issue_cert("mx.example", key_type=trustme.KeyType.RSA)
    key.configure_cert(context)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA:@SECLEVEL=0")
    async with receiver(context) as there:
        channel = await opened(there, SessionOptions())
        assert channel.cipher == "AES128-SHA"
        channel.abort()


async def test_a_greeting_right_behind_the_handshake(ca: trustme.CA) -> None:
    """With TLS 1.2 the receiver has the last word of the handshake, and may say the first of SMTP in the same breath."""
    context = context_for(ca)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with receiver(context) as there:
        for _ in range(5):
            (await opened(there, SessionOptions(tls=TlsLevel.REQUIRED))).abort()


# -- our certificate --------------------------------------------------------------------------------


@pytest.mark.directive("smtp-client-certificate")
async def test_our_certificate_is_shown_and_read_again_when_it_changes(ca: trustme.CA, tmp_path: Path) -> None:
    context = context_for(ca)
    context.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(context)
    path = tmp_path / "ours.pem"
    options = SessionOptions(client_tls=ClientTls(("TLSv1.2",), certificate=certificate_file(ca, path, "first.example")))
    dialer = Dialer()
    async with receiver(context) as there:
        assert isinstance(await dialer.open(there.route, options), Channel)
        assert there.tls("getpeercert")["subjectAltName"] == (("DNS", "first.example"),)
        certificate_file(ca, tmp_path / "new.pem", "second.example")
        os.replace(tmp_path / "new.pem", path)
        assert isinstance(await dialer.open(there.route, options), Channel)
        assert there.tls("getpeercert")["subjectAltName"] == (("DNS", "second.example"),)
        failure = await dialer.open(there.route, SessionOptions(client_tls=ClientTls(("TLSv1.2",))))
        assert isinstance(failure, Failure)


def test_a_certificate_that_cannot_be_used_names_its_file(ca: trustme.CA, ca_file: str) -> None:
    with pytest.raises(ValueError, match=r"our certificate .*ca\.pem cannot be used"):
        TlsContexts().context(ClientTls(certificate=ca_file, password="s3cret"))


async def test_external_by_that_certificate(ca: trustme.CA, tmp_path: Path) -> None:
    context = context_for(ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    ca.configure_trust(context)
    rules = ClientTls(certificate=certificate_file(ca, tmp_path / "ours.pem", "us.example"))
    async with receiver(context, "AUTH PLAIN EXTERNAL") as there:
        channel = await opened(there, SessionOptions(client_tls=rules, login=Login("us.example", certificate=True)))
        assert there.peers[0].lines[1] == "AUTH EXTERNAL dXMuZXhhbXBsZQ=="
        channel.abort()
