"""Finding and cutting fields, with Python's email package as the other opinion."""

from __future__ import annotations

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.content.headers import MOST_FIELDS, Field, find, has, without
from postwright.wire.body import scan

CONTENT = b"X-Job: a\r\nFrom: b\r\nx-JOB :\r\n folded\r\n  more \r\nTo: x\r\nX-Jobless: no\r\n\r\nX-Job: body\r\n"
SIZE = scan(CONTENT).header_size


def test_folded_in_any_case_and_only_in_the_header() -> None:
    assert find(CONTENT, SIZE, frozenset((b"x-job", b"to"))) == [
        Field(b"x-job", 0, 10, b"a"),
        Field(b"x-job", 19, 46, b"folded  more"),
        Field(b"to", 46, 53, b"x"),
    ]


def test_cut() -> None:
    spans = [(f.start, f.end) for f in find(CONTENT, SIZE, frozenset((b"x-job",)))]
    assert without(CONTENT, spans) == [b"From: b\r\n", b"To: x\r\nX-Jobless: no\r\n\r\nX-Job: body\r\n"]
    assert without(CONTENT, []) == [CONTENT]
    assert without(b"abc", [(0, 3)]) == []


def test_nothing_wanted() -> None:
    assert find(CONTENT, SIZE, frozenset()) == []
    assert has(CONTENT, SIZE, b"from")
    assert not has(CONTENT, SIZE, b"x-virtual-mta")


@pytest.mark.parametrize(
    ("content", "value", "end"),
    [
        (b"X-Job: a", b"a", 8),
        (b"X-Job:\r\n\r\n", b"", 8),
        (b"X-Job", None, 0),
        (b"X-Job: a\r\n \r\n\tb\r\n\r\n", b"a \tb", 17),
        (b"A: 1\nX-Job: bare\r\n\r\n", None, 0),
        (b"\r\nX-Job: body\r\n", None, 0),
        (b"", None, 0),
        (b" X-Job: folded\r\n\r\n", None, 0),
    ],
)
def test_odd_sections(content: bytes, value: bytes | None, end: int) -> None:
    found = find(content, scan(content).header_size, frozenset((b"x-job",)))
    assert [f.value for f in found] == ([] if value is None else [value])
    if found:
        assert found[0].end == end


NAMES = st.sampled_from(["X-Job", "x-job", "X-JOB", "From", "To", "Subject", "X-Jobs", "Job"])
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)
FIELDS = st.lists(st.tuples(NAMES, st.lists(VALUES, min_size=1, max_size=3)), max_size=8)


@given(FIELDS)
def test_agrees_with_python(fields: list[tuple[str, list[str]]]) -> None:
    content = "".join([f"{name}: " + "\r\n ".join(lines) + "\r\n" for name, lines in fields]).encode() + b"\r\nX-Job: body\r\n"
    facts = scan(content)
    found = find(content, facts.header_size, frozenset((b"x-job", b"subject")))
    message = email.message_from_bytes(content, policy=email.policy.compat32)
    expected = [
        (name.lower().encode(), str(value).replace("\r\n", "").replace("\n", "").strip().encode())
        for name, value in message.items()
        if name.lower() in ("x-job", "subject")
    ]
    assert [(f.name, f.value) for f in found] == expected
    rest = b"".join(without(content, [(f.start, f.end) for f in found]))
    kept = [name for name in message.keys() if name.lower() not in ("x-job", "subject")]  # noqa: SIM118
    assert email.message_from_bytes(rest).keys() == kept
    assert rest.endswith(b"\r\nX-Job: body\r\n")


@given(st.binary(max_size=200) | st.text("ax-job:\r\n \t", max_size=60).map(str.encode))
def test_total_for_any_octets(content: bytes) -> None:
    facts = scan(content)
    found = find(content, facts.header_size, frozenset((b"x-job", b"a")))
    at = 0
    for one in found:
        assert at <= one.start < one.end <= facts.header_size
        assert content[one.start :].lower().startswith(one.name)
        at = one.end
    rest = b"".join(without(content, [(f.start, f.end) for f in found]))
    assert len(rest) == len(content) - sum([f.end - f.start for f in found])


def test_a_flood_of_fields_is_looked_at_up_to_a_bound() -> None:
    content = b"X-Job: a\r\n" * (MOST_FIELDS + 500) + b"\r\nbody\r\n"
    fields = find(content, scan(content).header_size, frozenset((b"x-job",)))
    assert len(fields) == MOST_FIELDS
    assert fields[-1].end == MOST_FIELDS * len(b"X-Job: a\r\n")
