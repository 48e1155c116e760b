"""SCRAM by clients that are not ours (GNU SASL, scramp), in real TLS sessions under both event loops, with every kind of binding."""

from __future__ import annotations

import asyncio
import base64
import smtplib
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from scramp import ScramClient, ScramMechanism

from postwright.net import channel_binding, openssl
from postwright.net.channel_binding import ServerContext
from postwright.net.listener import Listener, bind
from postwright.net.session_book import SessionBook
from postwright.net.visit import PeerFacts
from postwright.wire.options import ServerOptions
from postwright.wire.sasl_scram import Scram
from postwright.wire.sasl_steps import Challenge, NeedScramKeys, Proved, SaslContext
from postwright.wire.scram import derive_keys

EVENT_LOOPS = ("asyncio", "uvloop")
KEYS = {hash: derive_keys("secret", b"salt" * 4, 4096, hash) for hash in ("SHA-1", "SHA-256")}
SCRAM = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1")
exporter = pytest.mark.skipif(bool(openssl.missing()), reason="this Python's OpenSSL cannot be called")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(authority: trustme.CA) -> ServerContext:
    certificate = authority.issue_cert("localhost")
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    pem = certificate.cert_chain_pems[0].bytes().decode()
    context.end_point = channel_binding.end_point(ssl.PEM_cert_to_DER_cert(pem))
    return context


class Place:
    """Where to log in: a listener that offers STARTTLS and then SCRAM, or speaks TLS `at_once`."""

    def __init__(self, scripted_visit: Callable[..., Any], context: ServerContext, *, at_once: bool = False) -> None:
        self.context = context
        self.visits: list[Any] = []
        self.book = SessionBook(lambda: 0.0)
        self._make = scripted_visit
        self._sock = bind("127.0.0.1", 0)
        self._listener = Listener(self._sock, self._visit, self.book, tls=context if at_once else None)
        self._listener.start()
        self.port = self._listener.port

    def _visit(self, peer: PeerFacts) -> Any:
        visit = self._make(peer, {"start_tls": self.context, "scram_keys": self._keys}, ServerOptions(starttls=True))
        visit.tls_started = lambda facts: self._secured(visit, facts)
        self.visits.append(visit)
        return visit

    def _secured(self, visit: Any, facts: PeerFacts) -> None:
        visit.peer = facts
        visit.offered = ServerOptions(auth=SCRAM)

    def _keys(self) -> Any:
        return KEYS[self.visits[-1].asked[-1][2]]

    async def close(self) -> None:
        self._listener.close()
        self.book.stop()
        await self.book.drain(1.0)
        self._sock.close()

    @property
    def proved(self) -> list[Any]:
        return [asked[1:] for visit in self.visits for asked in visit.asked if asked[0] == "authenticated"]


@pytest.fixture
async def place(scripted_visit: Callable[..., Any], authority: trustme.CA) -> AsyncIterator[Place]:
    made = Place(scripted_visit, server_context(authority))
    yield made
    await made.close()


# GNU SASL ------------------------------------------------------------------------------------------------------------


