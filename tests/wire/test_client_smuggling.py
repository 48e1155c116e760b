"""Outbound smuggling: no content, whatever it holds, may end itself early or begin a second message at any receiver.

The receivers here are worse than any that exist: each takes one of the known wrong ends of data for the end.
"""

from __future__ import annotations

import itertools

import pytest

from postwright.model.address import parse_mailbox
from postwright.model.envelope import Recipient
from postwright.model.route import SessionOptions, TlsLevel
from postwright.wire.body import scan
from postwright.wire.client import SmtpClient
from postwright.wire.client_encode import Unsendable
from postwright.wire.client_states import DATA, END, Transaction

BEFORE = [b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\0", b"\0"]
AFTER = [b"\r\n", b"\n", b"\r", b"\n\r", b"\r\r\n"]
ENDS = [first + b"." + last for first, last in itertools.product(BEFORE, AFTER)]
EVIL = b"MAIL FROM:<evil@example.com>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nSubject: evil\r\n\r\nevil\r\n.\r\n"


def sent(content: bytes, *offers: str) -> bytes:
    engine = SmtpClient("client.example", SessionOptions(tls=TlsLevel.NONE))
    engine.receive_data(b"220 x\r\n")
    engine.data_to_send()
    engine.receive_data("".join([f"250-{word}\r\n" for word in ("x", *offers)]).encode() + b"250 HELP\r\n")
    order = Transaction(parse_mailbox("a@example.com"), [Recipient(parse_mailbox("b@example.net"))], [content], scan(content))
    try:
        engine.begin(order, 1)
    except Unsendable:
        return b""
    out = engine.data_to_send()
    while engine.expect != END:
        engine.receive_data(b"354 go\r\n" if engine.expect == DATA else b"250 ok\r\n")
        out += engine.data_to_send()
    return b"".join(out)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("offers", [(), ("PIPELINING",), ("8BITMIME", "SMTPUTF8", "DSN"), ("CHUNKING",)])
def test_no_receiver_sees_a_second_message(end: bytes, offers: tuple[str, ...]) -> None:
    content = b"Subject: x\r\n\r\nhello" + end + EVIL
    stream = sent(content, *offers)
    if end == b"\r\n.\r\n":
        # Lines as they should be: sent, with the dot doubled, so that one end of data is in it, at its very end.
        assert stream.endswith(b"hello\r\n..\r\n" + EVIL[:-3] + b"..\r\n.\r\n")
        assert stream.count(b"\r\n.\r\n") == 1
    else:
        # There is no way to say this in DATA, and BINARYMIME is not offered.
        assert b"hello" not in stream
        assert b"evil" not in stream


@pytest.mark.parametrize("end", ENDS)
def test_binary_goes_counted(end: bytes) -> None:
    content = b"hello" + end + EVIL
    stream = sent(content, "PIPELINING", "CHUNKING", "BINARYMIME")
    assert stream.endswith(b"BDAT %d LAST\r\n%s" % (len(content), content))
    assert stream.count(b"LAST\r\n") == 1


@pytest.mark.parametrize(
    ("content", "tail"),
    [
        (b"a", b"a\r\n.\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b"a\r\n.", b"a\r\n..\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"", b"DATA\r\n.\r\n"),
    ],
)
def test_ends_of_content(content: bytes, tail: bytes) -> None:
    stream = sent(content, "PIPELINING").split(b"DATA\r\n", 1)[1]
    assert (b"DATA\r\n" + stream).endswith(tail)
    assert (b"\r\n" + stream).count(b"\r\n.\r\n") == 1
