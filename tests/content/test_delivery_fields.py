"""Fields taken out and put in at delivery: by table, and by property that nothing else changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.content.delivery_fields import MOST, changed, problem
from postwright.wire.body import scan

TRACE = b"Received: from a\r\n\tby b; now\r\n"
HEAD = TRACE + b"From: me@a.example\r\nX-Job: 7\r\n more\r\nSubject: x\r\n"
BODY = b"\r\nX-Job: in the body\r\n"


def change(content: bytes, **how: object) -> bytes | None:
    return changed(content, scan(content).header_size, **how)  # type: ignore[arg-type]  # as the caller writes it


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, None),
        ({"remove": frozenset((b"x-nothing",))}, None),
        ({"remove": frozenset((b"x-job",))}, TRACE + b"From: me@a.example\r\nSubject: x\r\n"),
        ({"insert": b"X-A: 1\r\n"}, TRACE + b"X-A: 1\r\nFrom: me@a.example\r\nX-Job: 7\r\n more\r\nSubject: x\r\n"),
        (
            {"remove": frozenset((b"received", b"subject")), "insert": b"X-A: 1\r\n"},
            b"X-A: 1\r\nFrom: me@a.example\r\nX-Job: 7\r\n more\r\n",
        ),
        ({"vmta": "m1"}, TRACE + b"X-Virtual-MTA: m1\r\nFrom: me@a.example\r\nX-Job: 7\r\n more\r\nSubject: x\r\n"),
    ],
)
def test_what_becomes_of_a_header(how: dict[str, object], expected: bytes | None) -> None:
    found = change(HEAD + BODY, **how)
    assert found == (expected + BODY if expected is not None else None)


def test_a_virtual_mta_that_is_named_already_is_left() -> None:
    assert change(b"x-virtual-mta: other\r\n" + BODY, vmta="m1") is None


def test_without_a_trace_fields_come_first() -> None:
    assert change(b"From: a\r\n" + TRACE + BODY, insert=b"X-A: 1\r\n") == b"X-A: 1\r\nFrom: a\r\n" + TRACE + BODY


@given(st.binary(max_size=200), st.sampled_from([b"", TRACE, HEAD]))
def test_any_octets_have_an_answer_and_the_body_stays(octets: bytes, head: bytes) -> None:
    content = head + octets
    size = scan(content).header_size
    found = changed(content, size, remove=frozenset((b"x-job", b"from")), insert=b"X-A: 1\r\n")
    assert found is not None
    assert found.endswith(content[size:])
    assert found.count(b"X-A: 1\r\n") == content.count(b"X-A: 1\r\n") + 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (b"X-A: 1\r\nX-B:\r\n two\r\n", ""),
        (b"", ""),
        (b"X-A: 1\r\n\r\nbody\r\n", "line 2 is no header field"),
        (b" X-A: 1\r\n", "line 1 is no header field"),
        (b"no colon\r\n", "line 1 is no header field"),
        (b"X-\xc3\xa4: 1\r\n", "line 1 is no header field"),
        (b"X-A: 1", "line 1 is no header field"),
        (b"X-A: 1\nX-B: 2\r\n", "line 1 is no header field"),
        (b"X-A: \0\r\n", "NUL"),
        (b"X-A: " + b"x" * 999 + b"\r\n", "998"),
        (b"X-A: 1\r\n" * (MOST // 8 + 1), "more than"),
    ],
)
def test_what_is_a_header_field(fields: bytes, said: str) -> None:
    found = problem(fields)
    assert said in found
    assert bool(found) == bool(said)
