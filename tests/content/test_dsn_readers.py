"""The reports that we send, read by three: Python's email, flufl.bounce and our own reader see the same recipients and statuses."""

from __future__ import annotations

import email
from email.message import Message as Parsed

import pytest
from flufl.bounce import all_failures
from tests.content.test_dsn import BOB, CONTENT, NOW, build

from postwright.content.dsn import RecipientReport, ReportKind
from postwright.content.reports import StatusReport, read

EVE = RecipientReport(
    "eve@d.example", "rfc822;eve@d.example", "4.4.1", "smtp;451 4.4.1 no answer", "mx.d.example (192.0.2.9)", NOW, NOW + 7200
)
WIDE = RecipientReport("jörg@bücher.example", "utf-8;jörg@bücher.example", "5.1.1", "smtp;550 5.1.1 unbekannt: jörg", "mx.example", NOW)
ODD = RecipientReport('"a b"@c.example', "", "5.7.1", 'smtp;554 5.7.1 "no"; see\r\nFinal-Recipient: rfc822; x@y.example', "", NOW)


def by_python(content: bytes) -> list[tuple[str, str, str]]:
    """Address, action and status of each block of the second part."""
    whole = email.message_from_bytes(content)
    blocks = next(part for part in whole.walk() if part.get_content_type().endswith("delivery-status")).get_payload()
    assert isinstance(blocks, list)
    found = []
    for block in blocks[1:]:
        assert isinstance(block, Parsed)
        found.append((str(block["Final-Recipient"]).partition(";")[2].strip(), str(block["Action"]), str(block["Status"]).split()[0]))
    return found


def ours(content: bytes) -> StatusReport:
    reading = read(content, null_sender=True)
    assert isinstance(reading, StatusReport)
    return reading


@pytest.mark.parametrize("kind", ["failed", "delayed", "delivered", "relayed"])
@pytest.mark.parametrize("full", [False, True])
def test_three_readers_agree(kind: ReportKind, full: bool) -> None:
    content = build(kind, (BOB, EVE), full=full)
    expected = [("bob@c.example", kind, "5.1.1"), ("eve@d.example", kind, "4.4.1")]
    found = ours(content)
    assert [(one.address, one.action, one.status) for one in found.recipients] == by_python(content) == expected
    temporary, permanent = all_failures(email.message_from_bytes(content))
    theirs = {"failed": permanent, "delayed": temporary}.get(kind, set())
    assert theirs == ({b"bob@c.example", b"eve@d.example"} if kind in ("failed", "delayed") else set())


def test_every_value_comes_back() -> None:
    found = ours(build("failed", (BOB, EVE), full=True))
    bob, eve = found.recipients
    assert (found.format, found.envelope_id, found.reporting_mta, found.arrival) == ("rfc3464", "Q1", "mail.example", NOW - 60)
    assert (bob.original, bob.diagnostic, bob.remote_mta, bob.last_attempt) == (BOB.orcpt, BOB.diagnostic, "mx.c.example", NOW)
    assert (eve.original, eve.diagnostic, eve.permanent, bob.permanent) == (EVE.orcpt, EVE.diagnostic, False, True)
    assert found.returned.find("message-id") == "<x@y.example>"
    assert found.returned.octets.replace(b"\n", b"\r\n") == CONTENT.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def test_international_addresses() -> None:
    (one,) = ours(build("failed", (WIDE,))).recipients
    assert (one.address, one.original, one.diagnostic) == ("jörg@bücher.example", "utf-8;jörg@bücher.example", WIDE.diagnostic)


def test_what_a_peer_said_makes_no_second_recipient() -> None:
    content = build("failed", (ODD,))
    assert [(one.address, one.status) for one in ours(content).recipients] == [('"a b"@c.example', "5.7.1")]
    assert len(by_python(content)) == 1


def test_the_form_without_a_part_for_programs() -> None:
    content = build("failed", (BOB,), plain=True)
    (one,) = ours(content).recipients
    assert (one.address, one.permanent, one.status) == ("bob@c.example", True, "5.1.1")
