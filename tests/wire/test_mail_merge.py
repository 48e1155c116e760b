"""XMRG, XDFN, XPRT, XACK: lines to values, the order of things, replies kept back. Whole conversations are in the transcripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.model.reply import Reply
from postwright.wire.events import Define, MergedContent, PartStart
from postwright.wire.mail_merge import PARTS_MOST, Parts, parse_xack, parse_xdfn, parse_xprt
from postwright.wire.options import Limits, Offers, ServerOptions

MERGING = ServerOptions(offers=Offers(merge=True))
BEGIN = b"EHLO me\r\nXMRG FROM:<a@a.example>\r\n"


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("name=Anna", {"name": "Anna"}),
        ('NAME="Anna B." x=1', {"name": "Anna B.", "x": "1"}),
        ('a="" b=', {"a": "", "b": ""}),
        ("a=1 a=2", {"a": "2"}),
        (r'a="say \"hi\" \\ \n"', {"a": r'say "hi" \ \n'}),
        (r'a="ends with \\"', {"a": "ends with \\"}),
        ('*parts="1,3" *jobId=j', {"*parts": "1,3", "*jobid": "j"}),
        ('city="Zürich\tZH"', {"city": "Zürich\tZH"}),
        ("url=https://a.example/?x=y", {"url": "https://a.example/?x=y"}),
    ],
)
def test_definitions(line: str, values: dict[str, str]) -> None:
    assert parse_xdfn(line) == Define(values)


@pytest.mark.parametrize(
    "line", ["", "a", "=b", "1a=b", "a-b=c", "**a=b", 'a="b', 'a="b"c=d', 'a="<a href="x">"', 'a=b"c', "a=\x01", "a=\x85", "a=\u2028"]
)
def test_no_definitions(line: str) -> None:
    found = parse_xdfn(line)
    assert isinstance(found, Reply)
    assert found.code == 501


name = st.from_regex(r"\A\*?[A-Za-z][A-Za-z0-9_]{0,10}\Z")
clean = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=30)


@given(st.dictionaries(name.map(str.lower), clean))
def test_what_is_quoted_comes_back(values: dict[str, str]) -> None:
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    found = parse_xdfn(" ".join([f"{key}={quoted(text)}" for key, text in values.items()]))
    assert found == Define(values) if values else isinstance(found, Reply)


@given(st.text())
def test_any_line_is_an_answer(line: str) -> None:
    found = parse_xdfn(line)
    if isinstance(found, Define):
        assert not any(character in text for text in found.values.values() for character in "\r\n\0")


@pytest.mark.parametrize(
    ("line", "part"), [("1", (1, False)), ("2 LAST", (2, True)), ("3  last", (3, True)), (str(PARTS_MOST), (PARTS_MOST, False))]
)
def test_parts(line: str, part: tuple[int, bool]) -> None:
    assert parse_xprt(line) == PartStart(*part)


@pytest.mark.parametrize("line", ["", "LAST", "-1", "1 2", "1,2", "0", str(PARTS_MOST + 1), "1LAST"])
def test_no_parts(line: str) -> None:
    assert isinstance(parse_xprt(line), Reply)


@pytest.mark.parametrize(("line", "wanted"), [("ON", True), ("off", False)])
def test_acknowledgement(line: str, wanted: bool) -> None:
    assert parse_xack(line) is wanted
    assert isinstance(parse_xack(line + "x"), Reply)


def test_what_is_not_offered_is_not_known(converse: Callable[..., Any]) -> None:
    for options in (ServerOptions(), ServerOptions(offers=Offers(merge=True), lmtp=True)):
        conversation = converse(options)
        hello = "LHLO" if options.lmtp else "EHLO"
        assert b"XMRG" not in conversation.say(f"{hello} me\r\n".encode())
        for verb in (b"XMRG FROM:<a@a.example>", b"XDFN a=b", b"XPRT 1", b"XACK OFF", b"ACKRCPT OFF"):
            assert conversation.say(verb + b"\r\n").startswith(b"500 5.5.2 ")


def test_parts_come_as_they_are_numbered_and_stay_apart(converse: Callable[..., Any]) -> None:
    conversation = converse(MERGING)
    conversation.say(BEGIN + b"RCPT TO:<b@b.example>\r\nXPRT 2\r\n")
    conversation.say(b"second\r\n..dotted\r\n.\r\n")
    conversation.say(b"XPRT 1 LAST\r\nfirst\r\n.\r\n")
    [found] = [event for event in conversation.events if isinstance(event, MergedContent)]
    assert found.content == b"first\r\nsecond\r\n.dotted\r\n"
    assert found.parts == ((1, 7), (2, 17))
    assert (found.facts.size, found.facts.dots) == (24, True)


def test_a_submission_may_not_grow_in_parts(converse: Callable[..., Any]) -> None:
    conversation = converse(ServerOptions(offers=Offers(merge=True), limits=Limits(message_size=300)))
    conversation.say(BEGIN + b"RCPT TO:<b@b.example>\r\nXPRT 1\r\n")
    assert conversation.say(b"x" * 200 + b"\r\n.\r\n").startswith(b"250 ")
    assert conversation.say(b"XPRT 2 LAST\r\n").startswith(b"354 ")
    assert conversation.say(b"x" * 500 + b"\r\n.\r\n").startswith(b"552 5.3.4")
    assert conversation.say(b"XPRT 3 LAST\r\n").startswith(b"503 ")  # the transaction is over


def test_what_has_come_is_held() -> None:
    parts = Parts()
    content = parts.begin(PartStart(1, False), 100)
    content.feed(b"abc\r\n.\r\n")
    assert content.held == 8
    assert parts.begin(PartStart(2, True), 100).held == parts.held == 0
