"""Mails that come back: any octets have a reading, within the bounds of `content.readings`, and nothing in it could harm a log.

The seeds are a status report, a complaint, a bounce in words and a notice in JSON, in CRLF and in LF.
"""

from __future__ import annotations

from common import run

from postwright.content.readings import MOST_RECIPIENTS, Complaint, RecipientStatus, StatusReport
from postwright.content.report_fields import MOST_DIAGNOSTIC
from postwright.content.reports import read
from postwright.policy.bounce_pack import category

_PARTS = (
    b'From: MAILER-DAEMON@mx.example\nContent-Type: multipart/report; boundary="=_b"\n\n--=_b\n\nwords\n'
    b"--=_b\nContent-Type: %s\n\n%s\n"
    b"--=_b\nContent-Type: message/rfc822\n\nFrom: a@b.example\nTo: c@d.example\nX-Job: 1\n\nhello\n--=_b--\n"
)
DSN = (
    b"Reporting-MTA: dns; mx.example\n\nFinal-Recipient: utf-8; \\x{E4}@d.example\nAction: failed\nStatus: 5.1.1\n"
    b"Diagnostic-Code: smtp; 550 5.1.1 no"
)
ARF = b"Feedback-Type: abuse\nUser-Agent: x/1\nVersion: 1\nOriginal-Rcpt-To: <c@d.example>\nSource-IP: 192.0.2.1\nIncidents: 2"
TEXT = b"""From: MAILER-DAEMON\nSubject: failure notice\n\nHi. This is the qmail-send program at mx.example.\n\n<c@d.example>:
192.0.2.1 does not like recipient.\nRemote host said: 550-5.7.1 no\n550 5.1.1 user unknown\n\n--- Below this line is a copy of the message.
Received: by x\nMessage-ID: <1@x>\nFrom: a@b.example\nTo: c@d.example\n\nhello\n"""
JSON = b"""From: a@b\n\n{"notificationType":"Bounce","bouncedRecipients":[{"emailAddress":"c@d.example","status":"5.1.1"}]}"""
_ALL = [_PARTS % (b"message/delivery-status", DSN), _PARTS % (b"message/feedback-report", ARF), TEXT, JSON]
SEEDS = [*_ALL, *(one.replace(b"\n", b"\r\n") for one in _ALL)]


def fuzz_one(data: bytes) -> None:
    reading = read(data)
    if isinstance(reading, StatusReport):
        assert 0 < len(reading.recipients) <= MOST_RECIPIENTS
        for one in reading.recipients:
            judge(one)
    elif isinstance(reading, Complaint):
        assert reading.incidents >= 1
        assert all(value.isprintable() or "\n" not in value for _, value in reading.fields)


def judge(one: RecipientStatus) -> None:
    assert "@" in one.address
    assert not set(one.address.partition("@")[0]) & set("\r\n\0")
    assert len(one.diagnostic) <= MOST_DIAGNOSTIC
    assert not set(one.diagnostic) & set("\r\n\0\x1b")
    assert one.status[0] in "245"
    assert one.status.count(".") == 2
    assert category(one.status, one.diagnostic, one.remote_mta)


if __name__ == "__main__":
    run(fuzz_one, SEEDS)
