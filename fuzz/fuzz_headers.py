"""Fuzzes what reads and rewrites contents: fields, trace, transform, downgrade, reports. None of these may raise anything.

Beside that: what is cut is gone and nothing else is, facts are those of a fresh look, a downgraded message is clean, a peer's words
stay on their lines.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import common

from postwright.content import dsn, schedule, trace
from postwright.content.downgrade import to_7bit
from postwright.content.dsn import RecipientReport
from postwright.content.headers import find, without
from postwright.content.transform import prepare
from postwright.model.address import Address
from postwright.model.envelope import Envelope, Recipient
from postwright.model.message import Arrival, ContentFacts, Message
from postwright.wire.body import repair, scan

NAMES: Final = frozenset((b"x-job", b"from", b"received"))
RECEIVED: Final = b"Received: by us; now\r\n"
LINE: Final = 998

SEEDS: Final = (
    b"X-Job: a\r\nFrom: b\r\nx-JOB :\r\n folded\r\n  more \r\nTo: x\r\n\r\nX-Job: body\r\n",
    b"Received: from a\r\n\tby b; date\r\nX-Virtual-MTA: m\r\nx-envid: e\r\n\r\n.dot\r\n",
    b"From joe\r\nMessage-ID: <a@b>\r\nDate: d\r\n\r\n",
    b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="a b"\r\n\r\npre\xff\r\n--a b\r\n\r\n\xc3\xbc\r\n'
    b"--a b\r\nContent-Type: message/rfc822\r\n\r\nA: b\r\n\r\n\xfc\r\n--a b--\r\n",
    b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=\xff=\r\n",
    b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\xff\r\n",
    b"2030-01-31 08:00 / 2030-01-31 12:00, 2030-02-01T08:00:01Z/2030-02-01 12:00+02:00,2030-01-01 10:00",
    b"no header " + b"x" * 1000 + b"\r\n",
)


def _schedule(content: bytes) -> None:
    """x-schedule: windows in order that do not touch, or a ValueError whose text can stand on a reply line."""
    try:
        found = schedule.windows(content.decode("latin-1"))
    except ValueError as error:
        found, why = (), str(error)
    else:
        why = ""
    assert why.isascii()
    assert why.isprintable()
    assert all(start < end for start, end in found)
    assert all(before[1] < after[0] for before, after in pairwise(found))


def _fields(content: bytes, facts: ContentFacts) -> None:
    found = find(content, facts.header_size, NAMES)
    at = 0
    for field in found:
        assert at <= field.start < field.end <= facts.header_size
        assert content[field.start : field.end].lower().startswith(field.name)
        at = field.end
    rest = b"".join(without(content, [(field.start, field.end) for field in found]))
    assert len(rest) == len(content) - sum([field.end - field.start for field in found])


def _submission(content: bytes, facts: ContentFacts) -> None:
    bits = len(content)
    made = prepare(
        content,
        facts,
        received=RECEIVED if bits & 1 else b"",
        add_message_id=b"Message-ID: <m@us>\r\n" if bits & 2 else b"",
        add_date=b"Date: now\r\n" if bits & 4 else b"",
        date_override=bool(bits & 8),
        process_vmta=True,
        process_job=True,
        retain_job=bool(bits & 16),
        jobid_header="To" if bits & 32 else "",
        process_envid=True,
        remove_received=bool(bits & 64),
    )
    assert made.facts == scan(b"".join(made.parts))


def _clean(content: bytes, facts: ContentFacts) -> None:
    made = to_7bit(content, facts)
    if made is not None:
        again = scan(made)
        assert not again.eight_bit
        assert not again.binary
        assert again.longest_line <= LINE


def _words(content: bytes, facts: ContentFacts, text: str) -> None:
    arrival = Arrival(peer=text[:20], peer_name=text, protocol=text[:8], tls=text[:8], cipher=text[4:20])
    line = trace.received(arrival, "us.example", "0123456789abc", text, 1.79e9, False)
    assert line.endswith(b"\r\n")
    assert all(rest.startswith(b"\t") for rest in line[:-2].split(b"\r\n")[1:])
    envelope = Envelope(Address("a@b.example", "b.example"), [Recipient(Address("c@d.example", "d.example"))], envid=text)
    message = Message(1, 1.79e9, envelope, facts, arrival)
    recipient = RecipientReport(text, text, text, text, text)
    report = dsn.build(
        "failed",
        message,
        [recipient],
        content,
        host="us.example",
        now=1.79e9,
        message_id="r",
        from_header="",
        full=len(content) % 2 == 0,
        boundary="=_a",
    )
    assert not scan(report).binary
    assert report.count(b"\r\nAction: failed\r\n") >= 1


def fuzz_one(data: bytes) -> None:
    _schedule(data)
    for content in (data, repair(data)):
        facts = scan(content)
        _fields(content, facts)
        _submission(content, facts)
        _clean(content, facts)
        _words(content, facts, content[:200].decode("utf-8", "replace"))


if __name__ == "__main__":
    common.run(fuzz_one, SEEDS)
