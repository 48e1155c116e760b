"""Fuzzes `wire.client.SmtpClient` with a peer that may say anything.

Whatever it says: nothing raises, every transaction ends exactly once, results do not contradict themselves, and what we send
is a sequence of whole commands and whole contents. The first octets pick options, transactions and how the rest is cut.
"""

from __future__ import annotations

import re
from typing import Final

import common

from postwright.model.address import Address
from postwright.model.envelope import Recipient
from postwright.model.message import ContentFacts
from postwright.model.outcome import Fault, TransactionResult
from postwright.model.route import Login, SessionOptions, TlsLevel
from postwright.wire.client import SmtpClient
from postwright.wire.client_encode import Unsendable
from postwright.wire.client_login import LoginAttempt
from postwright.wire.client_states import Done, Ended, Event, Ready, Secure, Transaction

ALLOWED: Final[tuple[type[Exception], ...]] = ()

OPTIONS = [
    SessionOptions(tls=TlsLevel.NONE),
    SessionOptions(tls=TlsLevel.OPPORTUNISTIC, login=Login("u", "p")),
    SessionOptions(tls=TlsLevel.REQUIRED, login=Login("u", token="t")),
    SessionOptions(tls=TlsLevel.NONE, login=Login("u", "p", unencrypted=True), ignore_chunking=True),
]
SENDER = Address("a@example.com", "example.com")
ANNA = Recipient(Address("b@example.net", "example.net"), 4, "rfc822;b@example.net")
BERT = Recipient(Address("c@example.net", "example.net"))
DOTS = b".\r\nMAIL FROM:<x@example.com>\r\n"
RAW = b"\n.\r\0"
ORDERS = [
    Transaction(SENDER, [ANNA], (b"hello\r\n",), ContentFacts(7, 0)),
    Transaction(SENDER, [ANNA, BERT, ANNA], (DOTS,), ContentFacts(len(DOTS), 0, dots=True), ret="FULL", envid="x y"),
    Transaction(SENDER, [BERT], (RAW,), ContentFacts(len(RAW), 0, binary=True, eight_bit=True)),
]
_SENT = re.compile(
    rb"(?:"
    rb"(?:EHLO|HELO) me\r\n|STARTTLS\r\n|AUTH XOAUTH2 [\w+/=]+\r\n\r\n"  # an empty answer to the challenge that says why not
    rb"|AUTH (?:[A-Z0-9-]+ [\w+/=]+|LOGIN|CRAM-MD5)\r\n|[\w+/]+=*\r\n|\*\r\n|QUIT\r\n|RSET\r\n|DATA\r\n"
    rb"|MAIL FROM:<a@example\.com>[ -~]*\r\n|RCPT TO:<[bc]@example\.net>[ -~]*\r\n"
    rb"|hello\r\n\.\r\n|\.\.\r\nMAIL FROM:<x@example\.com>\r\n\.\r\n|\.\r\n"
    rb"|BDAT 7 LAST\r\nhello\r\n|BDAT %d LAST\r\n%s|BDAT %d LAST\r\n%s"
    rb")*" % (len(DOTS), re.escape(DOTS), len(RAW), re.escape(RAW))
).fullmatch


class _Caller:
    """Owns the engine: begins transactions when it may, shakes hands when asked, keeps what comes out."""

    def __init__(self, options: SessionOptions, count: int, secure: bool) -> None:
        login = LoginAttempt(options.login, "mx.example", 25, "abc") if options.login is not None else None
        self.engine = SmtpClient("me", options, secure=secure, login=login)
        self.count = count
        self.begun = 0
        self.done: dict[object, TransactionResult] = {}
        self.ended = 0
        self.sent = b""
        if secure:
            self.engine.tls_started()

    def take(self, events: list[Event]) -> None:
        for event in events:
            assert not self.ended, "something after the end"
            if isinstance(event, Done):
                assert event.token not in self.done, "done twice"
                self.done[event.token] = event.result
                self.begin()
            elif isinstance(event, Ready):
                self.begin()
                self.begin()
            elif isinstance(event, Secure):
                self.engine.tls_started()
            elif isinstance(event, Ended):
                self.ended += 1
        self.sent += b"".join(self.engine.data_to_send())

    def begin(self) -> None:
        if not self.engine.open or self.begun >= self.count:
            return
        order = ORDERS[self.begun % len(ORDERS)]
        self.begun += 1
        try:
            self.engine.begin(order, self.begun)
        except Unsendable:
            assert order.facts.binary
            self.done[self.begun] = TransactionResult([None], failure=self.engine.misfit(order))


