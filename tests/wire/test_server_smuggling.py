"""Strict framing: only CRLF.CRLF ends content, whatever looks like it, and what looks like it is not passed on."""

from __future__ import annotations

import itertools
import smtplib
from collections.abc import Callable
from typing import Any

import pytest

from postwright.wire.body import repair, scan, stuff
from postwright.wire.options import ServerOptions

FALSE_ENDS = [
    b"\n.\n",
    b"\r\n.\n",
    b"\n.\r\n",
    b"\r.\r\n",
    b"\r.\r",
    b"\r.\n",
    b"\n.\r",
    b"\r\n.\r",
    b"\r\n.\r\r\n",
    b"\r\r\n.\r\r\n",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\n.\r\0\n",
    b"\r\0\n.\r\n",
    b"\0\r\n.\n",
    b"\r\n..\n",
    b"\n..\r\n",
]
TAIL = b"MAIL FROM:<evil@example.com>\r\nRCPT TO:<victim@example.org>\r\nDATA\r\nforged\r\n"


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("end", FALSE_ENDS, ids=[repr(end)[2:-1] for end in FALSE_ENDS])
def test_a_false_end_is_content_and_refused(end: bytes, cut: int, converse: Callable[..., Any]) -> None:
    conversation = converse()
    conversation.begin()
    conversation.say(b"DATA\r\n")
    octets = b"Subject: x\r\n\r\ntext" + end + TAIL + b"\r\n.\r\n"
    pieces = [octets[at : at + cut] for at in range(0, len(octets), cut)] if cut else [octets]
    answer = b"".join([conversation.say(piece) for piece in pieces])
    assert answer == b"550 5.6.0 bare CR, bare LF or NUL in the message\r\n"
    assert conversation.contents() == []
    assert conversation.codes(b"RCPT TO:<b@example.org>\r\n") == [503]


@pytest.mark.parametrize("end", FALSE_ENDS, ids=[repr(end)[2:-1] for end in FALSE_ENDS])
def test_repaired_content_has_no_false_end(end: bytes, converse: Callable[..., Any]) -> None:
    conversation = converse(ServerOptions(bare="repair"))
    conversation.begin()
    conversation.say(b"DATA\r\n")
    assert conversation.codes(b"text" + end + TAIL + b"\r\n.\r\n") == [250]
    (content,) = conversation.contents()
    assert b"MAIL FROM:<evil@example.com>\r\n" in content
    assert not scan(content).binary
    assert b"\r\n.\r\n" not in stuff(content)


@pytest.mark.parametrize("end", FALSE_ENDS, ids=[repr(end)[2:-1] for end in FALSE_ENDS])
def test_text_by_bdat_is_held_to_the_same(end: bytes, converse: Callable[..., Any]) -> None:
    conversation = converse()
    conversation.begin()
    octets = b"text" + end + b"more\r\n"
    assert conversation.codes(b"BDAT %d LAST\r\n" % len(octets) + octets) == [550]


def test_every_short_mixture_of_line_ends_and_dots(converse: Callable[..., Any]) -> None:
    """All strings of up to six of CR, LF and dot after a letter: exactly those with CRLF.CRLF in them end, at its first place."""
    for length in range(1, 7):
        for letters in itertools.product(b"\r\n.", repeat=length):
            octets = b"x" + bytes(letters)
            conversation = converse()
            conversation.begin()
            conversation.say(b"DATA\r\n")
            answers = conversation.say(octets)
            assert bool(answers) == (b"\r\n.\r\n" in octets), octets
            if answers.startswith(b"250"):
                before = octets.partition(b"\r\n.\r\n")[0]
                assert b"\r" not in before.replace(b"\r\n", b"")
                assert b"\n" not in before.replace(b"\r\n", b"")


def test_our_stuffing_is_what_the_standard_library_does() -> None:
    for text in [b".", b".\r\n", b"..\r\n.", b"a\r\n.b\r\n", b"\r\n.\r\n", b"x\r\n..\r\n.\r\n"]:
        theirs = smtplib._quote_periods(text)  # type: ignore[attr-defined]  # the only reference at hand
        assert stuff(text) == (theirs if theirs.endswith(b"\r\n") else theirs + b"\r\n")


@pytest.mark.parametrize("line", [b"NOOP\n", b"NO\rOP\r\n", b"NOOP\r\r\n", b"\rNOOP\r\n"])
def test_commands_with_bare_line_ends(line: bytes, converse: Callable[..., Any]) -> None:
    assert converse().say(line) == b"500 5.5.2 lines must end with CRLF\r\n"


def test_commands_that_end_with_bare_lf_when_repairing(converse: Callable[..., Any]) -> None:
    conversation = converse(ServerOptions(bare="repair"))
    assert conversation.codes(b"HELO x\nMAIL FROM:<a@example.com>\nRCPT TO:<b@example.org>\nDATA\n") == [250, 250, 250, 354]
    assert conversation.codes(b"text\n.\n") == []
    assert conversation.codes(b"\r\n.\r\n") == [250]
    assert conversation.contents() == [b"text\r\n.\r\n\r\n"]


def test_repair_leaves_good_content_alone() -> None:
    good = b"a\r\n\r\n.b\r\n"
    assert repair(good) == good
    assert repair(b"a\nb\rc\r\r\nd\0e\r\n") == b"a\r\nb c \r\nde\r\n"
