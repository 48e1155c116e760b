"""Delivery to a real Postfix and a real Exim: every extension they offer is used, content arrives octet for octet, and reports come home.

Judged by what lies in their mailboxes, by what they say in Received and in reports of their own, and by our accounting.
"""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest
from flufl.bounce import scan_message
from tests.interop.mtas import SIZE_LIMIT, Mta, running_exim, running_postfix, take
from tests.interop.peers import CONTENT, Needs, Relay, StartRelay

from postwright.testing.source import SourceClient

ANNE, BOB, EVE = "anne@client.example", "bob@there.example", "eve@there.example"
HEAD = b"From: <anne@client.example>\r\nDate: Tue, 24 Nov 2026 10:17:56 +0000\r\nMessage-ID: <2.interop@client.example>\r\n"
TYPE = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"


@pytest.fixture(scope="module", params=["postfix", "exim4"])
def running(request: pytest.FixtureRequest, needs: Needs, certificate: Path) -> Iterator[Mta]:
    needs("root")
    start = {"postfix": running_postfix, "exim4": running_exim}[request.param]
    with start(needs(request.param), certificate) as mta:
        yield mta


@pytest.fixture
def mta(running: Mta) -> Mta:
    """With empty mailboxes."""
    for path in (running.folder / "mail").glob("*/new/*"):
        path.unlink()
    return running


def rules(mta: Mta) -> str:
    return f"""
<acct-file acct.csv>
    record-fields d *, dlvTlsProtocol
</acct-file>
<source 127.0.0.1/32>
    always-allow-relaying yes
</source>
<domain *>
    smtp-hosts [127.0.0.1]:{mta.port}
</domain>
"""


async def send(relay: Relay, content: bytes, *recipients: str, mail: str = "", rcpt: str = "") -> None:
    """Hands us a message; `mail` and `rcpt` are parameters of these commands."""
    async with await SourceClient.connect("127.0.0.1", relay.port) as client:
        await client.ehlo("client.example")
        sent = await client.send(ANNE, recipients, content, mail_params=mail, rcpt_params=rcpt)
        assert sent.final.code == 250, sent


def below_received(message: bytes) -> bytes:
    """The content below the fields that the two relays wrote on top: an MTA's own, its Received, and ours."""
    head, found, rest = message.partition(b"by relay.example with ")
    assert found, message[:2000]
    assert head.count(b"Received: ") == 2
    return rest.partition(b"+0000\r\n")[2]


async def test_content_is_the_same(mta: Mta, start_relay: StartRelay) -> None:
    relay = await start_relay(rules(mta))
    await send(relay, CONTENT, BOB)
    [message] = await take(mta, "bob")
    assert below_received(message) == CONTENT
    [row] = await relay.wait_for_records("d", 1)
    assert (row["rcpt"], row["dsnMta"], row["dsnDiag"][:8]) == (BOB, "127.0.0.1 (127.0.0.1)", "smtp;250")
    offered = set(row["dlvEsmtpAvailable"].split(","))
    assert offered >= {"8BITMIME", "CHUNKING", "DSN", "PIPELINING", "SMTPUTF8", "SIZE"}


async def test_tls_8bitmime_and_smtputf8_are_used(mta: Mta, start_relay: StartRelay) -> None:
    relay = await start_relay(rules(mta))
    content = HEAD + TYPE + "Subject: Grüße\r\n\r\n日本\r\n".encode()
    await send(relay, content, "grün@there.example", mail="BODY=8BITMIME SMTPUTF8")
    [message] = await take(mta, "bob")
    assert below_received(message) == content
    received = message.partition(b"Received: ")[2].partition(b"\r\nReceived: ")[0].lower()
    assert re.search(rb"with utf8e?smtps", received)  # RFC 6531 section 4.3; Exim has a word of its own
    assert b"tls" in received
    [row] = await relay.wait_for_records("d", 1)
    assert row["dlvTlsProtocol"] == "TLSv1.3"


async def test_a_thousand_lines_for_two(mta: Mta, start_relay: StartRelay) -> None:
    """One transaction for both, pipelined, with many dots and a body of more than one TCP segment."""
    content = HEAD + b"Subject: dots\r\n\r\n" + b".\r\n..\r\n.x\r\n" * 5_000
    relay = await start_relay(rules(mta))
    await send(relay, content, BOB, EVE)
    for user in ("bob", "eve"):
        [message] = await take(mta, user)
        assert below_received(message) == content
    rows = await relay.wait_for_records("d", 2)
    assert len({row["dsnDiag"] for row in rows}) == 1, "the same reply to one end of data"


