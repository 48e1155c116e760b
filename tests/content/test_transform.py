"""What a source asks to be done to a submission: fields read, cut and added, and facts that a fresh look would find too."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.content.transform import Submission, prepare
from postwright.wire.body import scan

RECEIVED = b"Received: by us; today\r\n"
MID = b"Message-ID: <new@us>\r\n"
DATE = b"Date: today\r\n"
BODY = b"\r\nbody\r\n"


def run(content: bytes, **what: Any) -> Submission:
    return prepare(content, scan(content), **what)


def octets(content: bytes, **what: Any) -> bytes:
    made = run(content, **what)
    joined = b"".join(made.parts)
    assert scan(joined) == made.facts
    return joined


def test_nothing_to_do_keeps_the_very_object() -> None:
    content = b"From: a\r\n" + BODY
    made = run(content)
    assert made.parts[0] is content
    assert run(content, received=RECEIVED).parts == (RECEIVED, content)


@pytest.mark.parametrize(
    ("header", "what", "expected"),
    [
        (b"From: a\r\n", {}, b"From: a\r\n"),
        (b"From: a\r\n", {"received": RECEIVED}, RECEIVED + b"From: a\r\n"),
        (b"From: a\r\n", {"add_message_id": MID, "add_date": DATE}, MID + DATE + b"From: a\r\n"),
        (b"MESSAGE-ID: x\r\n", {"add_message_id": MID, "add_date": DATE}, DATE + b"MESSAGE-ID: x\r\n"),
        (b"Date: old\r\n", {"add_message_id": MID, "add_date": DATE}, MID + b"Date: old\r\n"),
        (b"Date: old\r\nTo: b\r\n", {"add_date": DATE, "date_override": True}, DATE + b"To: b\r\n"),
        (b"To: b\r\n", {"add_date": DATE, "date_override": True}, DATE + b"To: b\r\n"),
        (b"X-Job: j\r\nX-Virtual-MTA: v\r\nX-Envid: e\r\n", {}, b"X-Job: j\r\nX-Virtual-MTA: v\r\nX-Envid: e\r\n"),
        (b"X-Job: j\r\nA: 1\r\nX-Job: k\r\nB: 2\r\n", {"process_job": True}, b"A: 1\r\nB: 2\r\n"),
        (b"X-Job: j\r\nA: 1\r\n", {"process_job": True, "retain_job": True}, b"X-Job: j\r\nA: 1\r\n"),
        (b"X-Virtual-MTA: v\r\nA: 1\r\n", {"process_vmta": True}, b"A: 1\r\n"),
        (b"X-Virtual-MTA: v\r\nA: 1\r\n", {"process_vmta": True, "retain_vmta": True}, b"X-Virtual-MTA: v\r\nA: 1\r\n"),
        (b"X-Envid: e\r\nA: 1\r\n", {"process_envid": True}, b"A: 1\r\n"),
        (b"X-C: c\r\n", {"jobid_header": "x-c"}, b"X-C: c\r\n"),
        (b"Bcc: secret\r\nA: 1\r\n", {"remove": frozenset((b"bcc", b""))}, b"A: 1\r\n"),
        (b"Received: a\r\n\tb\r\nReceived: c\r\nA: 1\r\n", {"remove_received": True}, b"A: 1\r\n"),
        (b"Received: a\r\nA: 1\r\n", {"remove_received": True, "received": RECEIVED}, RECEIVED + b"A: 1\r\n"),
        (b"Message-ID: x\r\n", {"remove": frozenset((b"message-id",)), "add_message_id": MID}, MID),
        (b"Date: old\r\n", {"remove": frozenset((b"date",))}, b""),
        # No header section: an empty line keeps the text from becoming one.
        (b"", {"received": RECEIVED}, RECEIVED),
        (b"From joe Mon Jan 1 00:00:00\r\nA: 1\r\n", {"received": RECEIVED}, RECEIVED + b"From joe Mon Jan 1 00:00:00\r\nA: 1\r\n"),
    ],
)
def test_fields(header: bytes, what: dict[str, Any], expected: bytes) -> None:
    assert octets(header + BODY, **what) == expected + BODY


def test_text_without_a_header() -> None:
    assert octets(b"Hello\r\n", received=RECEIVED) == RECEIVED + b"\r\nHello\r\n"
    assert octets("Gr\u00fcezi\r\n\r\nx\r\n".encode(), received=RECEIVED) == RECEIVED + "\r\nGr\u00fcezi\r\n\r\nx\r\n".encode()
    assert octets(b"", received=RECEIVED) == RECEIVED + b"\r\n"
    assert octets(b"X-Job: j\r\n", process_job=True) == b""
    assert octets(b"X-Job: j", process_job=True, received=RECEIVED) == RECEIVED + b"\r\n"


@pytest.mark.parametrize(
    ("header", "what", "vmta", "job", "envid"),
    [
        (b"X-Job: j\r\nX-Virtual-MTA: v\r\nX-Envid: e\r\n", {}, None, None, None),
        (
            b"X-Job: j\r\nX-Virtual-MTA: v\r\nX-Envid: e\r\n",
            {"process_job": True, "process_vmta": True, "process_envid": True},
            "v",
            "j",
            "e",
        ),
        (b"X-Job: first\r\nX-Job: second\r\n", {"process_job": True}, None, "first", None),
        (b"X-Campaign: c\r\n", {"jobid_header": "X-Campaign"}, None, "c", None),
        (b"X-Campaign: c\r\nX-Job: j\r\n", {"jobid_header": "X-Campaign", "process_job": True}, None, "j", None),
        (b"X-Campaign: c\r\nX-Job: j\r\n", {"jobid_header": "X-Campaign"}, None, "c", None),
        (b"X-Virtual-MTA:\r\n", {"process_vmta": True}, "", None, None),
        (b"X-Job: a\0b\xff\r\n", {"process_job": True}, None, "a?b\ufffd", None),
        (b"X-Job: " + b"j" * 300 + b"\r\n", {"process_job": True}, None, "j" * 256, None),
        (b"X-Job: kept\r\n", {"process_job": True, "retain_job": True}, None, "kept", None),
    ],
)
def test_values(header: bytes, what: dict[str, Any], vmta: str | None, job: str | None, envid: str | None) -> None:
    made = run(header + BODY, **what)
    assert (made.vmta_header, made.job, made.envid) == (vmta, job, envid)


@pytest.mark.parametrize(
    "content",
    [
        b"X-Job: " + b"j" * 1000 + b"\r\nA: 1\r\n\r\nbody\r\n",
        b"X-Job: j\r\nA: " + b"j" * 1000 + b"\r\n\r\nbody\r\n",
        b"X-Job: " + b"j" * 1000 + b"\r\nA: 1\r\n\r\nbo\rdy\r\n",
        b"X-Job: \0\r\nA: 1\r\n\r\nbody\r\n",
        "X-Job: \u00fc\r\nA: 1\r\n\r\nbody\r\n".encode(),
        "X-Job: \u00fc\r\nA: 1\r\n\r\nb\u00f6dy\r\n".encode(),
        "X-Job: j\r\nA: \u00fc\r\n\r\nbody\r\n".encode(),
        b"X-Job: j\r\nA: 1\r\n\r\n.dot\r\n",
    ],
)
def test_facts_when_the_odd_is_cut(content: bytes) -> None:
    octets(content, process_job=True)
    octets(content, process_job=True, received=RECEIVED)
    octets(content, received=RECEIVED)


LINES = st.sampled_from(
    [b"X-Job: j", b"x-virtual-mta: v", b"X-Envid : e", b"Received: r", b" folded", b"\tfolded", b"A: 1", b".dot", b"\xc3\xbc", b"Date: d",
     b"Message-ID: m", b"", b"text", b"a\rb", b"a\nb", b"\0", b"x" * 999, b"From joe"]
)  # fmt: skip


@given(
    st.lists(LINES, max_size=12),
    st.booleans(),
    st.fixed_dictionaries(
        {
            "received": st.sampled_from([b"", RECEIVED]),
            "add_message_id": st.sampled_from([b"", MID]),
            "add_date": st.sampled_from([b"", DATE]),
            "date_override": st.booleans(),
            "process_vmta": st.booleans(),
            "retain_vmta": st.booleans(),
            "process_job": st.booleans(),
            "retain_job": st.booleans(),
            "jobid_header": st.sampled_from(["", "A"]),
            "process_envid": st.booleans(),
            "remove": st.sampled_from([frozenset(), frozenset((b"a",))]),
            "remove_received": st.booleans(),
        }
    ),
)
def test_facts_are_those_of_a_fresh_look(lines: list[bytes], ended: bool, what: dict[str, Any]) -> None:
    content = b"\r\n".join(lines) + (b"\r\n" if ended else b"")
    made = run(content, **what)
    fresh = scan(b"".join(made.parts))
    assert made.facts == fresh
