"""Kinds of mails told apart, and the odd ways in which hosts write the standard forms."""

from __future__ import annotations

import pytest

from postwright.content.report_fields import bare_address, diagnostic_of, host_of, original_recipient, reply_code_in, status_in, time_of
from postwright.content.reports import AutoReply, Complaint, Nothing, StatusReport, read

RETURNED = """\
--b
Content-Type: message/rfc822

From: news@shop.example
To: bob@far.example
X-Job: j17
X-HmXmrOriginalRecipient: bob@far.example

hi
--b--
"""


def parts(subject: str, *inner: str, sender: str = "MAILER-DAEMON@far.example", header: str = "") -> bytes:
    """A mail of these parts (type, blank line and body each), above the message that it returns."""
    head = f"From: {sender}\nSubject: {subject}\n{header}Content-Type: multipart/mixed; boundary=b\n\n"
    return (head + "".join(f"--b\nContent-Type: {part}\n" for part in inner) + RETURNED).encode()


def status_report(status: str, words: str = "") -> StatusReport:
    reading = read(parts("report", f"text/plain\n\n{words}", f"message/delivery-status\n\nReporting-MTA: dns; mx.far.example\n\n{status}"))
    assert isinstance(reading, StatusReport), reading
    return reading


@pytest.mark.parametrize(
    ("fields", "action", "status"),
    [
        ("Action: failed\nStatus: 5.1.1 (bad address)", "failed", "5.1.1"),
        ("Action: FAILURE (to user)\nStatus: 5.1.1", "failed", "5.1.1"),
        ("Action: deferred\nStatus: 4.4.1", "delayed", "4.4.1"),
        ("Action: deliverable\nStatus: 2.1.5", "delivered", "2.1.5"),
        ("Action: expanded\nStatus: 2.0.0", "expanded", "2.0.0"),
        ("Status: 2.0.0", "delivered", "2.0.0"),
        ("Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 5.1.1 no", "failed", "5.1.1"),  # the reply says more
        ("Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 450 4.2.2 full", "failed", "5.0.0"),  # of another class
        ("Action: failed\nDiagnostic-Code: smtp; 550 no", "failed", "5.0.0"),
        ("Action: failed\nDiagnostic-Code: smtp; 451 no", "failed", "4.0.0"),
        ("Action: delayed\nDiagnostic-Code: smtp; 451 no", "delayed", "4.0.0"),
        ("Action: relayed", "relayed", "2.0.0"),
    ],
)
def test_action_and_status(fields: str, action: str, status: str) -> None:
    (one,) = status_report(f"Final-Recipient: rfc822; bob@far.example\n{fields}\n").recipients
    assert (one.action, one.status) == (action, status)


def test_recipients_without_blank_lines_between() -> None:
    block = "Final-Recipient: rfc822; {}@far.example\nAction: failed\nStatus: 5.1.1\n"
    assert [one.address for one in status_report(block.format("a") + block.format("b")).recipients] == ["a@far.example", "b@far.example"]


def test_a_recipient_without_an_address_is_named_by_the_words() -> None:
    report = status_report("Final-Recipient: rfc822; |/bin/filter\nAction: failed\nStatus: 5.3.0\n", "<bob@far.example>: no such program\n")
    (one,) = report.recipients
    assert (one.address, one.status, one.diagnostic) == ("bob@far.example", "5.3.0", "no such program")


def test_a_diagnostic_that_is_missing_stands_in_the_words() -> None:
    status = "Final-Recipient: rfc822; bob@far.example\nAction: failed\nStatus: 5.0.0\n"
    (one,) = status_report(status, "bob@far.example: 550 5.7.25 no reverse DNS\n").recipients
    assert (one.status, one.diagnostic) == ("5.7.25", "smtp;550 5.7.25 no reverse DNS")
    (other,) = status_report(status, "Address not found. Your message wasn't delivered because nobody could find it.\n").recipients
    assert other.diagnostic.startswith("Address not found.")
    (silent,) = status_report(status).recipients
    assert silent.diagnostic == ""


