"""The door of the reader of reports: which kind a mail is, and the fields of the standard forms (RFC 3464, 6533, 5965, 3834)."""

from __future__ import annotations

from postwright.content.reports import AutoReply, Complaint, Excess, Nothing, StatusReport, read

_DSN = """\
From: MAILER-DAEMON@mx.example.net
Subject: Undelivered
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="=_b"

--=_b

Something went wrong.
--=_b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net
Original-Envelope-Id: job7/1
Arrival-Date: Wed, 25 Nov 2026 09:00:00 +0000

Original-Recipient: rfc822;Old.Name@example.com
Final-Recipient: rfc822; new.name@example.com
Action: failed
Status: 5.1.1
Remote-MTA: dns; in.example.com
Diagnostic-Code: smtp; 550 5.1.1
 no such user here
Last-Attempt-Date: Wed, 25 Nov 2026 09:01:00 +0000

Final-Recipient: rfc822; slow@example.com
Action: delayed
Status: 4.4.1
Will-Retry-Until: Fri, 27 Nov 2026 09:00:00 +0000
--=_b
Content-Type: message/rfc822

From: shop@example.org
To: new.name@example.com
Subject: Offer
X-Job: j1

text
--=_b--
"""


def octets(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def test_every_field_of_a_status_report() -> None:
    reading = read(octets(_DSN))
    assert isinstance(reading, StatusReport)
    assert (reading.format, reading.envelope_id, reading.reporting_mta, reading.arrival) == (
        "rfc3464",
        "job7/1",
        "mx.example.net",
        1795597200.0,
    )
    first, second = reading.recipients
    assert (first.address, first.original, first.action, first.status) == (
        "new.name@example.com",
        "rfc822;Old.Name@example.com",
        "failed",
        "5.1.1",
    )
    assert (first.diagnostic, first.remote_mta, first.last_attempt, first.permanent) == (
        "smtp;550 5.1.1 no such user here",
        "in.example.com",
        1795597260.0,
        True,
    )
    assert (second.address, second.action, second.will_retry_until, second.permanent) == (
        "slow@example.com",
        "delayed",
        1795770000.0,
        False,
    )
    assert (reading.returned.find("x-JOB"), reading.returned.find("subject"), reading.returned.find("none")) == ("j1", "Offer", "")


def test_line_feeds_alone_read_the_same() -> None:
    assert read(_DSN.encode()) == read(octets(_DSN))


_ARF = """\
From: fbl@example.net
Subject: FW: Offer
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary=part

--part
Content-Type: text/plain

This is a report.
--part
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Loop/2.0
Version: 1
Original-Mail-From: <bounce@example.org>
Original-Rcpt-To: <one@example.net>
Original-Rcpt-To: <two@example.net>
Arrival-Date: Wed, 25 Nov 2026 09:00:00 +0000
Source-IP: 192.0.2.9
Reported-Domain: Example.org
Reported-URI: http://example.org/x
Incidents: 3
X-Own-Field: kept

--part
Content-Type: message/rfc822

From: shop@example.org
X-Job: j1

text
--part--
"""


def test_a_domain_that_cannot_be_one_and_a_reply_where_a_status_stands() -> None:
    named = _DSN.replace("rfc822; slow@example.com", "RFC822; slow@#example.com")
    odd = named.replace("Status: 4.4.1", "Status: 553 the domain is malformed")
    report = read(odd.encode())
    assert isinstance(report, StatusReport)
    assert [(one.address, one.diagnostic) for one in report.recipients][1] == ("slow@#example.com", "553 the domain is malformed")


def test_every_field_of_a_complaint() -> None:
    reading = read(octets(_ARF))
    assert isinstance(reading, Complaint)
    assert (reading.format, reading.feedback_type, reading.user_agent, reading.source_ip) == ("arf", "abuse", "Loop/2.0", "192.0.2.9")
    assert (reading.mail_from, reading.recipients) == ("bounce@example.org", ("one@example.net", "two@example.net"))
    assert (reading.arrival, reading.reported_domains, reading.reported_uris) == (1795597200.0, ("example.org",), ("http://example.org/x",))
    assert (reading.incidents, reading.find("x-own-field"), reading.returned.find("x-job")) == (3, "kept", "j1")


def test_a_machine_that_answers_for_a_person() -> None:
    reading = read(
        b"From: Ann <ann@example.com>\r\nSubject: =?utf-8?q?Out_of_the_office?=: Offer\r\n\r\nBack on Monday. Ask bob@example.com.\r\n"
    )
    assert reading == AutoReply("subject", "ann@example.com", "Out of the office: Offer")
    marked = read(b"From: desk@example.com\r\nAuto-Submitted: auto-replied\r\nSubject: [#17] Offer\r\n\r\nWe got it.\r\n")
    assert marked == AutoReply("auto-submitted", "desk@example.com", "[#17] Offer")


def test_a_letter_reports_nothing() -> None:
    assert read(b"From: ann@example.com\r\nSubject: Lunch\r\n\r\nTomorrow?\r\n") == Nothing("ann@example.com", "Lunch")
    assert read(b"") == Nothing()


def nested(depth: int) -> bytes:
    head = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(depth))
    return head + b"\ninnermost\n"


def test_bombs_are_said_to_be_bombs() -> None:
    assert read(nested(9)) == Excess("depth")
    assert not isinstance(read(nested(8)), Excess)
    many = b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 200
    assert read(many) == Excess("parts")
    crowd = _DSN.replace("Final-Recipient: rfc822; slow@example.com", "Final-Recipient: rfc822; a@example.com\n\n" * 1500)
    reading = read(crowd.encode())
    assert isinstance(reading, StatusReport)
    assert (len(reading.recipients), reading.excess) == (1000, "recipients")
