"""The samples of `bounces/samples.toml` as mails, and letters that report nothing, however they sound."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
from msgspec import Struct

_RETURNED = """\
Return-Path: <news@shop.example>
Received: from out.shop.example (192.0.2.7) by mx.far.example with ESMTP; Wed, 25 Nov 2026 08:00:00 +0000
Message-ID: <17.a@shop.example>
From: news@shop.example
To: {to}
Subject: Offer
X-Job: j17

Buy more.
"""


class Sample(Struct, forbid_unknown_fields=True):
    """See the file. `action` is that of all recipients."""

    name: str
    subject: str
    text: str
    expected: tuple[tuple[str, str], ...]
    form: str = "text"
    action: str = "failed"
    sender: str = "MAILER-DAEMON@mx.far.example"


_FILE = tomllib.loads((Path(__file__).parent / "bounces" / "samples.toml").read_text(encoding="utf-8"))
SAMPLES = {sample.name: sample for sample in msgspec.convert(_FILE["sample"], list[Sample])}

LETTERS = (
    (
        "ann@far.example",
        "Our delivery",
        "The delivery failed to arrive on Monday; could you ask bob@far.example? It was returned to sender.",
    ),
    ("shop@far.example", "Order 17", "Your order cannot be delivered before Friday. Questions: help@far.example"),
    ("no-reply@parcels.example", "Delivery failed", "The parcel for ann@far.example could not be delivered. We will try again."),
    ("friend@far.example", "Bounce house", "We rented one, it is full of kids. Write to me at friend2@far.example if you want to come."),
    ("ann@far.example", "Re: Undeliverable?", "> Final offer for all recipients\n\nNo, thank you. Unknown users cannot help me either."),
    (
        "postmaster@far.example",
        "Maintenance on Sunday",
        "The system is down on Sunday from two to four. Ask help@far.example about anything.",
    ),
    ("newsletter@far.example", "Why mails bounce", "A mail bounces when the mailbox does not exist. Read more at far.example."),
)


def mail(sample: Sample, charset: str = "utf-8") -> bytes:
    """The sample as octets, with the message that it returns below."""
    back = _RETURNED.format(to=", ".join(address for address, _ in sample.expected))
    head = f"From: <{sample.sender}>\nTo: <news@shop.example>\nSubject: {sample.subject}\nMIME-Version: 1.0\n"
    head += f"Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: 8bit\n\n"
    return head.encode() + sample.text.encode(charset) + b"\n" + back.encode()


def letter(sender: str, subject: str, text: str) -> bytes:
    """A mail of a person, or of a shop."""
    return f"From: {sender}\r\nTo: news@shop.example\r\nSubject: {subject}\r\n\r\n{text}\r\n".encode()
