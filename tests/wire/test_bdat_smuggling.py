"""What came by BDAT with BODY=BINARYMIME may hold bare CR, bare LF, and every wrong end of data. On its way out it goes counted, or as
base64, or not at all; never by DATA as it is.
"""

from __future__ import annotations

import email
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from postwright.content.downgrade import to_7bit
from postwright.model.address import parse_mailbox
from postwright.model.envelope import Recipient
from postwright.model.route import SessionOptions, TlsLevel
from postwright.wire import events
from postwright.wire.body import scan
from postwright.wire.client import SmtpClient
from postwright.wire.client_encode import Unsendable
from postwright.wire.client_states import DATA, END, Transaction

ENDS = [a + b"." + b for a, b in itertools.product([b"\r\n", b"\n", b"\r", b"\n\n", b"\r\r\n"], [b"\n", b"\r", b"\r\r\n", b"\n\r"])]
ENDS += [b"\n.\r\n", b"\r.\r\n", b"\n\n.\r\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n"]
EVIL = b"MAIL FROM:<evil@example.com>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nevil\r\n"
HEADS = [b"Subject: x\r\n\r\n", b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n\r\n"]


def accepted(converse: Callable[..., Any], content: bytes) -> events.Content:
    conversation = converse()
    conversation.begin(b"MAIL FROM:<a@example.com> BODY=BINARYMIME")
    cut = len(content) // 2
    for chunk, last in ((content[:cut], b""), (content[cut:], b" LAST")):
        assert conversation.codes(b"BDAT %d%s\r\n%s" % (len(chunk), last, chunk)) == [250]
    (event,) = [event for event in conversation.events if isinstance(event, events.Content)]
    return event


def stream(order: Transaction, *offers: str) -> bytes:
    """All that is said to a receiver that accepts everything."""
    engine = SmtpClient("client.example", SessionOptions(tls=TlsLevel.NONE))
    engine.receive_data(b"220 x\r\n")
    engine.data_to_send()
    engine.receive_data("".join([f"250-{word}\r\n" for word in ("x", *offers)]).encode() + b"250 HELP\r\n")
    engine.begin(order, 1)
    out = engine.data_to_send()
    while engine.expect != END:
        engine.receive_data(b"354 go\r\n" if engine.expect == DATA else b"250 ok\r\n")
        out += engine.data_to_send()
    return b"".join(out)


def order(content: bytes) -> Transaction:
    return Transaction(parse_mailbox("a@example.com"), [Recipient(parse_mailbox("b@example.net"))], [content], scan(content))


@pytest.mark.parametrize("head", HEADS, ids=["plain", "mime"])
@pytest.mark.parametrize("end", ENDS, ids=[repr(end)[2:-1] for end in ENDS])
def test_counted_or_encoded_and_never_as_it_is(end: bytes, head: bytes, converse: Callable[..., Any]) -> None:
    content = head + b"text" + end + EVIL
    event = accepted(converse, content)
    assert event.content == content
    assert event.facts.binary
    counted = stream(order(content), "PIPELINING", "CHUNKING", "BINARYMIME")
    assert counted.endswith(b"BDAT %d LAST\r\n%s" % (len(content), content))
    for offers in [(), ("CHUNKING",), ("8BITMIME", "CHUNKING"), ("BINARYMIME",)]:
        with pytest.raises(Unsendable):
            stream(order(content), *offers)
    encoded = to_7bit(content, event.facts)
    assert encoded is not None
    assert not scan(encoded).binary
    said = stream(order(encoded), "PIPELINING")
    assert said.count(b"\r\n.\r\n") == 1
    assert b"MAIL FROM:<evil" not in said
    message = email.message_from_bytes(encoded)
    assert message.get_payload(decode=True) == content.partition(b"\r\n\r\n")[2]
