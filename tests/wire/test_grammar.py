"""The small words: xtext, base64, paths, parameters, and replies as octets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.model.reply import Reply
from postwright.wire.grammar import (
    GrammarError,
    base64_decode,
    base64_encode,
    encode_reply,
    match_mail,
    match_rcpt,
    split_parameters,
    xtext_decode,
    xtext_encode,
)


@pytest.mark.parametrize(("encoded", "text"), [("", ""), ("plain", "plain"), ("a+2Bb+3Dc", "a+b=c"), ("+20", " "), ("+C3+BC", "ü")])
def test_xtext(encoded: str, text: str) -> None:
    assert xtext_decode(encoded) == text
    assert xtext_encode(text) == encoded


@pytest.mark.parametrize("text", ["a=b", "a b", "+", "+2", "+2b", "+zz", "+0D+0A", "+00", "+7F", "+FF", "ü", "+ED+A0+80"])
def test_not_xtext(text: str) -> None:
    with pytest.raises(GrammarError):
        xtext_decode(text)


@given(st.text(st.characters(exclude_categories=["C", "Z"])))
def test_xtext_there_and_back(text: str) -> None:
    assert xtext_decode(xtext_encode(text)) == text


def test_base64() -> None:
    assert base64_decode(b"YW5uYQ==") == b"anna"
    assert base64_decode(b"") == b""
    assert base64_encode(b"x" * 100) == "eHh4" * 33 + "eA=="
    for wrong in [b"YW5uYQ", b"YW5uYQ=", b"YW5u YQ==", b"YW5uYQ==x", b"!", b"=", b"YW5u\xff"]:
        with pytest.raises(GrammarError):
            base64_decode(wrong)


@pytest.mark.parametrize(
    ("argument", "mailbox", "rest"),
    [
        ("FROM:<a@b>", "a@b", None),
        ("from: <a@b>", "a@b", None),
        ("FROM:<>", "", None),
        ("FROM:<> SIZE=1", "", "SIZE=1"),
        ('FROM:<"a>b"@c> X', '"a>b"@c', "X"),
        ('FROM:<"a\\"> b"@c>', '"a\\"> b"@c', None),
        ("FROM:<@x,@y:a@b>", "a@b", None),
        ("FROM:a@b", "a@b", None),
        ("FROM: a@b SIZE=1", "a@b", "SIZE=1"),
        ('FROM:"a b"@c X', '"a b"@c', "X"),
    ],
)
def test_paths(argument: str, mailbox: str, rest: str | None) -> None:
    match = match_mail(argument)
    assert match is not None
    assert (match[1] if match[2] is None else match[2], match[3]) == (mailbox, rest)


NOT_PATHS = ["", "TO:", "TO: ", "TO:<a@b", "TO:a@b>", "TO:<a@b>x", "TO <a@b>", "TO:<a b>", "TO:<<a@b>>", 'TO:<"a>', "TO:<a\0>"]


@pytest.mark.parametrize("argument", NOT_PATHS)
def test_not_paths(argument: str) -> None:
    assert match_rcpt(argument) is None


def test_paths_are_matched_in_linear_time() -> None:
    for hostile in ["<" + '"' * 20_000, "<" + '""' * 20_000, '<"' + "\\" * 20_000, "<@" + "a:" * 20_000, "<" + " " * 20_000]:
        assert match_rcpt("TO:" + hostile) is None


def test_parameters() -> None:
    assert split_parameters("size=10 BODY=8BITMIME  SMTPUTF8") == {"SIZE": "10", "BODY": "8BITMIME", "SMTPUTF8": None}
    assert split_parameters("") == {}
    for wrong in ["=", "A=", "A==", "A=b=c", "A=\x01", "-A", "A_B", "A A", "A=1 a=2"]:
        with pytest.raises(GrammarError):
            split_parameters(wrong)


@pytest.mark.parametrize(
    ("reply", "octets"),
    [
        (Reply(250, "2.0.0", ("ok",)), b"250 2.0.0 ok\r\n"),
        (Reply(354, "", ("go",)), b"354 go\r\n"),
        (Reply(334, "", ("",)), b"334 \r\n"),
        (Reply(250, "2.0.0", ()), b"250 2.0.0 \r\n"),
        (Reply(250, "", ("a", "b")), b"250-a\r\n250 b\r\n"),
        (Reply(550, "5.1.1", ("a", "b")), b"550-5.1.1 a\r\n550 5.1.1 b\r\n"),
        (Reply(550, "", ("a\r\n250 b\0",)), b"550 a  250 b \r\n"),
        (Reply(550, "", ("ü",)), b"550 ?\r\n"),
        (Reply(550, "", ("x" * 507,)), b"550-" + b"x" * 506 + b"\r\n550 x\r\n"),
        (Reply(550, "", ("x" * 506,)), b"550 " + b"x" * 506 + b"\r\n"),
    ],
)
def test_replies(reply: Reply, octets: bytes) -> None:
    assert encode_reply(reply) == octets


@given(st.integers(200, 599), st.sampled_from(["", "5.7.1"]), st.lists(st.text()))
def test_no_text_can_forge_a_reply(code: int, status: str, lines: list[str]) -> None:
    octets = encode_reply(Reply(code, status, tuple(lines)))
    *first, last, end = octets.split(b"\r\n")
    assert end == b""
    assert last.startswith(b"%d " % code)
    assert all(line.startswith(b"%d-" % code) for line in first)
    assert all(len(line) <= 510 and line.isascii() and line.decode().isprintable() for line in [*first, last])
