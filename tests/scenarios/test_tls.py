"""TLS of a running relay: certificates by listener, by name and renewed, versions, clients' certificates, and what is told of it all."""

from __future__ import annotations

import asyncio
import os
import smtplib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.engine.tls_files import client as trusting
from tests.engine.tls_files import server
from tests.scenarios.alone import Alone

from postwright.net import openssl
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port

LETTER = "From: a@client.example\r\nSubject: over TLS\r\n\r\nhello\r\n"


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def sink() -> AsyncIterator[SinkServer]:
    async with SinkServer() as receiver:
        yield receiver


class Client:
    """A session of smtplib, which blocks: called in a thread by `say`."""

    def __init__(self, port: int, context: ssl.SSLContext, *, at_once: bool = False, name: str = "relay.example") -> None:
        sock = socket.create_connection(("127.0.0.1", port), 20)
        self.smtp = smtplib.SMTP(timeout=20)
        self.smtp.sock = context.wrap_socket(sock, server_hostname=name) if at_once else sock
        self.smtp._host = name  # type: ignore[attr-defined]  # what starttls() asks for
        assert self.smtp.getreply()[0] == 220
        if not at_once:
            assert self.smtp.starttls(context=context)[0] == 220

    @property
    def tls(self) -> ssl.SSLSocket:
        assert isinstance(self.smtp.sock, ssl.SSLSocket)
        return self.smtp.sock

    def names(self) -> list[str]:
        """For whom the certificate is that the relay has shown."""
        return [value for _, value in self.tls.getpeercert()["subjectAltName"]]  # type: ignore[index, misc, union-attr]

    def send(self, recipient: str) -> None:
        assert self.smtp.sendmail("anne@client.example", [recipient], LETTER) == {}

    def close(self) -> None:
        self.smtp.close()


async def say(port: int, context: ssl.SSLContext, recipient: str = "", **options: Any) -> list[str]:
    """Connect, send if there is a recipient, leave; the names that the relay has shown."""

    def talk() -> list[str]:
        client = Client(port, context, **options)
        try:
            if recipient:
                client.send(recipient)
            return client.names()
        finally:
            client.close()

    return await asyncio.to_thread(talk)


def starttls(certificate: str) -> str:
    return f"smtp-server-tls-certificate {certificate}\n<source 127.0.0.1/32>\nallow-starttls yes\n</source>\n"


async def test_each_listener_has_its_certificate_and_names_choose_others(ca: trustme.CA, sink: SinkServer, tmp_path: Path) -> None:
    smtps = free_port()
    rules = starttls(server(ca, tmp_path / "relay.pem", "relay.example"))
    rules += f"smtp-server-tls-sni-certificate {server(ca, tmp_path / 'sni.pem', '*.customer.example')}\n"
    rules += f"<smtp-listener 127.0.0.1:{smtps}>\nimmediate-tls yes\ntls-certificate {server(ca, tmp_path / 'own.pem', 'smtps.example')}\n"
    rules += "tls-allow-tlsv1.3 no\n</smtp-listener>\n"
    async with Alone(tmp_path, sink, rules) as relay:
        assert await say(relay.port, trusting(ca)) == ["relay.example"]
        assert await say(relay.port, trusting(ca), name="mail.customer.example") == ["*.customer.example"]
        assert await say(smtps, trusting(ca), "bob@there.example", at_once=True, name="smtps.example") == ["smtps.example"]
        [message] = await sink.wait_for(1)
        said = " ".join(str(message.parsed["Received"]).split())
        assert "with ESMTPS (version=TLSv1.2, cipher=ECDHE-" in said
        newest = trusting(ca)
        newest.minimum_version = ssl.TLSVersion.TLSv1_3
        assert await say(relay.port, newest) == ["relay.example"]
        with pytest.raises(ssl.SSLError):
            await say(smtps, newest, at_once=True, name="smtps.example")


async def test_a_clients_certificate_is_in_received_and_in_the_receipts(ca: trustme.CA, sink: SinkServer, tmp_path: Path) -> None:
    customers, strangers = trustme.CA(), trustme.CA()
    customers.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    rules = starttls(server(ca, tmp_path / "relay.pem", "relay.example")) + f"smtp-server-tls-ca-file {tmp_path / 'ca.pem'}\n"
    rules += "<acct-file receipts.csv>\nrecords r\nrecord-fields r rcpt, rcvTlsProtocol, rcvTlsCipher, rcvTlsClient\n</acct-file>\n"
    shop, stranger = trusting(ca), trusting(ca)
    shop.load_cert_chain(server(customers, tmp_path / "shop.pem", "shop@customer.example", common_name="Shop One"))
    stranger.load_cert_chain(server(strangers, tmp_path / "stranger.pem", "x@y.example"))
    async with Alone(tmp_path, sink, rules) as relay:
        await say(relay.port, shop, "with@there.example")
        await say(relay.port, trusting(ca), "without@there.example")
        with pytest.raises((ssl.SSLError, smtplib.SMTPException, OSError)):  # with TLS 1.3 the client learns of it as it speaks
            await say(relay.port, stranger, "never@there.example")
        messages = {message.recipients[0]: str(message.parsed["Received"]) for message in await sink.wait_for(2)}
        assert "(client certificate Shop_One)" in messages["with@there.example"]
        assert "client certificate" not in messages["without@there.example"]
        rows = await relay.until(
            lambda: [row for row in relay.records("r") if "rcvTlsProtocol" in row][1:] and relay.records("r"), "receipts"
        )
        clients = {row["rcpt"]: row.get("rcvTlsClient", "") for row in rows if "rcvTlsProtocol" in row}
        assert clients == {"with@there.example": "Shop One", "without@there.example": ""}
        assert {row["rcvTlsProtocol"] for row in rows if "rcvTlsProtocol" in row} == {"TLSv1.3"}