def _check(order: Transaction, result: TransactionResult) -> None:
    accepted = any(reply is not None and reply.code < 300 for reply in result.rcpt)
    assert len(result.rcpt) == len(order.recipients)
    assert result.final is None or accepted
    assert result.failure is not None or result.usable
    if result.maybe_taken:
        assert result.final is None
        assert result.failure is not None
        assert result.failure.fault is not Fault.NONE
    if result.untouched:
        assert result.mail is None
        assert not result.usable
        assert not result.maybe_taken
    if result.final is None and accepted:
        assert result.failure is not None, "accepted recipients without an end"


def fuzz_one(data: bytes) -> None:
    if len(data) < 2:
        return
    first, step, data = data[0], data[1] or 256, data[2:]
    caller = _Caller(OPTIONS[first & 3], 1 + (first >> 2 & 7), bool(first & 32))
    for at in range(0, len(data), step):
        caller.engine.clear = not (first & 64 and at % 3)
        caller.take(caller.engine.receive_data(data[at : at + step]))
    if first & 128:
        caller.engine.quit()
        caller.sent += b"".join(caller.engine.data_to_send())
    caller.take(caller.engine.lost(Fault.TIMEOUT if first & 1 else Fault.LOST, left=bool(first & 2)))
    assert caller.ended == 1
    assert len(caller.done) == caller.begun
    assert caller.engine.outstanding == 0
    for token, result in caller.done.items():
        assert isinstance(token, int)
        _check(ORDERS[(token - 1) % len(ORDERS)], result)
    assert _SENT(caller.sent), caller.sent


_FULL = (
    b"220 mx.example\r\n250-mx.example\r\n250-PIPELINING\r\n250-SIZE 100\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250-DSN\r\n"
    b"250 AUTH PLAIN LOGIN\r\n"
)
_BARE = b"220 mx.example\r\n502 what\r\n250 mx.example\r\n"
_TLS = b"220 x\r\n250-x\r\n250 STARTTLS\r\n220 go\r\n"
_PIPE = b"220 x\r\n250-x\r\n250 PIPELINING\r\n"
_GOOD = b"250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go\r\n250 2.0.0 taken\r\n"
_THREE = b"250 m\r\n250 a\r\n550-5.1.1 no\r\n550 5.1.1 no\r\n"
SEEDS = [
    b"\0\0" + _BARE + _GOOD,
    b"\x04\x01" + _BARE + _GOOD * 2,
    b"\x08\0" + _FULL + b"250 m\r\n250 r\r\n250 taken\r\n250 reset\r\n" + _THREE + b"354 go\r\n250 taken\r\n250 r\r\n250 m\r\n",
    b"\x0b\x20" + _FULL + b"235 welcome\r\n" + _GOOD + b"250 reset\r\n" + _THREE + b"550 r\r\n354 go\r\n554 no\r\n",
    b"\x01\x40" + _TLS + b"250-x\r\n250 AUTH LOGIN\r\n334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n235 ok\r\n",
    b"\x02\x08" + _TLS + b"250 injected\r\n",
    b"\x0c\x05" + _PIPE + _GOOD + b"421 4.3.2 bye\r\n",
    b"\x4c\0" + _PIPE + b"250 m\r\n550 r\r\n354 go\r\n250 nothing\r\n451 m\r\n503 r\r\n503 r\r\n503 r\r\n503 d\r\n",
    b"\x02\x40" + _TLS + b"250-x\r\n250 AUTH XOAUTH2\r\n334 eyJzdGF0dXMiOiI0MDEifQ==\r\n535 no\r\n",
    b"\x03\0" + b"220 x\r\n250-x\r\n250 AUTH SCRAM-SHA-1\r\n334 cj1hYmNkZWYscz1jMkZzZEE9PSxpPTQwOTY=\r\n334 dj1hYmM=\r\n235 no\r\n",
    b"\x20\0" + b"421 busy\r\n",
    b"\x03\0" + b"220 x\r\n250-x\r\n250 AUTH CRAM-MD5\r\n334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\r\n535 no\r\n",
]

if __name__ == "__main__":
    common.run(fuzz_one, SEEDS)
