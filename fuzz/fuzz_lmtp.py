"""Fuzzes `wire.client_lmtp.LmtpClient` with a peer that may say anything: nothing raises, every transaction ends exactly once, each
recipient gets a fate, an answer to the content belongs to a recipient that was taken, and what ended well has one for each of them.
"""

from __future__ import annotations

from typing import Final

import common

from postwright.model.address import Address
from postwright.model.envelope import Recipient
from postwright.model.message import ContentFacts
from postwright.model.outcome import Fault, TransactionResult
from postwright.model.route import SessionOptions, TlsLevel
from postwright.policy.trouble import judge
from postwright.wire.client_encode import Unsendable
from postwright.wire.client_lmtp import LmtpClient
from postwright.wire.client_states import Done, Ended, Event, Ready, Transaction

ALLOWED: Final[tuple[type[Exception], ...]] = ()

SENDER = Address("a@example.com", "example.com")
PEOPLE = [Recipient(Address(f"{name}@example.net", "example.net")) for name in "bcd"]
ORDERS = [
    Transaction(SENDER, PEOPLE, (b"hello\r\n",), ContentFacts(7, 0)),
    Transaction(SENDER, PEOPLE[:1], (b"hello\r\n",), ContentFacts(7, 0)),
    Transaction(SENDER, PEOPLE[:2], (b"\n.\r\0",), ContentFacts(4, 0, binary=True, eight_bit=True)),
]


class _Caller:
    def __init__(self, count: int) -> None:
        self.engine = LmtpClient("me", SessionOptions(tls=TlsLevel.NONE))
        self.count = count
        self.begun = 0
        self.done: dict[object, TransactionResult] = {}
        self.ended = 0
        self.sent = b""

    def take(self, events: list[Event]) -> None:
        for event in events:
            assert not self.ended, "something after the end"
            if isinstance(event, Done):
                assert event.token not in self.done, "done twice"
                self.done[event.token] = event.result
            if isinstance(event, Ended):
                self.ended += 1
            for _ in range(1 + isinstance(event, Ready)):
                self.begin()
        self.sent += b"".join(self.engine.data_to_send())

    def begin(self) -> None:
        if not self.engine.open or self.begun >= self.count:
            return
        order = ORDERS[self.begun % len(ORDERS)]
        self.begun += 1
        try:
            self.engine.begin(order, self.begun)
        except Unsendable:
            assert order.facts.binary, "without BDAT, which is not used, it cannot go"
            self.done[self.begun] = TransactionResult([None] * len(order.recipients), failure=self.engine.misfit(order))


def _check(order: Transaction, result: TransactionResult) -> None:
    assert len(judge(result).dispositions) == len(result.rcpt) == len(order.recipients)
    taken = [reply is not None and reply.code < 300 for reply in result.rcpt]
    finals = result.finals or [None] * len(taken)
    assert len(finals) == len(taken)
    assert all(was_taken or final is None for was_taken, final in zip(taken, finals, strict=True))
    if result.failure is None:
        assert [final is not None for final in finals] == taken
    if any(final is not None and final.code < 300 for final in finals):
        assert result.final is not None


def fuzz_one(data: bytes) -> None:
    if len(data) < 2:
        return
    first, step, data = data[0], data[1] or 256, data[2:]
    caller = _Caller(1 + (first >> 2 & 7))
    for at in range(0, len(data), step):
        caller.engine.clear = not (first & 64 and at % 3)
        caller.take(caller.engine.receive_data(data[at : at + step]))
    caller.take(caller.engine.lost(Fault.TIMEOUT if first & 1 else Fault.LOST, left=bool(first & 2)))
    assert caller.ended == 1
    assert len(caller.done) == caller.begun
    assert caller.engine.outstanding == 0
    assert not any(word in caller.sent for word in (b"EHLO", b"HELO me\r\nHELO", b"BDAT"))
    for token, result in caller.done.items():
        assert isinstance(token, int)
        _check(ORDERS[(token - 1) % len(ORDERS)], result)


_OPEN = b"220 box\r\n250-box\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250 PIPELINING\r\n"
_THREE = b"250 m\r\n250 b\r\n250 c\r\n250 d\r\n354 go\r\n"
SEEDS = [
    b"\0\0" + _OPEN + _THREE + b"250 2.0.0 b\r\n452 4.2.2 c\r\n550 d\r\n",
    b"\x1c\x01" + _OPEN + _THREE + b"250 b\r\n250 c\r\n250 d\r\n250 m\r\n250 b\r\n354 go\r\n250 b\r\n" + _THREE + b"250 b\r\n421 bye\r\n",
    b"\x02\0" + b"220 box\r\n250 box\r\n250 m\r\n250 b\r\n550 c\r\n250 d\r\n354 go\r\n250 b\r\n",
    b"\x04\0" + _OPEN + b"250 m\r\n550 b\r\n550 c\r\n550 d\r\n503 none\r\n",
    b"\x04\0" + _OPEN + b"250 m\r\n550 b\r\n550 c\r\n550 d\r\n354 go\r\n",
    b"\x40\x07" + _OPEN + _THREE + b"452 b\r\n",
    b"\0\0" + b"220 smtp\r\n500 5.5.1 LHLO?\r\n",
]

if __name__ == "__main__":
    common.run(fuzz_one, SEEDS)