async def test_plain_text_behind_starttls_is_dropped_counted_and_told(ca: trustme.CA, sink: SinkServer, tmp_path: Path) -> None:
    """CVE-2011-0411: what somebody in the middle puts behind the command must not be taken for the client's words under TLS."""
    async with Alone(tmp_path, sink, starttls(server(ca, tmp_path / "relay.pem", "relay.example"))) as relay:

        def inject() -> bytes:
            sock = socket.create_connection(("127.0.0.1", relay.port), 20)
            lines = sock.makefile("rb")
            assert lines.readline().startswith(b"220")
            sock.sendall(b"EHLO x\r\n")
            while not lines.readline().startswith(b"250 "):
                pass
            sock.sendall(b"STARTTLS\r\nMAIL FROM:<evil@x.example>\r\nRCPT TO:<victim@there.example>\r\n")
            assert lines.readline().startswith(b"220 2.0.0")
            tls = trusting(ca).wrap_socket(sock, server_hostname="relay.example")
            tls.sendall(b"NOOP\r\nRCPT TO:<other@there.example>\r\n")
            said = tls.recv(1000)
            while said.count(b"\r\n") < 2:
                said += tls.recv(1000)
            tls.close()
            return said

        said = await asyncio.to_thread(inject)
        assert [line[:3] for line in said.splitlines()] == [b"250", b"503"]  # the two that came under TLS, and no MAIL before them
        assert relay.status().shards[0].traffic.starttls_injections == 1
        assert "plain text behind STARTTLS (dropped): 1 sessions" in (await relay.command("status"))[1]
        await relay.until(lambda: relay.events("plain text behind STARTTLS was dropped"), "the line in the log")
        [told] = relay.events("plain text behind STARTTLS was dropped")
        assert (told["sessions"], told["last_from"]) == (1, "127.0.0.1")


async def test_a_renewed_certificate_is_shown_to_new_sessions_and_drops_none(ca: trustme.CA, sink: SinkServer, tmp_path: Path) -> None:
    smtps, file = free_port(), tmp_path / "relay.pem"
    rules = starttls(server(ca, file, "relay.example")) + f"<smtp-listener 127.0.0.1:{smtps}>\nimmediate-tls yes\n</smtp-listener>\n"
    async with Alone(tmp_path, sink, rules) as relay:
        old = await asyncio.to_thread(Client, relay.port, trusting(ca))
        good = file.read_bytes()
        file.write_bytes(good[:200])
        await relay.until(lambda: relay.events("a certificate that changed cannot be used, the one before it stays"), "the complaint")
        assert await say(relay.port, trusting(ca)) == ["relay.example"]
        server(ca, tmp_path / "fresh.pem", "relay.example", "fresh.example")
        os.replace(tmp_path / "fresh.pem", file)
        await relay.until(lambda: relay.events("certificates changed and are in use"), "the new certificate")
        assert await say(relay.port, trusting(ca)) == ["relay.example", "fresh.example"]
        assert await say(smtps, trusting(ca), at_once=True, name="fresh.example") == ["relay.example", "fresh.example"]
        await asyncio.to_thread(old.send, "bob@there.example")
        old.close()
        assert len(relay.events("a certificate that changed cannot be used, the one before it stays")) == 1


async def test_a_shard_that_is_started_again_carries_mail_whatever_the_certificate_is(
    ca: trustme.CA, sink: SinkServer, tmp_path: Path
) -> None:
    file = tmp_path / "relay.pem"
    async with Alone(tmp_path, sink, starttls(server(ca, file, "relay.example"))) as relay:
        good = file.read_bytes()
        file.write_bytes(b"")
        os.kill(relay.status().pids[0], 9)
        await relay.until(lambda: relay.events("a certificate cannot be used, and there is no TLS where it is wanted"), "the new shard")
        await relay.until(lambda: len(relay.events("shard ready")) == 2, "the new shard")
        await relay.load(["there.example"])
        await sink.wait_for(1)
        file.write_bytes(good)
        await relay.until(lambda: relay.events("certificates changed and are in use"), "the certificate")
        assert await say(relay.port, trusting(ca)) == ["relay.example"]


@pytest.mark.skipif(bool(openssl.missing()), reason=openssl.missing())
async def test_a_client_resumes_at_whichever_shard_takes_it(ca: trustme.CA, sink: SinkServer, tmp_path: Path) -> None:
    async with Alone(tmp_path, sink, starttls(server(ca, tmp_path / "relay.pem", "relay.example")), shards=2) as relay:

        def returns() -> int:
            """Sessions held open so that the other shard, which has fewer, takes the next; each brings the first one's ticket."""
            context = trusting(ca)
            context.maximum_version = ssl.TLSVersion.TLSv1_2  # its tickets may be shown again and again
            first = Client(relay.port, context)
            session, reused, open_ones = first.tls.session, 0, [first]
            for _ in range(8):
                sock = socket.create_connection(("127.0.0.1", relay.port), 20)
                smtp = smtplib.SMTP(timeout=20)
                smtp.sock = sock
                smtp.getreply()
                smtp.ehlo()
                assert smtp.docmd("STARTTLS")[0] == 220
                tls = context.wrap_socket(sock, server_hostname="relay.example", session=session)
                reused += tls.session_reused is True
                smtp.sock = tls
                again = Client.__new__(Client)
                again.smtp = smtp
                open_ones.append(again)
            shares = [shard.connections_in for shard in relay.status().shards]
            assert min(shares) >= 2, shares
            for one in open_ones:
                one.close()
            return reused

        assert await asyncio.to_thread(returns) == 8