def test_a_report_laid_out_in_a_text_part_and_passed_on_by_a_person() -> None:
    status = "Reporting-MTA: dns; mx.far.example\n\nFinal-Recipient: rfc822; bob@far.example\nAction: failed\nStatus: 5.2.2\n"
    plain = read(parts("Failure", f"text/plain\n\nTechnical details:\n\n{status}"))
    quoted = "".join(f"> {line}\n" for line in f"see below\n{status}".splitlines())
    passed_on = read(parts("Fwd: Failure", f"text/plain\n\nWhat is this?\n\n{quoted}", sender="ann@shop.example"))
    for reading in (plain, passed_on):
        assert isinstance(reading, StatusReport)
        assert [(one.address, one.status) for one in reading.recipients] == [("bob@far.example", "5.2.2")]


def test_a_report_that_names_nobody_is_none() -> None:
    content = (
        parts("report", "message/delivery-status\n\nReporting-MTA: dns; x\n")
        .replace(b"To: bob@far.example\n", b"")
        .replace(b"X-Hm", b"Y-Hm")
    )
    assert isinstance(read(content), Nothing)


def test_words_behind_the_status_are_the_diagnostic_where_there_is_none() -> None:
    (one,) = status_report(
        "Final-Recipient: rfc822; bob@far.example\nAction: failed\nStatus: 5.2.2 (recipient reached disk quota)\n"
    ).recipients
    assert one.diagnostic == "recipient reached disk quota"


def test_a_report_that_is_attached_whole() -> None:
    inner = parts(
        "report",
        "message/delivery-status\n\nReporting-MTA: dns; x\n\nFinal-Recipient: rfc822; bob@far.example\nAction: failed\nStatus: 5.1.1\n",
    )
    inner = inner.replace(b"multipart/mixed; boundary=b", b"multipart/report; boundary=b")
    head = b"From: ann@shop.example\nSubject: what is this?\nContent-Type: multipart/mixed; boundary=outer\n\n--outer\n\nsee below\n"
    reading = read(head + b"--outer\nContent-Type: message/rfc822\n\n" + inner + b"\n--outer--\n")
    assert isinstance(reading, StatusReport)
    assert [(one.address, one.status) for one in reading.recipients] == [("bob@far.example", "5.1.1")]
    assert reading.returned.find("x-job") == "j17"


def test_whom_nobody_named_is_marked_as_inferred() -> None:
    reading = read(parts("Undeliverable", "text/plain\n\nYour mail could not be delivered.\n"))
    assert isinstance(reading, StatusReport)
    assert [(one.address, one.inferred) for one in reading.recipients] == [("bob@far.example", True)]
    named = status_report("Final-Recipient: rfc822; bob@far.example\nAction: failed\nStatus: 5.1.1\n")
    assert not named.recipients[0].inferred


# -- complaints -------------------------------------------------------------------------------


def test_a_feedback_report_in_a_text_part() -> None:
    reading = read(
        parts("FW: Offer", "text/plain\n\nHello.\n\nFeedback-Type: fraud\nUser-Agent: x\nIncidents: many\n", sender="fbl@far.example")
    )
    assert isinstance(reading, Complaint)
    assert (reading.format, reading.feedback_type, reading.incidents, reading.returned.find("x-job")) == ("arf", "fraud", 1, "j17")


def test_a_complaint_by_its_subject() -> None:
    reading = read(parts("complaint about message from 192.0.2.7", sender="staff@far.example"))
    assert isinstance(reading, Complaint)
    assert (reading.format, reading.recipients, reading.source_ip) == ("forwarded", ("bob@far.example",), "192.0.2.7")
    pasted = "Email from 192.0.2.7\n\n[ Offending message ]\nReceived: by x\nMessage-ID: <1@x>\nFrom: news@shop.example\nX-Job: j17\n\nhi\n"
    cop = read(f"From: cop@far.example\nSubject: [SpamCop (192.0.2.7) id:17]Offer\n\n{pasted}".encode())
    assert isinstance(cop, Complaint)
    assert cop.returned.find("x-job") == "j17"
    alone = b"From: ann@far.example\nSubject: complaint about mail\n\nYou send too much.\n"
    assert isinstance(read(alone), Nothing)


