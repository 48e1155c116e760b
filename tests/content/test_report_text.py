"""Bounces in words: our own samples, each system and language; what is no bounce; what gives proof where the sender gives none."""

from __future__ import annotations

import pytest
from tests.content.bounce_samples import LETTERS, SAMPLES, letter, mail

from postwright.content.reports import AutoReply, Nothing, StatusReport, read


def report(content: bytes, *, null_sender: bool = False) -> StatusReport:
    reading = read(content, null_sender=null_sender)
    assert isinstance(reading, StatusReport), reading
    return reading


@pytest.mark.parametrize("name", SAMPLES)
def test_samples(name: str) -> None:
    sample = SAMPLES[name]
    found = report(mail(sample))
    assert [one.address for one in found.recipients] == [address for address, _ in sample.expected]
    assert {one.action for one in found.recipients} == {sample.action}
    assert (found.format, found.returned.find("x-job")) == (sample.form, "j17")


@pytest.mark.parametrize(("name", "charset"), [("ja-unknown", "iso-2022-jp"), ("ru-unknown", "koi8-r"), ("ja-full", "shift_jis")])
def test_old_charsets(name: str, charset: str) -> None:
    assert report(mail(SAMPLES[name], charset)).recipients == report(mail(SAMPLES[name])).recipients


@pytest.mark.parametrize(("sender", "subject", "text"), LETTERS)
def test_nothing_is_found_in_letters(sender: str, subject: str, text: str) -> None:
    assert read(letter(sender, subject, text)) == Nothing(sender, subject)


def test_out_of_office_is_no_bounce_though_it_speaks_of_one() -> None:
    text = "I left the company, this mailbox is not active any more. Mail to bob@far.example is not delivered to me."
    content = f"From: Ann <ann@far.example>\nReturn-Path: <>\nSubject: Automatic reply: Offer\nAuto-Submitted: auto-replied\n\n{text}\n"
    assert isinstance(read(content.encode(), null_sender=True), AutoReply)


def test_a_null_reverse_path_is_a_machine_s() -> None:
    content = letter("office@far.example", "Your mail", "Mail to bob@far.example could not be delivered: unknown user.")
    assert isinstance(read(content), Nothing)
    assert [one.address for one in report(content, null_sender=True).recipients] == ["bob@far.example"]


def test_a_server_s_reply_is_proof() -> None:
    content = letter("no-reply@far.example", "Undeliverable", "<bob@far.example>:\n550 5.1.1 nobody here of that name")
    assert report(content).recipients[0].diagnostic == "smtp;550 5.1.1 nobody here of that name"


def test_x_failed_recipients_names_whom_the_text_names_by_local_part() -> None:
    text = "failed:\n\n  bob\n    SMTP error after MAIL FROM:<news@shop.example>:\n    550 5.7.0 use your provider's server\n"
    content = b"X-Failed-Recipients: bob@far.example\r\n" + letter("Mailer-Daemon@mx.example", "Mail delivery failed", text)
    (one,) = report(content).recipients
    assert (one.address, one.status, one.diagnostic) == ("bob@far.example", "5.7.0", "smtp;550 5.7.0 use your provider's server")


def test_an_address_that_nobody_named_is_that_of_the_message_which_came_back() -> None:
    returned = "Received: by x\nMessage-ID: <1@x>\nFrom: news@shop.example\nTo: Bob <bob@far.example>\n\nhello\n"
    content = letter("MAILER-DAEMON@mx.example", "Mail failure", "Your message could not be delivered.\n\n" + returned)
    (one,) = report(content).recipients
    assert (one.address, one.permanent) == ("bob@far.example", True)


_SES = """\
From: no-reply@notify.example
Subject: Notification

{ "Type" : "Notification", "Message" : "{\\"notificationType\\":\\"%s\\",\\"bounce\\":{\\"bouncedRecipients\\":[{\\"emailAddress\\":\
\\"bob@far.example\\",\\"action\\":\\"failed\\",\\"status\\":\\"5.1.1\\",\\"diagnosticCode\\":\\"smtp; 550 5.1.1 who?\\"}],\
\\"complaintFeedbackType\\":\\"abuse\\"}}" }
"""


def test_notices_in_json() -> None:
    (one,) = report((_SES % "Bounce").encode()).recipients
    assert (one.address, one.status, one.diagnostic) == ("bob@far.example", "5.1.1", "smtp;550 5.1.1 who?")
    complaint = read((_SES % "Complaint").encode())
    assert getattr(complaint, "recipients", None) == ("bob@far.example",)


def test_notices_in_json_of_what_arrived() -> None:
    text = '{"notificationType":"Delivery","delivery":{"recipients":["a@far.example","b@far.example"],"reportingMTA":"out.notify.example"}}'
    found = report(b"From: no-reply@notify.example\n\n" + text.encode())
    assert [(one.address, one.action, one.status) for one in found.recipients] == [
        ("a@far.example", "delivered", "2.0.0"),
        ("b@far.example", "delivered", "2.0.0"),
    ]
    assert (found.format, found.reporting_mta) == ("ses", "out.notify.example")
    for other in ('{"notificationType":"Delivery"}', '{"notificationType":"Hello","emailAddress":"a@b"}'):
        assert isinstance(read(b"From: no-reply@notify.example\n\n" + other.encode()), Nothing)
