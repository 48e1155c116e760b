"""Delivery reports: when they are due, that others can read them, and that nothing of a peer breaks out."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from typing import Any

import pytest
from flufl.bounce import all_failures, scan_message
from hypothesis import given
from hypothesis import strategies as st

from postwright.content import dsn
from postwright.content.dsn import RecipientReport, ReportKind
from postwright.content.dsn_template import Words
from postwright.model.address import NULL_PATH, Address, parse_mailbox
from postwright.model.envelope import Envelope, Notify, Recipient
from postwright.model.message import Arrival, Message
from postwright.wire.body import scan

NOW = 1_795_515_476.0
CONTENT = b"From: a@b.example\r\nMessage-ID: <x@y.example>\r\nSubject: hi\r\n\r\nbody\r\n"
BOB = RecipientReport("bob@c.example", "rfc822;bob@c.example", "5.1.1", "smtp;550 5.1.1 no such user", "mx.c.example (192.0.2.1)", NOW)


def message(content: bytes = CONTENT, sender: Address | None = None, envid: str = "Q1") -> Message:
    envelope = Envelope(sender or parse_mailbox("sender@b.example"), [Recipient(parse_mailbox("bob@c.example"))], envid=envid)
    return Message(1, NOW - 60, envelope, scan(content), Arrival(), vmta="mta1")


def build(kind: ReportKind = "failed", recipients: tuple[RecipientReport, ...] = (BOB,), content: bytes = CONTENT, **other: Any) -> bytes:
    what: dict[str, Any] = {
        "host": "mail.example",
        "now": NOW,
        "message_id": "abc",
        "from_header": "",
        "full": False,
        "boundary": "=_cut",
        "original": message(content),
    } | other
    return dsn.build(kind, recipients=recipients, content=content, **what)


def parsed(octets: bytes) -> tuple[EmailMessage, list[EmailMessage]]:
    """As Python reads it, with the marks of a sound report checked."""
    assert b"\n" not in octets.replace(b"\r\n", b"")
    assert b"\r" not in octets.replace(b"\r\n", b"")
    facts = scan(octets)
    assert not facts.binary
    whole = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(whole, EmailMessage)
    assert not whole.defects
    assert whole.get_content_type() == "multipart/report"
    assert whole["Content-Type"].params["report-type"] == "delivery-status"
    assert whole["Auto-Submitted"] == "auto-replied"
    assert (whole["Content-Transfer-Encoding"] or "7bit") == ("8bit" if facts.eight_bit else "7bit")
    parts = [part for part in whole.iter_parts() if isinstance(part, EmailMessage)]
    assert len(parts) == 3
    return whole, parts


def status_blocks(part: EmailMessage) -> list[dict[str, str]]:
    payload = part.get_payload()
    assert isinstance(payload, list)
    return [{name: str(value).replace("\r\n", "") for name, value in block.items()} for block in payload if isinstance(block, EmailMessage)]


def test_failed() -> None:
    octets = build()
    whole, (words, status, header) = parsed(octets)
    assert whole["From"] == "Mail Delivery System <MAILER-DAEMON@mail.example>"
    assert whole["To"] == "sender@b.example"
    assert whole["In-Reply-To"] == whole["References"] == "<x@y.example>"
    assert whole["Message-ID"] == "<abc@mail.example>"
    said = words.get_content().replace("\r\n", "\n")
    assert "could not be delivered to:" in said
    assert "<bob@c.example>\n    Bad destination mailbox address (5.1.1).\n" in said
    assert "mx.c.example (192.0.2.1) said: 550 5.1.1 no such user" in said
    assert all(len(line) <= 76 for line in said.splitlines())
    assert status.get_content_type() == "message/delivery-status"
    assert status_blocks(status) == [
        {
            "Original-Envelope-Id": "Q1",
            "Reporting-MTA": "dns;mail.example",
            "Arrival-Date": "Tue, 24 Nov 2026 10:16:56 +0000",
            "X-PowerMTA-VirtualMTA": "mta1",
        },
        {
            "Original-Recipient": "rfc822;bob@c.example",
            "Final-Recipient": "rfc822;bob@c.example",
            "Action": "failed",
            "Status": "5.1.1 (bad destination mailbox address)",
            "Remote-MTA": "dns;mx.c.example (192.0.2.1)",
            "Diagnostic-Code": "smtp;550 5.1.1 no such user",
            "Last-Attempt-Date": "Tue, 24 Nov 2026 10:17:56 +0000",
        },
    ]
    assert header.get_content_type() == "text/rfc822-headers"
    assert "Subject: hi" in header.get_content()
    assert "body" not in header.get_content()
    assert octets.isascii()


def test_a_bounce_processor_finds_the_failure() -> None:
    two = (BOB, RecipientReport("eve@d.example", status="5.4.4"))
    assert scan_message(email.message_from_bytes(build(recipients=two))) == {b"bob@c.example", b"eve@d.example"}
    late = RecipientReport("bob@c.example", status="4.4.1", will_retry_until=NOW + 3600)
    assert all_failures(email.message_from_bytes(build("delayed", (late,)))) == (frozenset((b"bob@c.example",)), frozenset())
    assert scan_message(email.message_from_bytes(build("delivered", (RecipientReport("bob@c.example", status="2.0.0"),)))) == set()


@pytest.mark.parametrize(
    ("kind", "recipient", "subject", "fields"),
    [
        (
            "delayed",
            RecipientReport("bob@c.example", status="4.4.1", will_retry_until=NOW + 3600),
            "Delayed mail",
            {"Action": "delayed", "Status": "4.4.1 (no answer from host)", "Will-Retry-Until": "Tue, 24 Nov 2026 11:17:56 +0000"},
        ),
        (
            "delivered",
            RecipientReport("bob@c.example", status="2.0.0"),
            "Delivered mail",
            {"Action": "delivered", "Status": "2.0.0 (success)"},
        ),
        ("relayed", RecipientReport("bob@c.example", status="2.0.0"), "Relayed mail", {"Action": "relayed", "Status": "2.0.0 (success)"}),
        ("failed", RecipientReport("bob@c.example", status="rubbish"), "Undelivered mail", {"Status": "5.0.0 (undefined status)"}),
        ("delayed", RecipientReport("bob@c.example", status="5"), "Delayed mail", {"Status": "4.0.0 (undefined status)"}),
        ("relayed", RecipientReport("bob@c.example", status="\r\nA: b"), "Relayed mail", {"Status": "2.0.0 (success)"}),
        (
            "failed",
            RecipientReport("bob@c.example", diagnostic="x-pma;bounce-queue", will_retry_until=NOW),
            "Undelivered mail",
            {"Diagnostic-Code": "x-pma;bounce-queue", "Last-Attempt-Date": "Tue, 24 Nov 2026 10:17:56 +0000"},
        ),
    ],
)
def test_kinds(kind: ReportKind, recipient: RecipientReport, subject: str, fields: dict[str, str]) -> None:
    whole, (words, status, _) = parsed(build(kind, (recipient,)))
    assert str(whole["Subject"]).startswith(subject)
    block = status_blocks(status)[1]
    assert block | fields == block
    assert ("Will-Retry-Until" in block) == (kind == "delayed" and "Will-Retry-Until" in fields)
    assert ("tried until" in words.get_content()) == ("Will-Retry-Until" in fields)


def test_full_message_is_returned_as_it_was() -> None:
    whole, parts = parsed(build(full=True))
    assert parts[2].get_content_type() == "message/rfc822"
    assert parts[2].get_content().as_bytes(policy=email.policy.SMTP) == CONTENT
    assert whole["Content-Transfer-Encoding"] is None


def test_eight_bit_message_makes_an_eight_bit_report() -> None:
    content = CONTENT + "d\u00f6ner\r\n".encode()
    octets = build(content=content, full=True)
    _, parts = parsed(octets)
    assert parts[2]["Content-Transfer-Encoding"] == "8bit"
    assert content in octets
    assert build(content=content, full=False).isascii()


@pytest.mark.parametrize(
    ("header", "media"),
    [
        ("Subject: d\u00f6ner\r\n\r\n".encode(), "message/global-headers"),
        (b"Subject: d\xf6ner\r\n\r\n", "text/rfc822-headers"),
        (b"Subject: a\rb\0c\nd\r\n\r\n", "text/rfc822-headers"),
        (b"Subject: " + b"x" * 2000 + b"\r\n\r\n", "text/rfc822-headers"),
        (b"", "text/rfc822-headers"),
        (b"no header at all", "text/rfc822-headers"),
    ],
)
def test_odd_headers(header: bytes, media: str) -> None:
    _, parts = parsed(build(content=header))
    assert parts[2].get_content_type() == media
    if "\0" in header.decode("latin-1") or len(header) > 998:
        assert parts[2].get_payload(decode=True) == header


@pytest.mark.parametrize(("lines", "size"), [(b"X-Long: " + b"y" * 70 + b"\r\n", 65520), (b"y" * 90_000, 65536)])
def test_a_header_section_without_end_is_cut(lines: bytes, size: int) -> None:
    content = lines * (200_000 // len(lines))
    _, parts = parsed(build(content=content))
    returned = parts[2].get_payload(decode=True)
    assert isinstance(returned, bytes)
    assert content.startswith(returned.removesuffix(b"\r\n"))
    assert size - 100 < len(returned) <= size + 2


def test_binary_message_is_never_returned_whole() -> None:
    _, parts = parsed(build(content=CONTENT + b"\0\r\n", full=True))
    assert parts[2].get_content_type() == "text/rfc822-headers"


def test_utf8_message_returned_whole_is_global() -> None:
    content = "Subject: d\u00f6ner\r\n\r\nbody\r\n".encode()
    octets = build(content=content, full=True)
    assert b"Content-Type: message/global\r\n" in octets
    assert content in octets


def test_international_address() -> None:
    wide = RecipientReport("d\u00f6ner@c.example", "utf-8;d\u00f6ner@c.example", "5.1.1", "smtp;550 no d\u00f6ner here")
    _, parts = parsed(build(recipients=(wide,), original=message(sender=parse_mailbox("\u00fcser@b.example", smtputf8=True))))
    assert parts[1].get_content_type() == "message/global-delivery-status"
    octets = build(recipients=(wide,))
    assert "Final-Recipient: utf-8;d\u00f6ner@c.example\r\n".encode() in octets
    assert "Diagnostic-Code: smtp;550 no d\u00f6ner here\r\n".encode() in octets
    assert parts[0].get_content_charset() == "utf-8"


def test_a_peer_that_speaks_utf8_about_an_ascii_address() -> None:
    assert build(recipients=(RecipientReport("a@c.example", diagnostic="smtp;550 d\u00f6ner"),)).isascii()


def test_custom_from_and_free_boundary() -> None:
    content = b"Subject: --=_cut\r\n\r\n--=_cut-1\r\n--=_cut-2"
    whole, parts = parsed(build(content=content, full=True, from_header="Post <post@mail.example>\r\nEvil: x"))
    assert whole["From"].startswith("Post <post@mail.example>")
    assert "Evil" not in whole
    assert whole.get_boundary() == "=_cut-3"
    assert len(parts) == 3


def test_words_of_the_operator_that_quote_a_receiver_end_no_part() -> None:
    evil = "It failed:\n--=_cut\nContent-Type: text/html\n\n<b>hello</b>\n"
    whole, parts = parsed(build(words=Words(body=evil)))
    assert whole.get_boundary() == "=_cut-1"
    assert len(parts) == 3
    assert "--=_cut\r\n" in parts[0].get_content()


def test_no_message_id_no_thread() -> None:
    whole, _ = parsed(build(content=b"Message-ID: <a b>\r\n\r\n", original=message(envid="")))
    assert "In-Reply-To" not in whole


@pytest.mark.parametrize(
    ("host", "name"), [("mx.c.example", "mx.c.example"), ("192.0.2.1", "[192.0.2.1]"), ("2001:db8::1", "[IPv6:2001:db8::1]")]
)
def test_an_address_as_remote_mta_stands_in_brackets(host: str, name: str) -> None:
    octets = build(recipients=(RecipientReport("a@c.example", remote_mta=host),))
    assert f"\r\nRemote-MTA: dns;{name}\r\n".encode() in octets


def test_long_values_are_folded_or_cut_but_never_too_long() -> None:
    words = RecipientReport("a@c.example", diagnostic="smtp;550 " + "word " * 60, remote_mta="m" * 5000)
    solid = RecipientReport("a@c.example", diagnostic="smtp;550" + "x" * 5000, orcpt="rfc822;" + "y" * 3000)
    half = RecipientReport("a@c.example", diagnostic="smtp;" + "x" * 200 + " end" + " " * 200 + "of it")
    octets = build(recipients=(words, solid, half))
    assert b"x\r\n end of it\r\n" in octets
    wide = build(recipients=(RecipientReport("\u00fc" * 3000),))
    assert max(map(len, wide.split(b"\r\n"))) <= 998
    _, parts = parsed(octets)
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    blocks = parts[1].get_payload()
    assert isinstance(blocks, list)
    assert len(blocks) == 4


HOSTILE = st.text(st.characters(codec="utf-8"), max_size=60) | st.text("\r\n\t -=_cut:;<>\0\x85\u2028\u00fc", max_size=60)


@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, st.binary(max_size=120), st.booleans())
def test_nothing_breaks_out(
    address: str, orcpt: str, status: str, diagnostic: str, mta: str, envid: str, content: bytes, full: bool
) -> None:
    recipient = RecipientReport(address, orcpt, status, diagnostic, mta)
    octets = build(recipients=(recipient,), content=content, full=full, original=message(content, envid=envid))
    _, parts = parsed(octets)
    if parts[1].get_content_type() == "message/delivery-status":
        payload = parts[1].get_payload()
        assert isinstance(payload, list)
        blocks = [block for block in payload if isinstance(block, EmailMessage)]
        assert len(payload) == len(blocks)
        assert len(blocks) == 2
        assert (
            {"Reporting-MTA", "Arrival-Date", "X-PowerMTA-VirtualMTA"}
            <= set(blocks[0].keys())
            <= {
                "Original-Envelope-Id",
                "Reporting-MTA",
                "Arrival-Date",
                "X-PowerMTA-VirtualMTA",
            }
        )
        assert blocks[1].get_all("Action") == ["failed"]


@pytest.mark.parametrize(
    ("notify", "failed", "delayed", "delivered", "relayed"),
    [
        (Notify.ABSENT, True, False, False, False),
        (Notify.NEVER, False, False, False, False),
        (Notify.FAILURE, True, False, False, False),
        (Notify.DELAY, False, True, False, False),
        (Notify.SUCCESS, False, False, True, True),
        (Notify.SUCCESS | Notify.FAILURE, True, False, True, True),
        (Notify.SUCCESS | Notify.FAILURE | Notify.DELAY, True, True, True, True),
        (Notify.NEVER | Notify.SUCCESS, False, False, False, False),
    ],
)
def test_due(notify: int, failed: bool, delayed: bool, delivered: bool, relayed: bool) -> None:
    for kind, wanted in (("failed", failed), ("delayed", delayed), ("delivered", delivered), ("relayed", relayed)):
        assert dsn.due(kind, notify, False) == wanted  # type: ignore[arg-type]
        assert not dsn.due(kind, notify, True)  # type: ignore[arg-type]


def test_null_path_in_to() -> None:
    whole, _ = parsed(build(original=message(sender=NULL_PATH)))
    assert whole["To"] is not None
