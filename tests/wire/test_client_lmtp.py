"""The client engine speaking LMTP, by transcript: LHLO, a reply for each recipient at the end of data, and what breaks in between."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from postwright.model.address import parse_mailbox
from postwright.model.envelope import Recipient
from postwright.model.message import ContentFacts
from postwright.model.outcome import Fault, Kind, Stage, TransactionResult
from postwright.model.route import SessionOptions, TlsLevel
from postwright.policy.trouble import judge
from postwright.wire.client_lmtp import LmtpClient, WatchedLmtpClient
from postwright.wire.client_states import Done, Ended, Event, Transaction

OPTIONS = SessionOptions(tls=TlsLevel.NONE, lmtp=True)
TEXT = b"Subject: x\r\n\r\nhello\r\n"
ONE, TWO, THREE = "one@example.net", "two@example.net", "three@example.net"


def order(*to: str) -> Transaction:
    return Transaction(parse_mailbox("a@example.com"), [Recipient(parse_mailbox(one)) for one in to], (TEXT,), ContentFacts(len(TEXT), 14))


class Session:
    """Plays the receiver."""

    def __init__(self, *offers: str) -> None:
        self.engine = LmtpClient("client.example", OPTIONS)
        self.events: list[Event] = []
        assert self.hear("220 box.example LMTP") == "LHLO client.example\r\n"
        self.hear(*[f"250-{line}" for line in ("box.example", *offers)], "250 8BITMIME")

    def hear(self, *lines: str) -> str:
        self.events += self.engine.receive_data("".join(f"{line}\r\n" for line in lines).encode())
        return b"".join(self.engine.data_to_send()).decode()

    def begin(self, *to: str) -> str:
        self.engine.begin(order(*to), 1)
        return b"".join(self.engine.data_to_send()).decode()

    @property
    def results(self) -> list[TransactionResult]:
        return [event.result for event in self.events if isinstance(event, Done)]


def fates(result: TransactionResult) -> Sequence[tuple[Kind, str]]:
    return [(fate.kind, fate.status) for fate in judge(result).dispositions]


def test_each_recipient_has_an_answer_of_its_own() -> None:
    session = Session("PIPELINING")
    sent = session.begin(ONE, TWO, THREE)
    assert sent.count("RCPT TO:") == 3
    assert sent.endswith("DATA\r\n")
    assert session.hear("250 ok", "250 ok", "250 ok", "250 ok", "354 go") == TEXT.decode() + ".\r\n"
    session.hear("250 2.0.0 stored", "452 4.2.2 full")
    assert not session.results, "the third has no answer yet"
    session.hear("550 5.7.1 looks like spam")
    [result] = session.results
    assert fates(result) == [(Kind.DELIVERED, "2.0.0"), (Kind.TRANSIENT, "4.2.2"), (Kind.PERMANENT, "5.7.1")]
    assert result.usable
    assert result.final is not None
    assert result.final.code == 250


def test_who_was_refused_at_rcpt_gets_no_further_answer() -> None:
    session = Session()
    session.begin(ONE, TWO, THREE)
    for reply in ("250 ok", "250 ok", "550 5.1.1 nobody", "250 ok", "354 go"):
        session.hear(reply)
    session.hear("250 2.0.0 first", "250 2.0.0 third")
    [result] = session.results
    assert fates(result) == [(Kind.DELIVERED, "2.0.0"), (Kind.PERMANENT, "5.1.1"), (Kind.DELIVERED, "2.0.0")]
    assert [fate.diagnostic for fate in judge(result).dispositions][::2] == ["smtp;250 2.0.0 first", "smtp;250 2.0.0 third"]


def test_the_next_transaction_is_behind_all_replies() -> None:
    session = Session("PIPELINING")
    session.begin(ONE, TWO)
    session.engine.begin(order(THREE), 2)
    sent = session.hear("250 ok", "250 ok", "250 ok", "354 go")
    assert sent.startswith(TEXT.decode() + ".\r\nMAIL FROM:")
    session.hear("250 2.0.0 a", "250 2.0.0 b", "250 ok", "250 ok")
    assert session.hear("354 go") == TEXT.decode() + ".\r\n"
    session.hear("250 2.0.0 c")
    assert [len(fates(result)) for result in session.results] == [2, 1]
    assert all(kind is Kind.DELIVERED for result in session.results for kind, _ in fates(result))


def test_nobody_was_taken() -> None:
    session = Session("PIPELINING")
    session.begin(ONE)
    session.hear("250 ok", "550 5.1.1 nobody", "503 5.5.1 no recipients")
    assert fates(session.results[0]) == [(Kind.PERMANENT, "5.1.1")]
    assert session.engine.open


def test_354_for_nobody_would_never_be_answered() -> None:
    session = Session("PIPELINING")
    session.begin(ONE)
    session.hear("250 ok", "550 5.1.1 nobody", "354 go")
    [ended] = [event for event in session.events if isinstance(event, Ended)]
    assert ended.failure is not None
    assert (ended.failure.fault, ended.failure.stage) == (Fault.PROTOCOL, Stage.DATA)
    assert fates(session.results[0]) == [(Kind.PERMANENT, "5.1.1")]


@pytest.mark.parametrize("by_421", [False, True])
def test_a_session_that_ends_in_the_middle_of_the_answers(by_421: bool) -> None:
    session = Session("PIPELINING")
    session.begin(ONE, TWO)
    session.hear("250 ok", "250 ok", "250 ok", "354 go")
    session.hear("250 2.0.0 stored")
    if by_421:
        session.hear("421 4.3.2 going down")
    else:
        session.events += session.engine.lost(Fault.LOST, "gone", True)
    [result] = session.results
    (first, _), (second, status) = fates(result)
    assert (first, second) == (Kind.DELIVERED, Kind.TRANSIENT)
    assert status == ("4.3.2" if by_421 else "4.4.2")
    assert result.maybe_taken is not by_421


def test_there_is_no_helo() -> None:
    engine = LmtpClient("client.example", OPTIONS)
    engine.receive_data(b"220 hi\r\n")
    engine.data_to_send()
    [ended] = engine.receive_data(b"500 5.5.1 this is SMTP\r\n")
    assert isinstance(ended, Ended)
    assert ended.failure is not None
    assert ended.failure.stage is Stage.EHLO


def test_chunking_is_not_used() -> None:
    session = Session("PIPELINING", "CHUNKING")
    assert "BDAT" not in session.begin(ONE)


class Watch:
    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def said(self, line: bytes) -> None:
        self.lines.append(b"> " + line)

    def content(self, data: bytes) -> None:
        self.lines.append(b"> (content)")

    def heard(self, line: bytes) -> None:
        self.lines.append(b"< " + line)


def test_somebody_may_look_on() -> None:
    watch = Watch()
    engine = WatchedLmtpClient("client.example", OPTIONS, watch)
    for line in (b"220 hi\r\n", b"250 box.example\r\n"):
        engine.receive_data(line)
        engine.data_to_send()
    engine.begin(order(ONE), 1)
    engine.data_to_send()
    for line in (b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"250 2.0.0 stored\r\n"):
        engine.receive_data(line)
        engine.data_to_send()
    assert b"> LHLO client.example\r\n" in watch.lines
    assert b"> (content)" in watch.lines
    assert watch.lines[-1] == b"< 250 2.0.0 stored\r\n"
