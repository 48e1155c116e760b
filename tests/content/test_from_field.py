"""`from-domain`: the domain of the From field, and nothing else."""

from __future__ import annotations

import time

import pytest

from postwright.content.from_field import LONGEST, addresses, mailboxes, rewritten
from postwright.wire.body import scan


def change(domain: str) -> str:
    return "new.example" if domain.lower() == "old.example" else ""


def done(head: bytes, body: bytes = b"From: x@old.example\r\n") -> bytes | None:
    content = head + b"\r\n" + body
    made = rewritten(content, scan(content).header_size, change)
    return None if made is None else made.removesuffix(b"\r\n" + body)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"From: me@OLD.example\r\n", b"From: me@new.example\r\n"),
        (b'FROM : "me@old.example" <me@old.example>\r\n', b'FROM : "me@old.example" <me@new.example>\r\n'),
        (b"From: me@old.example (at old@old.example)\r\n", b"From: me@new.example (at old@old.example)\r\n"),
        (b"From: A <a@old.example>,\r\n\tB <b@old.example>\r\n", b"From: A <a@new.example>,\r\n\tB <b@new.example>\r\n"),
        (b'From: "a\\"@old.example" <q@old.example>\r\n', b'From: "a\\"@old.example" <q@new.example>\r\n'),
    ],
)
def test_the_domain_is_replaced_and_all_else_stays(before: bytes, after: bytes) -> None:
    frame = b"To: x@old.example\r\n%bSubject: @old.example\r\n"
    assert done(frame % before) == frame % after


@pytest.mark.parametrize(
    "head", [b"From: me@other.example\r\n", b"To: me@old.example\r\n", b"", b'From: "me@old.example\r\n', b"From: \xff@\xfe\r\n"]
)
def test_what_does_not_fit_stays_as_it_is(head: bytes) -> None:
    expected = None if b'"' not in head else b'From: "me@new.example\r\n'
    assert done(head) == expected


@pytest.mark.parametrize("piece", [b"\\(", b'\\"', b"(\\", b'a\\"', b"a@[", b'"', b"(", b"a@", b'"a"@', b"a ", b"\r\n ("])
def test_time_is_linear_in_the_field(piece: bytes) -> None:
    """The largest takes milliseconds; quadratic time would be half a minute."""
    content = b"From: " + piece * (200_000 // len(piece)) + b"\r\n\r\n"
    began = time.perf_counter()
    rewritten(content, len(content) - 2, change)
    addresses(content, len(content) - 2)
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"me@a.example", ["me@a.example"]),
        (b'"x@y" <me@a.example> (z@y), "a b"@[192.0.2.1]', ["me@a.example", '"a b"@[192.0.2.1]']),
        (b"me @\r\n a.example", ["me@a.example"]),
        (b"\xff@a.example", ["\ufffd@a.example"]),
        (b'me@a.example, "x <y@b.example>', ["me@a.example", ""]),
        (b"me@a.example (x <y@b.example>", ["me@a.example", ""]),
        (b'"x\\" <y@b.example>', [""]),
        (b"nobody", []),
    ],
)
def test_addresses(body: bytes, found: list[str]) -> None:
    content = b"To: z@z.example\r\nFrom: " + body + b"\r\n\r\nFrom: q@q.example"
    assert addresses(content, content.index(b"\r\n\r\n") + 2) == found


def test_of_a_field_without_end_nobody_is_sure() -> None:
    value = b" a@b.example"
    assert mailboxes(value + b" " * (LONGEST - len(value))) == ("a@b.example",)
    assert mailboxes(value + b" " * LONGEST) == ("",)