async def test_a_hundred_messages_arrive_once_each(mta: Mta, start_relay: StartRelay) -> None:
    relay = await start_relay(rules(mta))
    async with await SourceClient.connect("127.0.0.1", relay.port) as client:
        await client.ehlo("client.example")
        for number in range(100):
            sent = await client.send(ANNE, [BOB], f"Subject: {number}\r\n\r\nhello\r\n".encode())
            assert sent.final.code == 250
    messages = await take(mta, "bob", 100)
    assert sorted(int(parse(message)["Subject"]) for message in messages) == list(range(100))
    assert len(await relay.wait_for_records("d", 100)) == 100


async def test_too_big_for_its_size(mta: Mta, start_relay: StartRelay) -> None:
    """SIZE: what the receiver would refuse after a megabyte is refused before it; the sender hears of it."""
    relay = await start_relay(rules(mta))
    await send(relay, HEAD + b"Subject: big\r\n\r\n" + b"x" * 98 + b"\r\n" * (SIZE_LIMIT // 2), BOB)
    [row] = await relay.wait_for_records("b", 1)
    assert row["dsnStatus"].startswith("5.3.4 ")
    [report] = await take(mta, "anne")
    _, about_recipient = status_of(parse(report))
    assert (about_recipient["Final-Recipient"], about_recipient["Status"].split()[0]) == (f"rfc822;{BOB}", "5.3.4")


async def test_unknown_recipient_bounces_home(mta: Mta, start_relay: StartRelay) -> None:
    relay = await start_relay(rules(mta))
    await send(relay, CONTENT, "nobody@there.example", BOB, mail="RET=HDRS ENVID=QQ314159", rcpt="ORCPT=rfc822;first@there.example")
    [row] = await relay.wait_for_records("b", 1)
    assert (row["rcpt"], row["bounceCat"], row["dsnDiag"][:8]) == ("nobody@there.example", "bad-mailbox", "smtp;550")
    [report] = await take(mta, "anne")
    assert scan_message(email.message_from_bytes(report)) == {b"first@there.example"}
    parsed = parse(report)
    assert (parsed.get_content_type(), parsed["Return-Path"]) == ("multipart/report", "<>")
    about_message, about_recipient = status_of(parsed)
    assert (about_message["Reporting-MTA"], about_message["Original-Envelope-Id"]) == ("dns;relay.example", "QQ314159")
    assert (about_recipient["Action"], about_recipient["Original-Recipient"]) == ("failed", "rfc822;first@there.example")
    assert (about_recipient["Final-Recipient"], about_recipient["Remote-MTA"]) == ("rfc822;nobody@there.example", "dns;[127.0.0.1]")
    assert about_recipient["Diagnostic-Code"].startswith("smtp;550")
    assert b"text/rfc822-headers" in report
    assert b"x" * 998 not in report, "RET=HDRS: the body stays away"
    [good] = await take(mta, "bob")
    assert below_received(good) == CONTENT


async def test_dsn_parameters_are_passed_on(mta: Mta, start_relay: StartRelay) -> None:
    """RFC 3461: they speak DSN, so the success is theirs to report, with our client's envelope id and original recipient."""
    relay = await start_relay(rules(mta))
    await send(relay, CONTENT, BOB, mail="RET=HDRS ENVID=QQ2718", rcpt="NOTIFY=SUCCESS ORCPT=rfc822;first@there.example")
    [report] = await take(mta, "anne")
    about_message, about_recipient = status_of(parse(report))
    assert (about_message["Reporting-MTA"], about_message["Original-Envelope-Id"]) == (f"dns;{mta.name}", "QQ2718")
    assert (about_recipient["Action"], about_recipient["Original-Recipient"]) == ("delivered", "rfc822;first@there.example")
    assert await take(mta, "bob")


def parse(message: bytes) -> Message:
    return email.message_from_bytes(message, policy=email.policy.compat32)


def status_of(report: Message) -> tuple[dict[str, str], dict[str, str]]:
    """The fields about the message and those about its one recipient (RFC 3464 section 2.1); blanks behind `;` mean nothing."""
    part = next(part for part in report.walk() if part.get_content_type() == "message/delivery-status")
    about_message, about_recipient = [{name: value.replace("; ", ";", 1) for name, value in group.items()} for group in part.get_payload()]
    # Exim writes Original-Envelope-ID
    return {name.replace("-ID", "-Id"): value for name, value in about_message.items()}, about_recipient
