"""What a report returns of the message, whom it is about, and for whom there is none."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage

import pytest

from postwright.engine import bounces
from postwright.engine.settle import Due, Session
from postwright.model.address import NULL_PATH, Address, parse_mailbox
from postwright.model.envelope import Envelope, Notify, Recipient
from postwright.model.message import Arrival, Message
from postwright.model.outcome import Disposition, Kind
from postwright.policy.settings import GeneralSettings
from postwright.wire.body import scan

NOW = 1_795_515_476.0
SENDER = parse_mailbox("sender@b.example")
TEXT = b"From: a@b.example\r\nSubject: hi\r\n\r\nbody\r\n"
GENERAL = GeneralSettings(host_name=("relay.example",))
FAILED = Disposition(Kind.PERMANENT, "5.1.1", "smtp;550 5.1.1 who")
TAKEN = Disposition(Kind.DELIVERED, "2.0.0", "smtp;250 ok")


def message(
    content: bytes = TEXT, ret: str = "", notify: tuple[int, ...] = (0,), sender: Address = SENDER, suppress: bool = False
) -> Message:
    recipients = [Recipient(parse_mailbox(f"r{number}@c.example"), flags) for number, flags in enumerate(notify)]
    envelope = Envelope(sender, recipients, ret=ret, envid="Q+1")
    return Message(1, NOW - 60, envelope, scan(content), Arrival(), vmta="m1", job="J", suppress_dsn=suppress)


def made(original: Message, dues: list[Due], content: bytes = TEXT) -> list[tuple[Message, EmailMessage]]:
    reports = []
    for report, octets in bounces.reports(original, content, dues, Session(mta="mx.c.example (192.0.2.1)"), GENERAL, NOW, range(10, 14)):
        parsed = email.message_from_bytes(octets, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        assert report.facts == scan(octets)
        reports.append((report, parsed))
    return reports


@pytest.mark.parametrize(
    ("ret", "size", "returned"),
    [
        ("", 100, "text/rfc822-headers"),
        ("HDRS", 100, "text/rfc822-headers"),
        ("FULL", 100, "message/rfc822"),
        ("FULL", bounces.FULL_MOST + 1, "text/rfc822-headers"),
    ],
)
def test_what_is_returned(ret: str, size: int, returned: str) -> None:
    content = TEXT + b"line\r\n" * (size // 6)
    ((_, report),) = made(message(content, ret), [Due("failed", 0, FAILED)], content)
    assert list(report.iter_parts())[2].get_content_type() == returned


@pytest.mark.parametrize("kind", ["relayed", "delivered"])
def test_a_success_never_returns_the_message(kind: str) -> None:
    ((_, report),) = made(message(ret="FULL", notify=(Notify.SUCCESS,)), [Due(kind, 0, TAKEN)])
    _, status, returned = report.iter_parts()
    assert returned.get_content_type() == "text/rfc822-headers"
    assert f"Action: {kind}" in status.as_string()


def test_one_report_for_each_kind_of_fate() -> None:
    dues = [Due("failed", 0, FAILED), Due("relayed", 1, TAKEN), Due("failed", 2, FAILED)]
    reports = made(message(notify=(0, Notify.SUCCESS, 0)), dues)
    assert [report.id for report, _ in reports] == [10, 11]
    about = [text.as_string() for _, text in reports]
    assert "r0@c.example" in about[0]
    assert "r2@c.example" in about[0]
    assert "r1@c.example" not in about[0]
    assert "r1@c.example" in about[1]


def test_it_goes_to_the_reverse_path_from_nobody_by_the_same_way() -> None:
    ((report, parsed),) = made(message(), [Due("failed", 0, FAILED)])
    envelope = report.envelope
    assert envelope.reverse_path == NULL_PATH
    assert [recipient.address for recipient in envelope.recipients] == [SENDER]
    assert (report.vmta, report.job, report.arrival.kind) == ("m1", "J", "dsn")
    status = list(parsed.iter_parts())[1].as_string()
    assert "Original-Envelope-Id: Q+1" in status
    assert "Remote-MTA: dns;mx.c.example\n" in status


def test_an_international_sender_needs_smtputf8() -> None:
    sender = parse_mailbox("jürgen@b.example", smtputf8=True)
    ((report, _),) = made(message(sender=sender), [Due("failed", 0, FAILED)])
    assert report.envelope.smtputf8
    assert report.facts.utf8_headers


@pytest.mark.parametrize(
    ("original", "kinds"),
    [
        (message(notify=(0, 0)), ["failed"]),
        (message(notify=(Notify.NEVER, Notify.NEVER)), []),
        (message(notify=(Notify.SUCCESS, Notify.SUCCESS)), ["relayed"]),
        (message(notify=(Notify.FAILURE, Notify.SUCCESS)), ["failed", "relayed"]),
        (message(notify=(Notify.DELAY, Notify.DELAY)), []),
        (message(notify=(0, Notify.SUCCESS), sender=NULL_PATH), []),
        (message(notify=(0, Notify.SUCCESS), suppress=True), []),
    ],
)
def test_who_hears(original: Message, kinds: list[str]) -> None:
    dues = [Due("failed", 0, FAILED), Due("relayed", 1, TAKEN)]
    assert [due.kind for due in bounces.wanted(original, dues)] == kinds