async def gsasl(program: Path, port: int, mechanism: str, *more: str, password: str = "secret") -> int:
    """The exit status; gsasl verifies our signature itself."""
    process = await asyncio.create_subprocess_exec(
        program, "--smtp", "--starttls", "--x509-ca-file=", f"--mechanism={mechanism}", "--authentication-id=anna",
        "--authorization-id=", f"--password={password}", "--application-data", *more, "127.0.0.1", str(port),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(20):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    print(said.decode(errors="replace"))  # seen when a test fails
    assert process.returncode is not None
    return process.returncode


TLS_1_2 = "--priority=NORMAL:-VERS-ALL:+VERS-TLS1.2"


@pytest.mark.needs("gsasl")
@pytest.mark.parametrize(
    ("mechanism", "more"),
    [
        pytest.param("SCRAM-SHA-256-PLUS", (), marks=exporter),
        pytest.param("SCRAM-SHA-1-PLUS", (), marks=exporter),
        ("SCRAM-SHA-256-PLUS", (TLS_1_2,)),  # tls-unique
        ("SCRAM-SHA-256", ("--no-cb",)),
        ("SCRAM-SHA-1", ("--no-cb",)),
    ],
)
async def test_gsasl(place: Place, needs: Callable[[str], Path], mechanism: str, more: tuple[str, ...]) -> None:
    program = needs("gsasl")
    assert await gsasl(program, place.port, mechanism, *more) == 0
    assert place.proved == [("anna", mechanism, True)]
    assert await gsasl(program, place.port, mechanism, *more, password="wrong") != 0
    assert place.proved[1:] == [("anna", mechanism, False)]


@exporter
@pytest.mark.needs("gsasl")
async def test_gsasl_through_somebody_in_the_middle(place: Place, needs: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    real = channel_binding.values
    monkeypatch.setattr(channel_binding, "values", lambda tls: {kind: bytes(len(value)) for kind, value in real(tls).items()})
    assert await gsasl(needs("gsasl"), place.port, "SCRAM-SHA-256-PLUS") != 0
    assert place.proved == [("anna", "SCRAM-SHA-256-PLUS", False)]


# scramp --------------------------------------------------------------------------------------------------------------


def log_in(port: int, authority: trustme.CA, mechanism: str, kind: str, password: str, starttls: bool = True) -> int:
    """smtplib's session, scramp's SCRAM; the code of the final reply."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if kind == "tls-unique":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        smtplib.SMTP("localhost", port, timeout=10)
        if starttls
        else smtplib.SMTP_SSL("localhost", port, timeout=10, context=context) as smtp
    ):
        if starttls:
            smtp.starttls(context=context)
        smtp.ehlo()
        assert isinstance(smtp.sock, ssl.SSLSocket)
        client = ScramClient([mechanism], "anna", password, channel_binding=(kind, smtp.sock) if kind else None)
        code, said = smtp.docmd("AUTH", f"{mechanism} {encoded(client.get_client_first())}")
        client.set_server_first(base64.b64decode(said).decode())
        code, said = smtp.docmd(encoded(client.get_client_final()))
        if code == 334:
            client.set_server_final(base64.b64decode(said).decode())
            code, _ = smtp.docmd("")
        return code


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("mechanism", "kind"),
    [("SCRAM-SHA-256-PLUS", "tls-server-end-point"), ("SCRAM-SHA-1-PLUS", "tls-server-end-point"), ("SCRAM-SHA-256-PLUS", "tls-unique"),
     ("SCRAM-SHA-256", "")],
)  # fmt: skip
async def test_scramp(place: Place, authority: trustme.CA, mechanism: str, kind: str) -> None:
    assert await asyncio.to_thread(log_in, place.port, authority, mechanism, kind, "secret") == 235
    assert await asyncio.to_thread(log_in, place.port, authority, mechanism, kind, "wrong") == 535
    assert place.proved == [("anna", mechanism, True), ("anna", mechanism, False)]


async def test_tls_at_once(scripted_visit: Callable[..., Any], authority: trustme.CA) -> None:
    place = Place(scripted_visit, server_context(authority), at_once=True)
    try:
        arguments = (place.port, authority, "SCRAM-SHA-256-PLUS", "tls-server-end-point", "secret", False)
        assert await asyncio.to_thread(log_in, *arguments) == 235
    finally:
        await place.close()
    assert place.proved == [("anna", "SCRAM-SHA-256-PLUS", True)]


async def test_another_certificate_than_ours(place: Place, authority: trustme.CA) -> None:
    place.context.end_point = b"x" * 32
    assert await asyncio.to_thread(log_in, place.port, authority, "SCRAM-SHA-256-PLUS", "tls-server-end-point", "secret") == 535


@pytest.mark.parametrize("hash", ["SHA-1", "SHA-256"])
def test_keys_are_those_that_scramp_makes(hash: str) -> None:
    salt, stored, server, rounds = ScramMechanism(f"SCRAM-{hash}").make_auth_info("pencil \u2168", 4096, b"salt" * 4)
    keys = derive_keys("pencil IX", b"salt" * 4, 4096, hash)
    assert (keys.salt, keys.stored_key, keys.server_key, keys.iterations) == (salt, stored, server, rounds)


def test_a_name_that_needs_escapes() -> None:
    client = ScramClient(["SCRAM-SHA-256"], "a=b,c", "secret")
    server = Scram(SaslContext("mx.example", "s" * 32), "SHA-256", plus=False)
    assert server.start(client.get_client_first().encode()) == NeedScramKeys("a=b,c", "SHA-256")
    step = server.keys(KEYS["SHA-256"])
    assert isinstance(step, Challenge)
    client.set_server_first(step.data.decode())
    step = server.respond(client.get_client_final().encode())
    assert isinstance(step, Challenge)
    client.set_server_final(step.data.decode())
    assert server.respond(b"") == Proved("a=b,c")
