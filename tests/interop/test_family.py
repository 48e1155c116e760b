"""Relaying from and to Postfix, Exim, OpenSMTPD and Sendmail: what is hard to carry arrives as it was, and the table of who agreed on what.

Each story goes both ways through each server, and ends at a sink. About twenty seconds.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from tests.interop.family import BARE, Family
from tests.interop.family_page import PAGE, fill, render, takes_utf8
from tests.interop.family_servers import SENDMAIL_RCPTS, SERVERS, SIZE_LIMIT
from tests.interop.peers import CONTENT

from postwright.testing.sink import SinkMessage
from postwright.testing.source import SourceClient

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.xdist_group("family"),
    pytest.mark.needs("root", *(program for program, _ in SERVERS.values())),
]
TOO_LONG = CONTENT + b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n" * (SIZE_LIMIT // 60)
both_ways = pytest.mark.parametrize("way", ["from", "to"])
each = pytest.mark.parametrize("name", list(SERVERS))


def body(content: bytes) -> bytes:
    return content.partition(b"\r\n\r\n")[2]


def assert_same(message: SinkMessage, content: bytes) -> None:
    """The body octet for octet, and every header field as it was; hops may add fields, and change the order of the others."""
    assert body(message.content) == body(content)
    assert not message.has_bare_cr_or_lf
    fields = re.split(rb"\r\n(?![ \t])", message.content.partition(b"\r\n\r\n")[0])
    sent = re.split(rb"\r\n(?![ \t])", content.partition(b"\r\n\r\n")[0])
    assert Counter(sent) <= Counter(fields)


@each
@both_ways
async def test_dots_long_lines_and_eight_bits(family: Family, name: str, way: str) -> None:
    rcpt = f"hard@{family.domain(name, way)}"
    content = CONTENT + b"Gr\xc3\xbc\xc3\x9fe\r\n\xff\xfe\x80 no text of any kind\r\n"
    sent = await family.send(name, way, content, [rcpt], mail="BODY=8BITMIME")
    assert sent.final.code == 250
    [message] = await family.arrived(name, rcpt)
    assert_same(message, content)


@each
@both_ways
async def test_five_megabytes(family: Family, name: str, way: str) -> None:
    rcpt = f"large@{family.domain(name, way)}"
    content = CONTENT + (b"%063d\r\n" * 80_000) % tuple(range(80_000))
    sent = await family.send(name, way, content, [rcpt])
    assert sent.final.code == 250
    [message] = await family.arrived(name, rcpt)
    assert len(content) > 5_000_000
    assert_same(message, content)


@each
@both_ways
async def test_a_thousand_recipients_once_each(family: Family, name: str, way: str) -> None:
    """Sendmail is told to take no more than a hundred at a time: the others hear 452, and are for the next transaction."""
    domain = family.domain(name, way)
    wanted = [f"r{number}@{domain}" for number in range(1_000)]
    step = SENDMAIL_RCPTS if (name, way) == ("Sendmail", "from") else len(wanted)
    for at in range(0, len(wanted), step):
        sent = await family.send(name, way, CONTENT, wanted[at : at + step])
        assert sent.final.code == 250
    messages = await family.arrived(name, *wanted)
    assert Counter(rcpt for message in messages for rcpt in message.recipients) == Counter(wanted)
    for message in messages:
        assert_same(message, CONTENT)


@each
@both_ways
async def test_the_null_sender_stays_null(family: Family, name: str, way: str) -> None:
    rcpt = f"null@{family.domain(name, way)}"
    sent = await family.send(name, way, CONTENT, [rcpt], sender="")
    assert sent.final.code == 250
    [message] = await family.arrived(name, rcpt)
    assert message.sender == ""


@each
async def test_a_message_without_a_last_line_end(family: Family, name: str) -> None:
    """BDAT may carry one; where the server takes no BDAT, DATA cannot say it, and a line end is added."""
    rcpt = f"open@{family.domain(name, 'to')}"
    async with await SourceClient.connect("127.0.0.1", family.port) as client:
        await client.ehlo("client.example")
        sent = await client.send("anne@client.example", [rcpt], CONTENT + b"no end", chunk=500)
    assert sent.final.code == 250
    [message] = await family.arrived(name, rcpt)
    assert body(message.content) in (body(CONTENT) + b"no end", body(CONTENT) + b"no end\r\n")


@each
@both_ways
async def test_cyrillic_and_chinese(family: Family, name: str, way: str) -> None:
    """With SMTPUTF8, addresses arrive as they are; servers without refuse, and what we have for them goes back (RFC 6531 section 3.6)."""
    domain = family.domain(name, way)
    content = "From: Анна <анна@почта.example>\r\nSubject: 你好\r\n\r\nпривет\r\n".encode()
    for number, rcpt in enumerate((f"иван@почта.{domain}", f"用户@例子.{domain}")):
        sender = f"анна{number}@{way}.{name.lower()}.example"
        sent = await family.send(name, way, content, [rcpt], mail="BODY=8BITMIME SMTPUTF8", sender=sender)
        if takes_utf8(name):
            [message] = await family.arrived(name, rcpt)
            assert_same(message, content)
            assert (message.sender, "SMTPUTF8" in message.sender_params) == (sender, True)
        elif way == "from":
            assert sent.mail.code in (501, 553, 555), "it knows the parameter not, or the address"
        else:
            assert sent.final.code == 250
            row = await family.record("b", rcpt)
            assert row["dsnStatus"].startswith("5.6.7 ")
            [report] = await family.arrived(name, sender)
            assert b"Final-Recipient: utf-8;" in report.content


@each
@both_ways
async def test_parameters_of_reports_are_passed_on(family: Family, name: str, way: str) -> None:
    """All four offer DSN: who is at the end gets ENVID and ORCPT as our client said them, and the report is for it to make."""
    rcpt = f"dsn@{family.domain(name, way)}"
    sent = await family.send(
        name, way, CONTENT, [rcpt], mail="RET=HDRS ENVID=QQ2718", rcpt="NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;first@there.example"
    )
    assert sent.final.code == 250
    [message] = await family.arrived(name, rcpt)
    assert set(message.sender_params.split()) >= {"RET=HDRS", "ENVID=QQ2718"}
    assert "ORCPT=rfc822;first@there.example" in message.recipient_params[0]
    assert set(re.search(r"NOTIFY=(\S+)", message.recipient_params[0])[1].split(",")) == {"SUCCESS", "FAILURE"}  # type: ignore[index]


@each
async def test_longer_than_we_take_is_theirs_to_return(family: Family, name: str) -> None:
    """Refused by us, or by the server itself: at MAIL where it looks at SIZE (OpenSMTPD does not), else at the end."""
    rcpt = f"huge@{family.domain(name, 'from')}"
    sent = await family.send(name, "from", TOO_LONG, [rcpt], mail=f"SIZE={len(TOO_LONG)}")
    assert sent.final.code in (552, 554), sent
    assert (sent.mail.code == 250) is (name == "OpenSMTPD")


@each
async def test_longer_than_they_take_is_returned_unsent(family: Family, name: str) -> None:
    """RFC 1870 section 6.1: what the receiver would refuse after six megabytes is refused before, and our client hears of it."""
    rcpt, sender = f"huge@{family.domain(name, 'to')}", f"huge@{name.lower()}.example"
    sent = await family.send(name, "to", TOO_LONG, [rcpt], mail="RET=HDRS", sender=sender)
    assert sent.final.code == 250
    row = await family.record("b", rcpt)
    assert row["dsnStatus"].startswith("5.3.4 ")
    [report] = await family.arrived(name, sender)
    assert f"Final-Recipient: rfc822;{rcpt}".encode() in report.content.replace(b"; ", b";")


async def test_where_no_reports_are_offered_we_make_them(family: Family) -> None:
    """RFC 3461 section 5.2.2: NOTIFY=SUCCESS, and the next hop knows no DSN: `relayed`, by us, and nothing of it is sent on."""
    rcpt, sender = f"plain@{BARE}", "wants-to-know@client.example"
    sent = await family.send("Exim", "to", CONTENT, [rcpt], mail="RET=HDRS ENVID=QQ31", rcpt="NOTIFY=SUCCESS", sender=sender)
    assert sent.final.code == 250
    [message] = await family.arrived("Exim", rcpt)
    assert_same(message, CONTENT)
    assert ("ENVID" in message.sender_params, "NOTIFY" in message.recipient_params[0]) == (False, False)
    [report] = await family.arrived("Exim", sender)
    assert (b"Action: relayed" in report.content, b"Original-Envelope-Id: QQ31" in report.content) == (True, True)


async def test_the_page_is_what_was_said(family: Family) -> None:
    release = Path("/etc/os-release")
    if "VERSION_CODENAME=bookworm" not in (release.read_text() if release.exists() else ""):
        pytest.skip("the page is of the mail systems of Debian 12; to enable: ./dev test on that")
    page = render(await fill(family))
    assert page == PAGE.read_text("utf-8"), "run: ./dev exec python -m tests.interop.family_page docs/reference/family.md"
