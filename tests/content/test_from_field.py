"""`from-domain`: the domain of the From field, and nothing else."""

from __future__ import annotations

import pytest

from postwright.content.from_field import rewritten
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
