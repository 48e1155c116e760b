"""Any octets have a reading, and no mail makes the reader work for long: bombs of a megabyte, each aimed at one of its expressions."""

from __future__ import annotations

import time
import tracemalloc
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.content.bounce_samples import SAMPLES, mail

from postwright.content.readings import MOST_RECIPIENTS, Complaint, Reading, StatusReport
from postwright.content.reports import read

SIZE = 1 << 20
BOUNCE = b"From: MAILER-DAEMON@x\nSubject: failure notice\nReturn-Path: <>\n"
HTML = BOUNCE + b"Content-Type: text/html\n\n"
STATUS = BOUNCE + b"Content-Type: message/delivery-status\n\n"
BOMBS = {
    "at signs": (BOUNCE + b"\n", b"a@"),
    "recipients in words": (BOUNCE + b"\n", b"<a@b.c>:\n550 no\n"),
    "a local part without end": (BOUNCE + b"\n", b"a" * 99 + b"="),
    "blanks": (BOUNCE + b"\n", b" "),
    "line ends": (BOUNCE + b"\n", b"\n"),
    "tags": (HTML, b"<"),
    "styles that never end": (HTML, b"<style>"),
    "entities": (HTML, b"&lt;&amp"),
    "reply codes": (BOUNCE + b"\n", b"550 " * 480 + b"\n"),
    "fields": (b"", b"a: b\n"),
    "a field without end": (b"X: ", b"\n "),
    "final recipients": (STATUS, b"Final-Recipient: rfc822; a@b.c\n"),
    "no status after a recipient": (BOUNCE + b"\n", b"Final-Recipient: x\n"),
    "groups": (STATUS, b"Action: failed\n\n"),
    "half delimiters": (BOUNCE + b"Content-Type: multipart/mixed; boundary=b\n\n", b"--b "),
    "quotes": (BOUNCE + b"\n", b"> > "),
    "labels": (BOUNCE + b"\n", b"recipient address "),
    "json": (BOUNCE + b'\n"notificationType":"Bounce"', b'{"emailAddress"'),
    "header after header": (BOUNCE + b"\n", b"Received: x\nFrom: y\n"),
    "original recipients": (BOUNCE + b"Content-Type: message/feedback-report\n\n", b"Original-Rcpt-To: a@b\n"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_take_no_time_and_no_room(name: str) -> None:
    head, piece = BOMBS[name]
    content = head + piece * (SIZE // len(piece))
    tracemalloc.start()
    began = time.process_time()
    reading = read(content)
    took = time.process_time() - began
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took < 3, f"{took:.1f} s"  # a tenth of a second on a quiet machine
    assert most < 40 * SIZE
    assert len(getattr(reading, "recipients", ())) <= MOST_RECIPIENTS


LONG = b"the quick brown fox jumps over lazy dogs again " * 42 + b"\n"
NAMES = b"mail failed to " + b" ".join([b"%x@b" % number for number in range(16, 340)]) + b"\n"
SMALL_BOMBS = {
    "hundreds in one line": (b"\n" + NAMES + LONG * 8, 324),
    "one reason above hundreds": (b"\n" + LONG * 5 + NAMES + NAMES.replace(b"@b", b"@c"), 648),
    "hundreds in a field": (b"X-Failed-Recipients: " + b",".join(NAMES.split()[3:]) + b"\n\n" + LONG * 8, 324),
}


@pytest.mark.parametrize("name", SMALL_BOMBS)
def test_what_is_read_on_the_loop_is_read_once_however_many_it_names(name: str) -> None:
    rest, recipients = SMALL_BOMBS[name]
    began = time.process_time()
    reading = read(BOUNCE + rest)
    took = time.process_time() - began
    assert took < 0.7, f"{took:.1f} s"  # read again for each it was one second to six
    assert len(getattr(reading, "recipients", ())) == recipients


def sound(reading: Reading) -> bool:
    """As `content.readings` promises it."""
    assert isinstance(reading, get_args(Reading))
    if isinstance(reading, StatusReport):
        assert reading.recipients
        for one in reading.recipients:
            assert "@" in one.address
            assert (one.address + one.diagnostic + one.remote_mta).isprintable() or not set(one.diagnostic) & set("\r\n\0\x1b")
            assert one.status[0] in "245"
    if isinstance(reading, Complaint):
        assert reading.incidents >= 1
    return True


@given(st.binary(max_size=2000))
def test_any_octets(content: bytes) -> None:
    assert sound(read(content))
    assert sound(read(BOUNCE + content))
    assert sound(read(STATUS + content))


MAILS = [mail(sample) for sample in SAMPLES.values()]


@settings(max_examples=60)
@given(st.sampled_from(MAILS), st.integers(0, 3000), st.integers(0, 60), st.binary(max_size=20))
def test_mails_with_accidents(content: bytes, at: int, cut: int, put: bytes) -> None:
    assert sound(read(content[:at] + put + content[at + cut :]))
    assert sound(read(content[:at]))