def test_a_program_that_unsubscribes_for_its_user() -> None:
    content = b"From: Ann <ann@far.example>\nSubject: unsubscribe\nAuto-Submitted: auto-generated\n\n"
    reading = read(content)
    assert isinstance(reading, Complaint)
    assert (reading.format, reading.feedback_type, reading.recipients) == ("unsubscribe", "opt-out", ("ann@far.example",))
    assert isinstance(read(content.replace(b"auto-generated", b"no")), Nothing)


# -- automatic answers ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("Auto-Submitted: auto-replied (vacation)\nSubject: hello", "auto-submitted"),
        ("X-Autoreply: yes\nSubject: hello", "x-autoreply"),
        ("Precedence: auto_reply\nSubject: hello", "precedence"),
        ("Subject: Automatische Antwort: Angebot", "subject"),
        ("Subject: Réponse automatique : Offre", "subject"),
        ("Subject: Respuesta automática: Oferta", "subject"),
        ("Subject: Автоответ: Предложение", "subject"),
        ("Subject: 自動応答", "subject"),
        ("Subject: 自动回复: 报价", "subject"),
    ],
)
def test_automatic_answers(header: str, why: str) -> None:
    reading = read(f"From: ann@far.example\n{header}\n\nI am not here.\n".encode())
    assert isinstance(reading, AutoReply)
    assert (reading.why, reading.sender) == (why, "ann@far.example")


def test_a_receipt_is_no_report_on_delivery() -> None:
    receipt = "message/disposition-notification\n\nFinal-Recipient: rfc822; bob@far.example\nDisposition: manual-action; displayed\n"
    assert read(parts("Read: Offer", receipt, sender="bob@far.example")) == AutoReply("disposition", "bob@far.example", "Read: Offer")


def test_no_automatic_answer() -> None:
    assert isinstance(read(b"From: ann@far.example\nAuto-Submitted: no\nX-Autoreply: no\nSubject: hello\n\nhi\n"), Nothing)


# -- values -----------------------------------------------------------------------------------


def test_values() -> None:
    assert bare_address("rfc822; <bob@far.example> (Bob)") == "bob@far.example"
    assert bare_address("rfc822;@relay.example:bob@far.example") == "bob@far.example"
    assert bare_address("utf-8;\\x{4E00}@far.example") == "一@far.example"
    assert bare_address("utf-8;\\x{D800}@far.example") == "?@far.example"
    assert bare_address("rfc822;bob@[192.0.2.1]") == "bob@[192.0.2.1]"
    assert bare_address("rfc822;unknown") == ""
    assert original_recipient("rfc822;bob+2Bx@far.example") == "rfc822;bob+x@far.example"
    assert original_recipient("bob@far.example") == "rfc822;bob@far.example"
    assert original_recipient("x400;/S=bob") == ""
    assert status_in("(#5.1.1)") == "5.1.1"
    assert status_in("5.7.026 from 192.5.1.1") == "5.7.26"
    assert status_in("192.0.2.5 1.5.1.1") == ""
    assert reply_code_in("smtp;550 no") == "550"
    assert reply_code_in("port 1550, 25 octets") == ""
    assert time_of("Wed, 25 Nov 2026 09:00:00 +0000") == 1795597200.0
    assert time_of("yesterday") == time_of("") == time_of("Wed, 99 Nov 99999999999 99:99:99 +99999999") == 0.0
    assert host_of("dns; mx.far.example (192.0.2.9)") == "mx.far.example"
    assert host_of("") == ""
    assert diagnostic_of("SMTP ; 550  5.1.1\tno") == "smtp;550 5.1.1 no"
    assert diagnostic_of("no type") == "no type"
