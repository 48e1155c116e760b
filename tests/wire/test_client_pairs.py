"""The client engine talks to our server engine with no network in sight: content arrives as it was, however the bytes are cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.model.address import parse_mailbox
from postwright.model.envelope import Notify, Recipient
from postwright.model.reply import Reply
from postwright.model.route import SessionOptions, TlsLevel
from postwright.wire import events
from postwright.wire.body import scan
from postwright.wire.client import SmtpClient
from postwright.wire.client_states import Done, Ended, Transaction
from postwright.wire.events import Signal
from postwright.wire.options import Limits, ServerOptions
from postwright.wire.server import SmtpServer

OK = Reply(250, "2.0.0", ("ok",))


def offered(server: SmtpServer) -> tuple[str, ...]:
    """The lines of its EHLO."""
    return server.options.capabilities(server.authenticated)


class Pair:
    """Both engines and somebody who answers for the server: 550 to recipients `no...`, yes to the rest."""

    def __init__(self, offered: ServerOptions, options: SessionOptions, cuts: list[int]) -> None:
        self.client = SmtpClient("client.example", options)
        self.server = SmtpServer(offered)
        self.server.send_reply(Reply(220, "", ("server.example",)))
        self.got: list[bytes] = []
        self.mails: list[events.MailFrom] = []
        self.rcpts: list[events.RcptTo] = []
        self.done: list[Done] = []
        self._cuts = itertools.cycle(cuts or [1 << 30])
        self.pump()

    def send(self, *orders: Transaction) -> None:
        for number, order in enumerate(orders):
            self.client.begin(order, number)
        self.pump()

    def pump(self) -> None:
        """Carry octets to and fro until nobody has any."""
        while True:
            down = self.server.data_to_send()
            for piece in self._cut(down):
                for event in self.client.receive_data(piece):
                    assert not isinstance(event, Ended), event
                    if isinstance(event, Done):
                        self.done.append(event)
            up = b"".join(self.client.data_to_send())
            for piece in self._cut(up):
                self.server.receive_data(piece)
                self._answer()
            if not (down or up):
                return

    def _cut(self, data: bytes) -> list[bytes]:
        pieces = []
        while data:
            size = next(self._cuts)
            pieces.append(data[:size])
            data = data[size:]
        return pieces

    def _answer(self) -> None:
        while not isinstance(event := self.server.next_event(), Signal):
            reply = OK
            match event:
                case events.Rejected():
                    reply = event.reply
                case events.Helo():
                    reply = Reply(250, "", ("server.example", *(offered(self.server) if event.extended else ())))
                case events.MailFrom():
                    self.mails.append(event)
                case events.RcptTo():
                    self.rcpts.append(event)
                    if event.address.text.startswith("no"):
                        reply = Reply(550, "5.1.1", ("no such user",))
                case events.DataStart():
                    reply = Reply(354, "", ("go",))
                case events.Content():
                    self.got.append(event.content)
            self.server.send_reply(reply)


def order(content: bytes, *rcpt: str) -> Transaction:
    people = [Recipient(parse_mailbox(text)) for text in rcpt or ("b@example.net",)]
    return Transaction(parse_mailbox("a@example.com"), people, [content], scan(content))


OFFERS = [
    ServerOptions(),
    ServerOptions(pipelining=False),
    ServerOptions(chunking=False, binary=False),
    ServerOptions(pipelining=False, chunking=False, binary=False, dsn=False, smtputf8=False, eight_bit=False),
]
PLAIN = SessionOptions(tls=TlsLevel.NONE)
CONTENTS = [b"Subject: x\r\n\r\nhello\r\n", b".\r\n", b"..\r\n.\r\n\r\n.x\r\n", b"", b"\r\n"]


@pytest.mark.parametrize("offered", OFFERS)
@pytest.mark.parametrize("cut", [1, 2, 3, 7, 1 << 30])
def test_cut_anyhow(offered: ServerOptions, cut: int) -> None:
    pair = Pair(offered, PLAIN, [cut])
    pair.send(*[order(content) for content in CONTENTS])
    assert pair.got == CONTENTS
    assert [event.token for event in pair.done] == list(range(len(CONTENTS)))
    assert all(event.result.final == OK for event in pair.done)


lines = st.lists(st.sampled_from([b".", b"..", b".x", b"", b"hello", b"MAIL FROM:<x@example.com>", b"DATA", b"\xc3\xa4"]), max_size=8)
people = st.lists(st.sampled_from(["b@example.net", "no@example.net", "c@example.net"]), min_size=1, max_size=4)


@given(
    st.sampled_from(OFFERS),
    st.lists(st.tuples(lines, people), min_size=1, max_size=5),
    st.lists(st.integers(1, 60), max_size=5),
    st.booleans(),
)
def test_content_arrives_as_it_was(
    offered: ServerOptions, mails: list[tuple[list[bytes], list[str]]], cuts: list[int], no_chunking: bool
) -> None:
    pair = Pair(offered, SessionOptions(tls=TlsLevel.NONE, ignore_chunking=no_chunking), cuts)
    orders = [order(b"".join([line + b"\r\n" for line in text]), *rcpt) for text, rcpt in mails]
    pair.send(*orders)
    assert len(pair.done) == len(orders)
    expected = [o.content[0] for o in orders if any(not r.address.text.startswith("no") for r in o.recipients)]
    assert pair.got == expected
    for sent, event in zip(orders, pair.done, strict=True):
        codes = [reply.code if reply else 0 for reply in event.result.rcpt]
        assert codes == [550 if r.address.text.startswith("no") else 250 for r in sent.recipients]
        assert (event.result.final == OK) is (250 in codes)
        assert event.result.usable


@given(st.binary(max_size=200))
def test_binary_arrives_as_it_was(content: bytes) -> None:
    pair = Pair(ServerOptions(limits=Limits(text_line=None)), PLAIN, [])
    message = order(content)
    pair.send(message)
    expected = content if message.facts.binary or content.endswith(b"\r\n") or not content else content + b"\r\n"
    assert pair.got == [expected]


def test_parameters_arrive() -> None:
    pair = Pair(ServerOptions(), PLAIN, [])
    message = order(b"Subject: \xc3\xa4\r\n\r\n")
    message.reverse_path = parse_mailbox("ä@example.com", smtputf8=True)
    message.smtputf8 = True
    message.ret, message.envid = "FULL", "id +=\x7eä"
    message.recipients = [Recipient(parse_mailbox("b@example.net"), Notify.FAILURE | Notify.DELAY, "rfc822;b+=c@example.net")]
    pair.send(message)
    mail, rcpt = pair.mails[0], pair.rcpts[0]
    assert (mail.address, mail.smtputf8, mail.body, mail.ret, mail.envid) == (message.reverse_path, True, "8BITMIME", "FULL", message.envid)
    assert mail.size == message.facts.size
    assert (rcpt.notify, rcpt.orcpt) == (message.recipients[0].notify, message.recipients[0].orcpt)
