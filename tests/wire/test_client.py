"""The client engine by transcript: opening, transactions one by one and pipelined, every refusal, every way to end."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from postwright.model.address import Address, parse_mailbox
from postwright.model.envelope import Notify, Recipient
from postwright.model.message import ContentFacts
from postwright.model.outcome import Failure, Fault, Stage, TransactionResult
from postwright.model.reply import Reply
from postwright.model.route import Login, SessionOptions, TlsLevel
from postwright.wire.client import BULKY_OCTETS, EARLY_OCTETS, SmtpClient
from postwright.wire.client_encode import Unsendable
from postwright.wire.client_login import LoginAttempt
from postwright.wire.client_states import STAGES, Done, Ended, Event, Ready, Secure, Transaction

PLAIN = SessionOptions(tls=TlsLevel.NONE)
TEXT = b"Subject: x\r\n\r\nhello\r\n"
A = "a@example.com"


def transaction(*rcpt: str, content: Sequence[bytes] = (TEXT,), **facts: bool) -> Transaction:
    size = sum(map(len, content))
    people = [Recipient(parse_mailbox(text)) for text in rcpt or ("b@example.net",)]
    return Transaction(parse_mailbox(A), people, content, ContentFacts(size, 14, **facts))


def attempt(options: SessionOptions) -> LoginAttempt | None:
    return LoginAttempt(options.login, "mx.example", 25, "nonce") if options.login is not None else None


class Session:
    """Plays the peer: `hear` gives bytes to the engine and answers with what it sends."""

    def __init__(self, options: SessionOptions = PLAIN, *offers: str, secure: bool = False, opened: bool = True) -> None:
        self.engine = SmtpClient("client.example", options, secure=secure, login=attempt(options))
        self.events: list[Event] = []
        if opened:
            assert self.hear(b"220 mx.example hi\r\n") == b"EHLO client.example\r\n"
            self.hear(ehlo(*offers))

    def hear(self, data: bytes) -> bytes:
        self.events += self.engine.receive_data(data)
        return self.sent()

    def sent(self) -> bytes:
        return b"".join(self.engine.data_to_send())

    def begin(self, order: Transaction | None = None, token: object = 1) -> bytes:
        self.engine.begin(order or transaction(), token)
        return self.sent()

    def lose(self, fault: Fault = Fault.LOST, left: bool = True) -> None:
        self.events += self.engine.lost(fault, "gone", left)

    def results(self) -> list[TransactionResult]:
        return [event.result for event in self.events if isinstance(event, Done)]

    @property
    def result(self) -> TransactionResult:
        return self.results()[-1]

    @property
    def failure(self) -> Failure | None:
        ended = self.events[-1]
        assert isinstance(ended, Ended)
        return ended.failure


def ehlo(*offers: str) -> bytes:
    words = ["mx.example", *offers]
    return "".join([f"250{' ' if word is words[-1] else '-'}{word}\r\n" for word in words]).encode()


def code(reply: Reply | None) -> int:
    return reply.code if reply else 0


MAIL = b"MAIL FROM:<a@example.com>\r\n"
RCPT = b"RCPT TO:<b@example.net>\r\n"
GROUP = MAIL + RCPT + b"DATA\r\n"
BODY = TEXT + b".\r\n"


# opening -------------------------------------------------------------------------------------------------------------


def test_opening() -> None:
    session = Session(PLAIN, "SIZE 1000", "PIPELINING", "DSN", "8bitmime", "X-ODD a b")
    assert isinstance(session.events[0], Ready)
    offered = session.engine.capabilities
    assert offered.name == "mx.example"
    assert offered.keywords == ("SIZE", "PIPELINING", "DSN", "8BITMIME", "X-ODD")
    assert (offered.size, offered.pipelining, offered.dsn, offered.eight_bit_mime, offered.chunking) == (1000, True, True, True, False)
    assert session.engine.greeting == Reply(220, "", ("mx.example hi",))
    assert session.engine.open


def test_helo_when_ehlo_is_unknown() -> None:
    session = Session(opened=False)
    session.hear(b"220 old.example\r\n")
    assert session.hear(b"502 what?\r\n") == b"HELO client.example\r\n"
    assert session.hear(b"250 old.example hello\r\n") == b""
    assert session.engine.capabilities.extended is False
    assert session.engine.capabilities.name == "old.example"
    assert session.begin() == MAIL


@pytest.mark.parametrize(
    ("heard", "stage", "sends"),
    [
        ([b"554 no\r\n"], Stage.BANNER, b"QUIT\r\n"),
        ([b"421 busy\r\n"], Stage.BANNER, b""),
        ([b"354 what\r\n"], Stage.BANNER, b"QUIT\r\n"),
        ([b"220 x\r\n", b"450 later\r\n"], Stage.EHLO, b"QUIT\r\n"),
        ([b"220 x\r\n", b"421 later\r\n"], Stage.EHLO, b""),
        ([b"220 x\r\n", b"500 what\r\n", b"550 no\r\n"], Stage.EHLO, b"QUIT\r\n"),
    ],
)
def test_refused_opening(heard: list[bytes], stage: Stage, sends: bytes) -> None:
    session = Session(opened=False)
    sent = [session.hear(data) for data in heard]
    assert session.failure == Failure(stage, Reply(int(heard[-1][:3]), "", (heard[-1][4:-2].decode(),)))
    assert sent[-1] == sends


@pytest.mark.parametrize("at", range(3))
def test_garbage_and_loss_while_opening(at: int) -> None:
    heard = [b"220 x\r\n", b"500 what\r\n"][:at]
    for ending in (b"HTTP/1.0 200 OK\r\n", None, Fault.TIMEOUT):
        session = Session(opened=False)
        for data in heard:
            session.hear(data)
        if isinstance(ending, bytes):
            assert session.hear(ending) == b""
            fault = Fault.PROTOCOL
        else:
            fault = ending or Fault.LOST
            session.lose(fault)
        assert session.failure is not None
        assert (session.failure.stage, session.failure.fault) == (Stage.BANNER if at == 0 else Stage.EHLO, fault)
        assert session.engine.receive_data(b"220 x\r\n") == []


# STARTTLS ------------------------------------------------------------------------------------------------------------

MAYBE = SessionOptions(tls=TlsLevel.OPPORTUNISTIC)
MUST = SessionOptions(tls=TlsLevel.REQUIRED)


def test_starttls() -> None:
    session = Session(MAYBE, opened=False)
    session.hear(b"220 x\r\n")
    assert session.hear(ehlo("STARTTLS", "SIZE 5")) == b"STARTTLS\r\n"
    assert session.hear(b"220 go\r\n") == b""
    assert session.events == [Secure()]
    session.engine.tls_started()
    assert session.engine.capabilities.size == 0
    assert session.sent() == b"EHLO client.example\r\n"
    session.hear(ehlo("SIZE 7", "STARTTLS"))
    assert isinstance(session.events[-1], Ready)
    assert session.engine.capabilities.size == 7


def test_implicit_tls() -> None:
    session = Session(SessionOptions(), secure=True, opened=False)
    session.engine.tls_started()
    assert session.sent() == b""
    assert session.hear(b"220 x\r\n") == b"EHLO client.example\r\n"
    session.hear(ehlo("STARTTLS"))
    assert isinstance(session.events[-1], Ready)


def test_clear_text_before_implicit_tls() -> None:
    session = Session(SessionOptions(), secure=True, opened=False)
    assert session.hear(b"220 x\r\n") == b""
    assert session.failure is not None
    assert session.failure.fault is Fault.PROTOCOL


@pytest.mark.parametrize("extra", [b"250 injected\r\n", b"2", b"junk\r\n"])
@pytest.mark.parametrize("options", [MAYBE, MUST])
def test_response_injection(options: SessionOptions, extra: bytes) -> None:
    """CVE-2021-33515 and its kind: nothing said in the clear may count after the handshake."""
    session = Session(options, opened=False)
    session.hear(b"220 x\r\n")
    session.hear(ehlo("STARTTLS"))
    assert session.hear(b"220 go\r\n" + extra) == b""
    assert session.failure is not None
    assert (session.failure.stage, session.failure.fault) == (Stage.STARTTLS, Fault.PROTOCOL)
    assert len(session.events) == 1


def test_octets_while_shaking_hands() -> None:
    session = Session(MAYBE, opened=False)
    session.hear(b"220 x\r\n")
    session.hear(ehlo("STARTTLS"))
    session.hear(b"220 go\r\n")
    session.hear(b"250 injected\r\n")
    assert session.failure is not None
    assert session.failure.fault is Fault.PROTOCOL


@pytest.mark.parametrize(
    ("options", "answer", "goes_on"),
    [
        (MAYBE, b"454 4.7.0 not now\r\n", True),
        (MAYBE, b"502 5.5.1 what?\r\n", True),
        (MAYBE, b"421 4.7.0 bye\r\n", False),
        (MAYBE, b"334 odd\r\n", False),
        (MUST, b"454 4.7.0 not now\r\n", False),
        (SessionOptions(tls=TlsLevel.VERIFIED), b"454 4.7.0 not now\r\n", False),
    ],
)
def test_starttls_refused(options: SessionOptions, answer: bytes, goes_on: bool) -> None:
    session = Session(options, opened=False)
    session.hear(b"220 x\r\n")
    session.hear(ehlo("STARTTLS"))
    session.hear(answer)
    if goes_on:
        assert isinstance(session.events[-1], Ready)
    else:
        assert session.failure is not None
        assert (session.failure.stage, code(session.failure.reply)) == (Stage.STARTTLS, int(answer[:3]))


def test_tls_required_and_not_offered() -> None:
    session = Session(MUST, opened=False)
    session.hear(b"220 x\r\n")
    assert session.hear(ehlo("SIZE")) == b"QUIT\r\n"
    assert session.failure == Failure(Stage.STARTTLS, None, Fault.NOT_OFFERED, "STARTTLS is not offered")


# AUTH ----------------------------------------------------------------------------------------------------------------


def auth(offers: str, *, clear: bool = True) -> tuple[Session, bytes]:
    options = SessionOptions(tls=TlsLevel.NONE, login=Login("anna", "secret", unencrypted=clear))
    session = Session(options, opened=False)
    session.hear(b"220 x\r\n")
    return session, session.hear(ehlo(offers))


def test_auth_plain() -> None:
    session, first = auth("AUTH LOGIN PLAIN CRAM-MD5")
    assert first == b"AUTH PLAIN AGFubmEAc2VjcmV0\r\n"
    session.hear(b"235 2.7.0 welcome\r\n")
    assert isinstance(session.events[-1], Ready)


def test_auth_login_in_the_old_form() -> None:
    session, first = auth("AUTH=LOGIN")
    assert first == b"AUTH LOGIN\r\n"
    assert session.hear(b"334 VXNlcm5hbWU6\r\n") == b"YW5uYQ==\r\n"
    assert session.hear(b"334 UGFzc3dvcmQ6\r\n") == b"c2VjcmV0\r\n"
    session.hear(b"235 ok\r\n")
    assert isinstance(session.events[-1], Ready)


def test_auth_cram_md5() -> None:
    """The example of RFC 2195 section 2."""
    options = SessionOptions(tls=TlsLevel.NONE, login=Login("tim", "tanstaaftanstaaf"))
    session = Session(options, opened=False)
    session.hear(b"220 x\r\n")
    assert session.hear(ehlo("AUTH PLAIN CRAM-MD5")) == b"AUTH CRAM-MD5\r\n"
    challenge = b"334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\r\n"
    assert session.hear(challenge) == b"dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\r\n"
    session.hear(b"235 ok\r\n")
    assert isinstance(session.events[-1], Ready)


def test_auth_refused() -> None:
    session, _ = auth("AUTH PLAIN")
    assert session.hear(b"535 5.7.8 no\r\n") == b"QUIT\r\n"
    assert session.failure == Failure(Stage.AUTH, Reply(535, "5.7.8", ("no",)))


@pytest.mark.parametrize(("offers", "clear"), [("AUTH PLAIN LOGIN", False), ("AUTH NTLM", True), ("SIZE", True)])
@pytest.mark.directive("use-unencrypted-plain-auth")
def test_auth_not_possible(offers: str, clear: bool) -> None:
    session, first = auth(offers, clear=clear)
    assert first == b"QUIT\r\n"
    assert session.failure is not None
    assert (session.failure.stage, session.failure.fault) == (Stage.AUTH, Fault.NOT_OFFERED)


@pytest.mark.parametrize(("offers", "challenges"), [("AUTH PLAIN", 1), ("AUTH LOGIN", 3), ("AUTH CRAM-MD5", 2)])
def test_auth_endless_challenges(offers: str, challenges: int) -> None:
    session, _ = auth(offers)
    for _ in range(challenges):
        sent = session.hear(b"334 eHg=\r\n")
    assert sent == b"*\r\nQUIT\r\n"
    assert session.failure is not None
    assert session.failure.fault is Fault.PROTOCOL


def test_auth_challenge_that_is_not_base64() -> None:
    session, _ = auth("AUTH CRAM-MD5")
    assert session.hear(b"334 ***\r\n") == b"*\r\nQUIT\r\n"


def test_secrets_are_not_shown() -> None:
    session, _ = auth("AUTH LOGIN")
    assert "secret" not in repr(session.engine) + repr(session.engine._login) + repr(session.engine._options) + repr(session.events)


# one by one ----------------------------------------------------------------------------------------------------------


def test_lock_step() -> None:
    session = Session()
    assert session.begin(transaction("b@example.net", "c@example.net")) == MAIL
    assert session.hear(b"250 2.1.0 ok\r\n") == RCPT
    assert session.hear(b"250 2.1.5 ok\r\n") == b"RCPT TO:<c@example.net>\r\n"
    assert session.hear(b"550 5.1.1 no\r\n") == b"DATA\r\n"
    assert session.hear(b"354 go\r\n") == BODY
    assert session.hear(b"250 2.0.0 taken\r\n") == b""
    result = session.result
    assert [code(reply) for reply in result.rcpt] == [250, 550]
    assert (code(result.mail), code(result.final), result.failure, result.usable, result.maybe_taken) == (250, 250, None, True, False)
    assert result.bytes_sent == len(TEXT)
    assert session.engine.open


def test_lock_step_nobody_accepted() -> None:
    session = Session()
    session.begin()
    session.hear(b"250 ok\r\n")
    assert session.hear(b"450 4.2.0 later\r\n") == b""
    assert (code(session.result.rcpt[0]), session.result.failure, session.result.usable) == (450, None, True)
    # The transaction is still open over there: RSET comes first.
    assert session.begin() == b"RSET\r\n"
    assert session.hear(b"250 ok\r\n") == MAIL


def test_lock_step_mail_refused() -> None:
    session = Session()
    session.begin()
    assert session.hear(b"550 5.7.1 not you\r\n") == b""
    assert session.result.failure == Failure(Stage.MAIL, Reply(550, "5.7.1", ("not you",)))
    assert session.result.rcpt == [None]
    assert session.begin() == MAIL


def test_lock_step_second_waits() -> None:
    session = Session()
    session.begin(token=1)
    assert session.begin(token=2) == b""
    for reply in (b"250 a\r\n", b"250 b\r\n", b"354 c\r\n"):
        session.hear(reply)
    assert session.hear(b"250 d\r\n") == MAIL
    assert [event.token for event in session.events if isinstance(event, Done)] == [1]


def test_data_refused() -> None:
    session = Session()
    session.begin()
    session.hear(b"250 ok\r\n")
    session.hear(b"250 ok\r\n")
    session.hear(b"451 4.3.0 not now\r\n")
    assert session.result.failure == Failure(Stage.DATA, Reply(451, "4.3.0", ("not now",)))
    assert session.result.usable
    assert session.begin() == b"RSET\r\n"


# pipelined -----------------------------------------------------------------------------------------------------------

ACCEPTED = b"250 m\r\n250 r\r\n354 d\r\n"


def pipelined(*more: str) -> Session:
    return Session(PLAIN, "PIPELINING", *more)


def test_group() -> None:
    session = pipelined()
    assert session.begin() == GROUP
    assert session.hear(ACCEPTED) == BODY
    assert session.hear(b"250 2.0.0 taken\r\n") == b""
    assert code(session.result.final) == 250


@pytest.mark.parametrize(
    ("final", "expected"),
    [(b"250 ok\r\n", 250), (b"451 later\r\n", 451), (b"554 spam\r\n", 554)],
)
def test_group_behind(final: bytes, expected: int) -> None:
    """RFC 2920 section 3.1: content may be the first of a group."""
    session = pipelined()
    session.begin(token=1)
    assert session.begin(token=2) == b""
    assert session.hear(ACCEPTED) == BODY + GROUP
    assert session.hear(final + ACCEPTED) == BODY
    session.hear(b"250 second\r\n")
    assert [code(result.final) for result in session.results()] == [expected, 250]
    assert session.engine.served == 2


def test_group_behind_comes_late() -> None:
    session = pipelined()
    session.begin(token=1)
    session.hear(ACCEPTED)
    assert session.begin(token=2) == GROUP


def test_group_all_refused_and_354() -> None:
    session = pipelined()
    session.begin()
    assert session.hear(b"250 m\r\n550 no\r\n354 d\r\n") == b".\r\n"
    session.hear(b"250 taken nothing\r\n")
    assert (session.result.final, code(session.result.rcpt[0]), session.result.failure) == (None, 550, None)
    assert session.begin() == GROUP


@pytest.mark.parametrize("answer", [b"503 5.5.1 no recipients\r\n", b"554 5.5.1 no recipients\r\n"])
def test_group_all_refused_and_data_refused(answer: bytes) -> None:
    session = pipelined()
    session.begin()
    assert session.hear(b"250 m\r\n550 no\r\n" + answer) == b""
    assert (session.result.final, code(session.result.rcpt[0]), session.result.failure) == (None, 550, None)
    assert session.begin() == b"RSET\r\n" + GROUP
    assert session.hear(b"250 reset\r\n" + ACCEPTED) == BODY


def test_group_mail_refused() -> None:
    session = pipelined()
    session.begin()
    assert session.hear(b"550 5.7.1 no\r\n503 what\r\n503 what\r\n") == b""
    assert session.result.failure == Failure(Stage.MAIL, Reply(550, "5.7.1", ("no",)))
    assert session.result.rcpt == [None]
    assert session.begin() == GROUP


def test_group_mail_refused_and_354() -> None:
    session = pipelined()
    session.begin()
    assert session.hear(b"451 m\r\n250 r\r\n354 d\r\n") == b".\r\n"
    session.hear(b"554 nothing\r\n")
    assert (session.result.final, code(session.result.mail), session.result.usable) == (None, 451, True)


def test_group_some_refused_data_refused() -> None:
    session = pipelined()
    session.begin(transaction("b@example.net", "c@example.net"))
    session.hear(b"250 m\r\n250 r\r\n550 r\r\n452 full\r\n")
    assert session.result.failure == Failure(Stage.DATA, Reply(452, "", ("full",)))
    assert [code(reply) for reply in session.result.rcpt] == [250, 550]


def test_bulky_content_leaves_alone() -> None:
    session = pipelined()
    content = [b"x" * 70 + b"\r\n"] * (BULKY_OCTETS // 72 + 1)
    session.begin(transaction(content=content), 1)
    session.begin(transaction(), 2)
    assert session.hear(ACCEPTED) == b"".join(content) + b".\r\n"
    assert session.sent() == GROUP


def test_held_back_content_keeps_the_next_group() -> None:
    session = pipelined()
    session.begin(token=1)
    assert session.hear(ACCEPTED) == BODY
    session.engine.clear = False
    session.engine.begin(transaction(), 2)
    assert STAGES[session.engine.expect] is Stage.BODY
    assert session.sent() == b""
    session.engine.clear = True
    assert session.sent() == GROUP
    assert session.engine.octets_behind >= len(GROUP)


# BDAT ----------------------------------------------------------------------------------------------------------------

CHUNK = b"BDAT 21 LAST\r\n" + TEXT


def test_bdat_in_one_group() -> None:
    session = pipelined("CHUNKING")
    assert session.begin() == MAIL + RCPT + CHUNK
    assert session.hear(b"250 m\r\n250 r\r\n250 taken\r\n") == b""
    assert code(session.result.final) == 250
    assert session.begin() == MAIL + RCPT + CHUNK


def test_bdat_and_another_behind() -> None:
    session = pipelined("CHUNKING")
    session.begin(token=1)
    assert session.begin(token=2) == b"RSET\r\n" + GROUP
    assert session.hear(b"250 m\r\n250 r\r\n250 taken\r\n250 reset\r\n" + ACCEPTED) == BODY
    session.hear(b"250 taken\r\n")
    assert [code(result.final) for result in session.results()] == [250, 250]


@pytest.mark.parametrize("final", [b"503 5.5.1 nobody\r\n", b"250 taken nothing\r\n"])
def test_bdat_nobody_accepted(final: bytes) -> None:
    session = pipelined("CHUNKING")
    session.begin()
    session.hear(b"250 m\r\n550 r\r\n" + final)
    assert (session.result.final, session.result.failure, session.result.usable) == (None, None, True)
    assert session.begin().startswith(b"RSET\r\n") is final.startswith(b"5")


def test_bdat_failed_needs_rset() -> None:
    session = pipelined("CHUNKING")
    session.begin()
    session.hear(b"250 m\r\n250 r\r\n452 full\r\n")
    assert code(session.result.final) == 452
    assert session.begin() == b"RSET\r\n" + MAIL + RCPT + CHUNK


def test_big_content_goes_by_data() -> None:
    session = pipelined("CHUNKING")
    assert session.begin(transaction(content=[b"x" * 70 + b"\r\n"] * (EARLY_OCTETS // 72 + 1))) == GROUP


@pytest.mark.directive("ignore-chunking")
def test_chunking_ignored() -> None:
    session = Session(SessionOptions(tls=TlsLevel.NONE, ignore_chunking=True), "PIPELINING", "CHUNKING", "BINARYMIME")
    assert session.begin() == GROUP
    assert session.engine.capabilities.binary_mime is False


BINARY = b"a\nb\rc\0\r\n.\n.\r\n"


@pytest.mark.parametrize("offers", [("CHUNKING", "BINARYMIME"), ("PIPELINING", "CHUNKING", "BINARYMIME")])
def test_binary(offers: tuple[str, ...]) -> None:
    session = Session(PLAIN, *offers)
    mail = b"MAIL FROM:<a@example.com> BODY=BINARYMIME\r\n"
    sent = session.begin(transaction(content=[BINARY], binary=True))
    assert sent.startswith(mail)
    if len(offers) == 2:
        sent += session.hear(b"250 m\r\n") + session.hear(b"250 r\r\n")
    assert sent == mail + RCPT + b"BDAT %d LAST\r\n" % len(BINARY) + BINARY


def test_binary_behind() -> None:
    session = pipelined("CHUNKING", "BINARYMIME")
    session.begin(token=1)
    order = transaction(content=[BINARY], binary=True)
    assert session.begin(order, 2) == b"RSET\r\nMAIL FROM:<a@example.com> BODY=BINARYMIME\r\n" + RCPT
    assert session.hear(b"250 m\r\n250 r\r\n250 taken\r\n250 reset\r\n250 m\r\n250 r\r\n").endswith(BINARY)
    session.begin(order, 3)
    session.hear(b"250 taken\r\n250 reset\r\n250 m\r\n550 r\r\n")
    assert [code(result.final) for result in session.results()] == [250, 250, 0]
    assert session.begin().startswith(b"RSET\r\n")


# what must not be sent -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offers", [(), ("PIPELINING",), ("CHUNKING",), ("BINARYMIME",)])
def test_bare_line_ends_never_leave(offers: tuple[str, ...]) -> None:
    session = Session(PLAIN, *offers)
    with pytest.raises(Unsendable):
        session.begin(transaction(content=[b"a\n.\nMAIL FROM:<evil@example.com>\r\n"], binary=True))
    assert session.sent() == b""
    assert session.engine.outstanding == 0


@pytest.mark.parametrize("text", ["b@example.net>\r\nRCPT TO:<c@example.net", "b\n@example.net", "b\0@example.net", "b\r@example.net"])
def test_addresses_are_no_commands(text: str) -> None:
    session = pipelined()
    order = transaction()
    order.recipients = [Recipient(Address(text, "example.net"))]
    with pytest.raises(Unsendable):
        session.begin(order)
    order = transaction()
    order.reverse_path = Address(text, "example.net")
    with pytest.raises(Unsendable):
        session.begin(order)


def test_parameters_are_no_commands() -> None:
    session = pipelined("DSN")
    order = transaction()
    order.envid = "x\r\nRSET"
    order.recipients = [Recipient(parse_mailbox("b@example.net"), Notify.SUCCESS, "rfc\r\n822;x y")]
    sent = session.begin(order)
    assert sent.count(b"\r\n") == 3
    assert b"ENVID=x+0D+0ARSET\r\n" in sent
    assert b"ORCPT=rfc+0D+0A822;x+20y\r\n" in sent


def test_nobody() -> None:
    order = transaction()
    order.recipients = []
    with pytest.raises(Unsendable):
        Session().begin(order)


def test_local_part_beyond_ascii() -> None:
    order = transaction()
    order.recipients = [Recipient(parse_mailbox("grüße@example.net", smtputf8=True))]
    with pytest.raises(Unsendable):
        Session().begin(order)


# parameters ----------------------------------------------------------------------------------------------------------

EVERYTHING = ("PIPELINING", "SIZE 100000", "8BITMIME", "DSN", "SMTPUTF8")


def test_parameters() -> None:
    order = replace(transaction(eight_bit=True), ret="HDRS", envid="QQ+314=1", smtputf8=True)
    order.reverse_path = parse_mailbox("grüße@bücher.example", smtputf8=True)
    order.recipients = [
        Recipient(parse_mailbox("b@example.net"), Notify.SUCCESS | Notify.FAILURE | Notify.DELAY, "rfc822;b+c@example.net"),
        Recipient(parse_mailbox("c@example.net"), Notify.NEVER),
        Recipient(parse_mailbox("d@example.net"), 0, "no type"),
    ]
    assert Session(PLAIN, *EVERYTHING).begin(order).decode().split("\r\n")[:-2] == [
        f"MAIL FROM:<grüße@bücher.example> SIZE={len(TEXT)} BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ+2B314+3D1",
        "RCPT TO:<b@example.net> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;b+2Bc@example.net",
        "RCPT TO:<c@example.net> NOTIFY=NEVER",
        "RCPT TO:<d@example.net>",
    ]


def test_parameters_not_offered_are_not_said() -> None:
    order = replace(transaction(eight_bit=True), ret="HDRS", envid="x", smtputf8=True)
    order.recipients = [Recipient(parse_mailbox("b@bücher.example", smtputf8=True), Notify.NEVER, "rfc822;b@example.net")]
    assert pipelined().begin(order) == MAIL + b"RCPT TO:<b@xn--bcher-kva.example>\r\nDATA\r\n"


@pytest.mark.directive("ignore-8bitmime", "ignore-dsn", "ignore-pipelining")
def test_ignored_extensions() -> None:
    options = SessionOptions(tls=TlsLevel.NONE, ignore_8bitmime=True, ignore_dsn=True, ignore_pipelining=True)
    session = Session(options, *EVERYTHING)
    order = replace(transaction(eight_bit=True), ret="HDRS")
    assert session.engine.misfit(order) is None
    assert session.begin(order) == b"MAIL FROM:<a@example.com> SIZE=21\r\n"
    assert "DSN" in session.engine.capabilities.keywords


def test_null_reverse_path() -> None:
    order = transaction()
    order.reverse_path = Address("", "")
    assert Session().begin(order) == b"MAIL FROM:<>\r\n"


@pytest.mark.parametrize(
    ("pieces", "dots", "sent"),
    [
        ((b"a\r\n", b"b\r\n"), False, b"a\r\nb\r\n.\r\n"),
        ((b"a\r\n", b".b\r\n"), True, b"a\r\n..b\r\n.\r\n"),
        ((b".\r\n",), True, b"..\r\n.\r\n"),
        ((b"a",), False, b"a\r\n.\r\n"),
        ((b"a\r", b"\n"), False, b"a\r\n.\r\n"),
        ((b"a\r\n", b"", b""), False, b"a\r\n.\r\n"),
        ((b"a", b"b"), False, b"ab\r\n.\r\n"),
        ((b"a\r\n.", b"b"), True, b"a\r\n..b\r\n.\r\n"),
        ((), False, b".\r\n"),
    ],
)
def test_content(pieces: tuple[bytes, ...], dots: bool, sent: bytes) -> None:
    session = pipelined()
    session.begin(transaction(content=pieces, dots=dots))
    assert session.hear(ACCEPTED) == sent


# misfit --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offers", "order", "keyword"),
    [
        ((), transaction(eight_bit=True), "8BITMIME"),
        (("8BITMIME",), transaction(eight_bit=True), ""),
        (("BINARYMIME", "CHUNKING"), transaction(eight_bit=True), ""),
        (("8BITMIME",), transaction(binary=True), "BINARYMIME"),
        (("BINARYMIME",), transaction(binary=True), "BINARYMIME"),
        (("BINARYMIME", "CHUNKING"), transaction(binary=True), ""),
        (("SIZE 20",), transaction(), "SIZE"),
        (("SIZE 21",), transaction(), ""),
        (("SIZE 0",), transaction(), ""),
        (("SIZE",), transaction(), ""),
        (("SIZE lots",), transaction(), ""),
        (("SIZE " + "9" * 30,), transaction(), ""),
        ((), transaction(utf8_headers=True), ""),
        ((), replace(transaction(), smtputf8=True), ""),
        ((), replace(transaction(utf8_headers=True), smtputf8=True), "SMTPUTF8"),
        (("SMTPUTF8",), replace(transaction(utf8_headers=True), smtputf8=True), ""),
        ((), replace(transaction(), smtputf8=True, reverse_path=parse_mailbox("ä@example.com", smtputf8=True)), "SMTPUTF8"),
        ((), replace(transaction(), smtputf8=True, reverse_path=parse_mailbox("a@ä.example", smtputf8=True)), ""),
        ((), replace(transaction(), smtputf8=True, recipients=[Recipient(parse_mailbox("ä@example.com", smtputf8=True))]), "SMTPUTF8"),
    ],
)
def test_misfit(offers: tuple[str, ...], order: Transaction, keyword: str) -> None:
    found = Session(PLAIN, *offers).engine.misfit(order)
    if not keyword:
        assert found is None
    else:
        assert found is not None
        assert (found.fault, found.detail.split(":")[0]) == (Fault.NOT_OFFERED, keyword)


# endings -------------------------------------------------------------------------------------------------------------

BEFORE = [b"", b"250 m\r\n", b"250 m\r\n250 r\r\n", ACCEPTED]
STAGE = [Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.END_OF_DATA]


@pytest.mark.parametrize("pipelining", [False, True])
@pytest.mark.parametrize("at", range(4))
def test_421_anywhere(at: int, pipelining: bool) -> None:
    session = pipelined() if pipelining else Session()
    session.begin(token=1)
    session.begin(token=2)
    for line in BEFORE[at].splitlines(keepends=True):
        session.hear(line)
    assert session.hear(b"421 4.3.2 bye\r\n") == b""
    bye = Reply(421, "4.3.2", ("bye",))
    first, second = session.results()
    assert first.failure == session.failure == Failure(STAGE[at], bye)
    assert (first.usable, first.maybe_taken, first.untouched) == (False, False, False)
    assert (first.mail, first.rcpt[0], first.final)[at if at < 2 else 2] == (None if at == 2 else bye)
    assert second.failure is not None
    assert (second.failure.fault, second.failure.stage, second.failure.reply) == (Fault.LOST, Stage.MAIL, bye)
    assert (second.usable, second.maybe_taken, second.untouched, second.rcpt) == (False, False, True, [None])
    assert not session.engine.open


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.TIMEOUT])
@pytest.mark.parametrize("at", range(4))
def test_lost_anywhere(at: int, fault: Fault) -> None:
    session = pipelined()
    session.begin(token=1)
    session.begin(token=2)
    session.hear(BEFORE[at])
    session.lose(fault)
    first, second = session.results()
    assert first.failure == session.failure == Failure(STAGE[at], None, fault, "gone")
    assert (first.maybe_taken, first.untouched, first.usable) == (at == 3, False, False)
    assert (second.maybe_taken, second.untouched) == (False, True)
    session.lose()
    assert len(session.results()) == 2


def test_lost_in_the_middle_of_content() -> None:
    session = pipelined()
    session.begin()
    session.hear(ACCEPTED)
    session.lose(left=False)
    assert session.result.failure == Failure(Stage.BODY, None, Fault.LOST, "gone")
    assert not session.result.maybe_taken


@pytest.mark.parametrize(
    ("heard", "maybe", "stage"),
    [
        (b"", True, Stage.MAIL),
        (b"250 m\r\n", True, Stage.RCPT),
        (b"250 m\r\n250 r\r\n", True, Stage.END_OF_DATA),
        (b"250 m\r\n550 r\r\n", False, Stage.END_OF_DATA),
        (b"550 m\r\n", False, Stage.RCPT),
    ],
)
def test_lost_behind_early_content(heard: bytes, maybe: bool, stage: Stage) -> None:
    session = pipelined("CHUNKING")
    session.begin()
    session.hear(heard)
    session.lose()
    assert session.result.maybe_taken is maybe
    assert session.result.failure is not None
    assert session.result.failure.stage is stage


def test_lost_on_reuse_is_untouched() -> None:
    session = pipelined()
    session.begin()
    session.hear(ACCEPTED)
    session.hear(b"250 ok\r\n")
    session.begin()
    session.lose()
    assert session.result.untouched
    session = pipelined()
    session.begin()
    session.lose()
    assert not session.result.untouched


def test_second_is_touched_once_it_was_answered() -> None:
    session = pipelined()
    session.begin(token=1)
    session.begin(token=2)
    session.hear(ACCEPTED)
    session.hear(b"250 ok\r\n250 m\r\n")
    session.lose()
    assert (session.result.untouched, code(session.result.mail)) == (False, 250)


def test_refused_in_the_middle_of_content() -> None:
    session = pipelined()
    session.begin()
    session.hear(ACCEPTED)
    session.engine.clear = False
    session.hear(b"552 5.3.4 too big\r\n")
    assert (code(session.result.final), session.result.usable, session.result.maybe_taken) == (552, False, False)
    assert session.failure is not None
    assert session.failure.stage is Stage.END_OF_DATA


def test_accepted_in_the_middle_of_content() -> None:
    session = pipelined()
    session.begin()
    session.hear(ACCEPTED)
    session.engine.clear = False
    session.hear(b"250 taken\r\n")
    assert session.result.final is None
    assert session.failure is not None
    assert session.failure.fault is Fault.PROTOCOL


@pytest.mark.parametrize(
    ("heard", "stage"),
    [
        (b"354 m\r\n", Stage.MAIL),
        (b"250 m\r\n354 r\r\n", Stage.RCPT),
        (b"250 m\r\n250 r\r\n250 d\r\n", Stage.DATA),
        (ACCEPTED + b"354 e\r\n", Stage.END_OF_DATA),
        (b"nonsense\r\n", Stage.MAIL),
        (ACCEPTED + b"nonsense\r\n", Stage.END_OF_DATA),
    ],
)
def test_wrong_class_or_garbage(heard: bytes, stage: Stage) -> None:
    session = pipelined()
    session.begin()
    session.hear(heard)
    assert session.result.failure is not None
    assert (session.result.failure.stage, session.result.failure.fault) == (stage, Fault.PROTOCOL)
    assert session.result.maybe_taken is (stage is Stage.END_OF_DATA)


def test_421_to_rset() -> None:
    session = pipelined()
    session.begin()
    session.hear(b"250 m\r\n550 r\r\n503 d\r\n")
    session.begin()
    session.hear(b"421 bye\r\n")
    assert session.result.failure == Failure(Stage.MAIL, Reply(421, "", ("bye",)))


@pytest.mark.parametrize(("heard", "fault"), [(b"421 4.4.2 idle\r\n", Fault.NONE), (b"250 hm\r\n", Fault.PROTOCOL)])
def test_unsolicited(heard: bytes, fault: Fault) -> None:
    session = pipelined()
    session.hear(heard)
    assert session.failure is not None
    assert session.failure.fault is fault
    assert not session.engine.open


def test_quit() -> None:
    session = pipelined()
    session.begin()
    session.engine.quit()
    assert not session.engine.open
    assert session.hear(ACCEPTED) == BODY
    assert session.hear(b"250 ok\r\n") == b"QUIT\r\n"
    assert STAGES[session.engine.expect] is Stage.QUIT
    session.hear(b"500 whatever\r\n")
    assert session.failure is None


def test_early_replies_before_the_transaction_leaves() -> None:
    session = Session()
    session.engine.begin(transaction(), 1)
    session.hear(b"250 ok\r\n")
    assert session.result.failure is not None
    assert session.result.failure.fault is Fault.PROTOCOL
