"""Replies as clients read them: what is well formed, what is forgiven, what is not, and that cuts change nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.model.reply import Reply
from postwright.wire.replies import MAX_LINE, MAX_LINES, MAX_REPLY, MAX_TEXT, ReplyParser

GOOD = [
    (b"250 2.1.0 Ok\r\n", [Reply(250, "2.1.0", ("Ok",))]),
    (b"250 Ok\r\n", [Reply(250, "", ("Ok",))]),
    (b"250\r\n", [Reply(250, "", ("",))]),
    (b"250 \r\n", [Reply(250, "", ("",))]),
    (b"250 2.0.0\r\n", [Reply(250, "2.0.0", ("",))]),
    (b"354 go\r\n", [Reply(354, "", ("go",))]),
    (b"250 a\r\n550 5.1.1 b\r\n", [Reply(250, "", ("a",)), Reply(550, "5.1.1", ("b",))]),
    (b"550-5.1.1 no such\r\n550 5.1.1 user\r\n", [Reply(550, "5.1.1", ("no such", "user"))]),
    (b"550-5.1.1 no such\r\n550 user\r\n", [Reply(550, "5.1.1", ("no such", "user"))]),
    (b"250-mx.example\r\n250-SIZE 1000\r\n250 HELP\r\n", [Reply(250, "", ("mx.example", "SIZE 1000", "HELP"))]),
    # forgiven: bare LF, a class that contradicts the code, codes that differ, a line break in the text, 8-bit, controls
    (b"250 ok\n", [Reply(250, "", ("ok",))]),
    (b"550 4.2.1 x\r\n", [Reply(550, "", ("4.2.1 x",))]),
    (b"250-a\r\n550 b\r\n", [Reply(550, "", ("a", "b"))]),
    (b"250-2.0.0 a\r\n550 b\r\n", [Reply(550, "", ("a", "b"))]),
    (b"550-one\r\ntwo\r\n550 three\r\n", [Reply(550, "", ("one", "two", "three"))]),
    ("550 Grüße\r\n".encode(), [Reply(550, "", ("Grüße",))]),
    ("550 Grüße\r\n".encode("latin-1"), [Reply(550, "", ("Grüße",))]),
    (b"550 a\x00b\x1b[0m\x07\r\n", [Reply(550, "", ("a b [0m",))]),
    (b"550 a\rb\r\n", [Reply(550, "", ("a b",))]),
    (b"250 " + b"x" * 5000 + b"\r\n", [Reply(250, "", ("x" * MAX_TEXT,))]),
    (b"554 5.7.1.2 odd\r\n", [Reply(554, "", ("5.7.1.2 odd",))]),
    (b"554 5.7.1234 odd\r\n", [Reply(554, "", ("5.7.1234 odd",))]),
]

BAD = [
    (b"hello\r\n", "not a reply"),
    (b"\r\n", "not a reply"),
    (b"150 early\r\n", "not a reply"),
    (b"650 late\r\n", "not a reply"),
    (b"25 short\r\n", "not a reply"),
    (b"2500 long\r\n", "not a reply"),
    (b"HTTP/1.1 400 Bad Request\r\n", "not a reply"),
    (b"\x16\x03\x01\x00\x05\n", "not a reply"),
    (b"250 " + b"x" * MAX_LINE + b"\r\n", "not a reply"),
    (b"250 " + b"x" * MAX_LINE, "a reply line without end"),
    (b"250-x\r\n" * (MAX_LINES + 1), "a reply without end"),
    (b"250-" + b"x" * 8000 + b"\r\n", ""),
    ((b"250-" + b"x" * 8000 + b"\r\n") * (MAX_REPLY // 8000 + 1), "a reply without end"),
]


@pytest.mark.parametrize(("data", "replies"), GOOD)
def test_good(data: bytes, replies: list[Reply]) -> None:
    parser = ReplyParser()
    assert parser.feed(data) == replies
    assert (parser.error, parser.partial) == ("", False)


@pytest.mark.parametrize(("data", "error"), BAD)
def test_bad(data: bytes, error: str) -> None:
    parser = ReplyParser()
    assert parser.feed(b"250 first\r\n" + data)[0] == Reply(250, "", ("first",))
    assert parser.error.startswith(error)
    assert bool(parser.error) == bool(error)
    if error:
        assert parser.feed(b"250 more\r\n") == []


def test_partial() -> None:
    parser = ReplyParser()
    assert parser.feed(b"250-a\r\n") == []
    assert parser.partial
    assert parser.feed(b"25") == []
    assert parser.partial
    assert parser.feed(b"0 b\r\n") == [Reply(250, "", ("a", "b"))]
    assert not parser.partial


def test_every_cut() -> None:
    whole = b"".join([data for data, _ in GOOD if len(data) < 100])
    once = ReplyParser().feed(whole)
    for at in range(len(whole)):
        parser = ReplyParser()
        assert parser.feed(whole[:at]) + parser.feed(whole[at:]) == once
    single = ReplyParser()
    assert [reply for octet in whole for reply in single.feed(bytes([octet]))] == once


@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"250 ok\r\n", b"250-", b"\r\n", b"\n", b"550 5.1.1 no\r\n"]), max_size=20))
def test_anything(pieces: list[bytes]) -> None:
    parser = ReplyParser()
    replies = [reply for piece in pieces for reply in parser.feed(piece)]
    for reply in replies:
        assert 200 <= reply.code <= 599
        assert all(line.isprintable() for line in reply.lines)
    together = ReplyParser()
    assert together.feed(b"".join(pieces)) == replies
    assert together.error == parser.error
