"""One look at a content, against a slow and obvious one; stuffing and unstuffing."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postwright.model.message import ContentFacts
from postwright.wire.body import TEXT_LINE, repair, scan, stuff, unstuff


def slow_scan(content: bytes) -> ContentFacts:
    lines = content.split(b"\r\n")
    header = b"" if content.startswith(b"\r\n") else content.partition(b"\r\n\r\n")[0]
    size = 2 if content.startswith(b"\r\n") else len(header) + (4 if b"\r\n\r\n" in content else 0)
    longest = max(len(line) for line in lines)
    bare = re.search(rb"(?<!\r)\n|\r(?!\n)", content) is not None
    return ContentFacts(
        size=len(content),
        header_size=size,
        longest_line=longest,
        dots=any(line.startswith(b".") for line in lines),
        eight_bit=any(octet > 127 for octet in content),
        utf8_headers=any(octet > 127 for octet in content[:size]),
        binary=bare or b"\0" in content or longest > TEXT_LINE,
        hops=sum(line.lower().startswith(b"received:") for line in content[:size].split(b"\r\n")),
    )


LONG = [b"x" * 500, b"x" * 998, b"x" * 999]
pieces = st.sampled_from(
    [b"\r\n", b"\r\n\r\n", b"\r", b"\n", b".", b"..", b"\r\n.", b"Received: a", b"RECEIVED:", b"\0", b"\xfc", b"text", *LONG]
)


@given(st.lists(pieces, max_size=20).map(b"".join) | st.binary(max_size=50))
@example(b"x" * 999)
@example(b"x" * 1000)
@example(b"x" * 998 + b"\r\n")
@example(b"x" * 998 + b"\r\n" + b"y" * 999)
def test_the_quick_look_sees_what_the_slow_one_sees(content: bytes) -> None:
    quick, slow = scan(content), slow_scan(content)
    for field in ("size", "header_size", "dots", "eight_bit", "utf8_headers", "hops"):
        assert getattr(quick, field) == getattr(slow, field), field
    bare = re.search(rb"(?<!\r)\n|\r(?!\n)|\0", content)
    if not bare:
        assert quick.binary == slow.binary
        assert (quick.longest_line > TEXT_LINE) == (slow.longest_line > TEXT_LINE)
        if slow.longest_line > TEXT_LINE:
            assert quick.longest_line == slow.longest_line
        assert quick.longest_line >= slow.longest_line
    else:
        assert quick.binary


@pytest.mark.parametrize(
    ("content", "header_size", "hops"),
    [
        (b"", 0, 0),
        (b"\r\n", 2, 0),
        (b"\r\nReceived: x\r\n", 2, 0),
        (b"A: b\r\n", 6, 0),
        (b"A: b\r\n\r\nReceived: x", 8, 0),
        (b"Received: a\r\nX-Received: b\r\nreceived: c\r\n\r\n", 43, 2),
    ],
)
def test_the_header_section(content: bytes, header_size: int, hops: int) -> None:
    facts = scan(content)
    assert (facts.header_size, facts.hops) == (header_size, hops)


@given(st.lists(pieces, max_size=20).map(b"".join))
def test_stuffing_and_back(content: bytes) -> None:
    stuffed = stuff(content)
    ended = content if not content or content.endswith(b"\r\n") else content + b"\r\n"
    assert unstuff(stuffed) == ended
    assert b"\r\n.\r\n" not in b"\r\n" + stuffed


@given(st.lists(pieces, max_size=20).map(b"".join) | st.binary(max_size=100))
def test_repaired_content_is_text(content: bytes) -> None:
    fixed = repair(content)
    assert re.search(rb"(?<!\r)\n|\r(?!\n)|\0", fixed) is None
    assert repair(fixed) == fixed
    assert not set(fixed) - set(content) - set(b"\r\n ")
