"""The session between an engine and a transport in memory: when it writes, waits, pauses, gives up, and what it asks of the visit."""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import Callable
from typing import Any

import pytest

from postwright.model.reply import Reply
from postwright.net import session_flow
from postwright.net.session import NEVER, ServerSession
from postwright.net.visit import PeerFacts
from postwright.wire.options import Limits, ServerOptions

PEER = PeerFacts("192.0.2.1", 4000, "192.0.2.2", 25)
BEGIN = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\n"


class MemoryTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.reading = True
        self.closing = False
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closing
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True


class FakeBook:
    def __init__(self) -> None:
        self.now = 1000.0
        self.content = 0
        self.gone: list[ServerSession] = []

    def left(self, session: ServerSession) -> None:
        self.gone.append(session)


class Rig:
    def __init__(self, visit: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.visit = visit
        self.book = FakeBook()
        self.transport = MemoryTransport()
        self.session = ServerSession(visit, PEER, self.book, loop)
        self.session.connection_made(self.transport)

    def reading(self) -> bool:
        return self.transport.reading

    def heard(self) -> bytes:
        data = b"".join(self.transport.writes)
        self.transport.writes.clear()
        return data

    def say(self, data: bytes) -> bytes:
        self.session.data_received(data)
        return self.heard()

    def codes(self, data: bytes) -> list[int]:
        return [int(line[:3]) for line in self.say(data).split(b"\r\n") if line[3:4] == b" "]


@pytest.fixture
def errors() -> list[dict[str, Any]]:
    return []


@pytest.fixture
async def rig(scripted_visit: Callable[..., Any], errors: list[dict[str, Any]]) -> Callable[..., Rig]:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: errors.append(context))

    def make(answers: dict[str, Any] | None = None, options: ServerOptions | None = None) -> Rig:
        made = Rig(scripted_visit(PEER, answers, options), loop)
        made.greeting = made.heard()  # type: ignore[attr-defined]  # a note for the one test that asks
        return made

    return make


def later() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


async def settle() -> None:
    """Let callbacks of futures run."""
    for _ in range(3):
        await asyncio.sleep(0)


# writing -------------------------------------------------------------------------------------------------------------


async def test_a_message(rig: Callable[..., Rig]) -> None:
    r = rig()
    assert r.greeting == b"220 mx.example ESMTP\r\n"  # type: ignore[attr-defined]
    hello = r.say(b"EHLO client.example\r\n")
    assert hello.startswith(b"250-mx.example\r\n250-ENHANCEDSTATUSCODES\r\n")
    assert hello.endswith(b"250 XTEST\r\n")
    assert r.say(BEGIN) == b"250 2.1.0 MAIL ok\r\n250 2.1.5 recipient ok\r\n"
    assert r.say(b"DATA\r\n") == b"354 send message\r\n"
    assert r.say(b"text\r\n.\r\n") == b"250 2.6.0 message received\r\n"
    assert r.say(b"QUIT\r\n") == b"221 2.0.0 goodbye\r\n"
    assert r.transport.closing
    r.session.connection_lost(None)
    r.session.connection_lost(None)
    assert r.visit.names() == ["greeting", "ehlo", "mail", "rcpt", "data", "content", "closed"]
    assert r.book.gone == [r.session]


async def test_answers_to_pipelined_commands_leave_in_one_write(rig: Callable[..., Rig]) -> None:
    r = rig()
    r.session.data_received(b"HELO x\r\n" + BEGIN + b"DATA\r\ntext\r\n.\r\n" + BEGIN + b"BDAT 2\r\nabBDAT 2 LAST\r\ncdQUIT\r\n")
    assert len(r.transport.writes) == 1
    assert r.heard().count(b"\r\n") == 10
    assert r.visit.contents() == [b"text\r\n", b"abcd\r\n"]


async def test_small_talk_never_reaches_the_visit(rig: Callable[..., Rig]) -> None:
    r = rig()
    assert r.codes(b"NOOP\r\nHELP\r\nVRFY x\r\nEXPN x\r\nFROB\r\n") == [250, 214, 252, 502, 500]
    assert r.visit.names() == ["greeting"]


async def test_the_visit_hears_of_resets(rig: Callable[..., Rig]) -> None:
    r = rig(options=ServerOptions(limits=Limits(message_size=5)))
    assert r.codes(b"HELO x\r\n" + BEGIN + b"RSET\r\n") == [250, 250, 250, 250]
    assert r.visit.names()[-1] == "reset"
    assert r.codes(BEGIN + b"DATA\r\n123456\r\n.\r\n") == [250, 250, 354, 552]
    assert r.visit.names()[-1] == "reset"


async def test_a_door_that_is_shut(rig: Callable[..., Rig]) -> None:
    r = rig({"greeting": Reply(421, "4.3.2", ("busy",))})
    assert r.greeting == b"421 4.3.2 busy\r\n"  # type: ignore[attr-defined]
    assert r.transport.closing
    r = rig({"greeting": Reply(554, "5.7.1", ("no",))})
    assert not r.transport.closing
    assert r.codes(b"HELO x\r\nQUIT\r\n") == [503, 221]


# waiting -------------------------------------------------------------------------------------------------------------


async def test_nothing_is_taken_while_an_answer_is_awaited(rig: Callable[..., Rig]) -> None:
    future = later()
    r = rig({"content": future})
    assert r.codes(b"HELO x\r\n" + BEGIN + b"DATA\r\ntext\r\n.\r\nRSET\r\n") == [250, 250, 250, 354]
    assert r.session.deadline == NEVER
    assert r.reading()
    assert r.say(b"NOOP\r\n") == b""
    assert not r.reading()
    assert r.say(b"NO") == b""  # what was on its way when we paused
    future.set_result(Reply(250, "2.6.0", ("kept",)))
    await settle()
    assert r.heard() == b"250 2.6.0 kept\r\n250 2.0.0 reset\r\n250 2.0.0 ok\r\n"
    assert r.reading()
    assert r.session.deadline == 1100.0
    assert r.codes(b"OP\r\n") == [250]


@pytest.mark.parametrize("method", ["mail", "rcpt", "data", "ehlo"])
async def test_every_question_may_be_answered_later(method: str, rig: Callable[..., Rig], errors: list[dict[str, Any]]) -> None:
    future = later()
    r = rig({method: future})
    r.session.data_received(b"HELO x\r\n" + BEGIN + b"DATA\r\n")
    before = r.heard()
    future.set_result(Reply(421, "4.3.2", ("enough",)))
    await settle()
    assert (before + r.heard()).endswith(b"421 4.3.2 enough\r\n")
    assert r.transport.closing
    assert errors == []


async def test_a_greeting_and_an_ehlo_that_come_later(rig: Callable[..., Rig]) -> None:
    greeting, ehlo = later(), later()
    r = rig({"greeting": greeting, "ehlo": ehlo})
    assert r.say(b"EHLO x\r\n") == b""
    greeting.set_result(Reply(220, "", ("late",)))
    await settle()
    assert r.heard() == b"220 late\r\n"
    ehlo.set_result(Reply(250, "", ("mx.example",)))
    await settle()
    assert r.heard().startswith(b"250-mx.example\r\n250-ENH")


async def test_a_future_that_is_done_costs_no_waiting(rig: Callable[..., Rig]) -> None:
    future = later()
    future.set_result(Reply(250, "2.6.0", ("at once",)))
    r = rig({"content": future})
    assert r.codes(b"HELO x\r\n" + BEGIN + b"DATA\r\n.\r\n") == [250, 250, 250, 354, 250]


async def test_the_peer_leaves_while_we_wait(rig: Callable[..., Rig]) -> None:
    future = later()
    r = rig({"content": future})
    r.say(b"HELO x\r\n" + BEGIN + b"DATA\r\n.\r\n")
    r.session.connection_lost(ConnectionResetError())
    await settle()
    assert future.cancelled()
    assert r.heard() == b""


# failing -------------------------------------------------------------------------------------------------------------


async def test_a_visit_that_raises_is_answered_451(rig: Callable[..., Rig], errors: list[dict[str, Any]]) -> None:
    r = rig({"rcpt": ValueError("ours")})
    assert r.codes(b"HELO x\r\n" + BEGIN + b"NOOP\r\n") == [250, 250, 451, 250]
    assert isinstance(errors[0]["exception"], ValueError)


async def test_a_future_that_fails_is_answered_451(rig: Callable[..., Rig], errors: list[dict[str, Any]]) -> None:
    future, other = later(), later()
    r = rig({"content": future})
    r.say(b"HELO x\r\n" + BEGIN + b"DATA\r\n.\r\n")
    future.set_exception(OSError("disk"))
    await settle()
    assert r.heard() == b"451 4.3.0 local error, try again later\r\n"
    r.visit.answers["content"] = other
    r.say(BEGIN + b"DATA\r\n.\r\n")
    other.cancel()
    await settle()
    assert r.heard() == b"451 4.3.0 local error, try again later\r\n"
    assert len(errors) == 2


async def test_a_greeting_that_raises(rig: Callable[..., Rig]) -> None:
    r = rig({"greeting": ValueError("ours")})
    assert r.greeting.startswith(b"451 ")  # type: ignore[attr-defined]
    assert r.codes(b"HELO x\r\nQUIT\r\n") == [503, 221]


async def test_closing_goes_on_when_the_visit_raises(rig: Callable[..., Rig], errors: list[dict[str, Any]]) -> None:
    r = rig({"closed": ValueError("ours")})
    r.session.connection_lost(None)
    assert len(errors) == 1
    assert r.book.gone == [r.session]


# back-pressure and time -----------------------------------------------------------------------------------------------


async def test_a_peer_that_does_not_take_replies_is_not_read(rig: Callable[..., Rig]) -> None:
    r = rig()
    r.session.pause_writing()
    assert r.say(b"NOOP\r\n") == b""
    assert not r.reading()
    r.session.resume_writing()
    assert r.heard() == b"250 2.0.0 ok\r\n"
    assert r.reading()


async def test_blocked_and_waiting_at_once(rig: Callable[..., Rig]) -> None:
    future = later()
    r = rig({"content": future})
    r.say(b"HELO x\r\n" + BEGIN + b"DATA\r\n.\r\nNOOP\r\n")
    r.session.pause_writing()
    r.session.resume_writing()
    assert r.heard() == b""
    r.session.pause_writing()
    future.set_result(Reply(250, "", ("kept",)))
    await settle()
    assert r.heard() == b"250 kept\r\n"
    r.session.resume_writing()
    assert r.heard() == b"250 2.0.0 ok\r\n"


async def test_deadlines(rig: Callable[..., Rig]) -> None:
    r = rig()
    assert r.session.deadline == 1100.0
    r.book.now = 1010.0
    r.say(b"HELO x\r\n" + BEGIN)
    assert r.session.deadline == 1110.0
    r.say(b"DATA\r\n")
    assert r.session.deadline == 1060.0
    r.book.now = 1020.0
    r.say(b"text")
    assert r.session.deadline == 1070.0
    r.session.timed_out()
    assert r.heard() == b"421 4.4.2 waited too long, closing\r\n"
    assert r.transport.closing
    assert r.session.deadline == 1030.0
    r.session.timed_out()
    assert r.transport.aborted


async def test_a_blocked_peer_is_cut_off(rig: Callable[..., Rig]) -> None:
    r = rig()
    r.session.pause_writing()
    r.session.timed_out()
    assert r.transport.aborted
    assert r.heard() == b""


async def test_draining(rig: Callable[..., Rig]) -> None:
    r = rig()
    r.session.drain()
    assert r.heard() == b"421 4.3.2 service is stopping, try again later\r\n"
    assert r.transport.closing


async def test_draining_before_the_first_word(scripted_visit: Callable[..., Any], errors: list[dict[str, Any]]) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: errors.append(context))
    session, transport = ServerSession(scripted_visit(PEER, None, None), PEER, FakeBook(), loop), MemoryTransport()
    session.drain()
    session.connection_made(transport)
    assert b"".join(transport.writes) == b"421 4.3.2 service is stopping, try again later\r\n"
    assert transport.closing
    assert errors == []


async def test_draining_waits_for_the_transaction(rig: Callable[..., Rig]) -> None:
    future = later()
    r = rig({"content": future})
    r.say(b"HELO x\r\n" + BEGIN)
    r.session.drain()
    assert r.codes(b"DATA\r\n.\r\n") == [354]
    r.session.drain()
    future.set_result(Reply(250, "", ("kept",)))
    await settle()
    assert r.heard() == b"250 kept\r\n421 4.3.2 service is stopping, try again later\r\n"
    assert r.transport.closing


async def test_input_after_the_end_is_ignored(rig: Callable[..., Rig]) -> None:
    r = rig()
    r.say(b"QUIT\r\nNOOP\r\n")
    assert r.say(b"NOOP\r\n") == b""
    assert r.session.eof_received() is False


# AUTH ----------------------------------------------------------------------------------------------------------------

LOGIN = ServerOptions(auth=("PLAIN", "LOGIN", "CRAM-MD5"))


def b64(data: bytes) -> bytes:
    return base64.b64encode(data)


async def test_auth_plain_and_login(rig: Callable[..., Rig]) -> None:
    r = rig(options=LOGIN)
    assert r.codes(b"EHLO x\r\nAUTH PLAIN " + b64(b"\0anna\0wrong") + b"\r\n") == [250, 535]
    assert r.codes(b"AUTH PLAIN " + b64(b"boss\0anna\0secret") + b"\r\n") == [535]
    assert r.codes(b"AUTH PLAIN " + b64(b"boss") + b"\r\n") == [501]
    assert r.say(b"AUTH LOGIN\r\n") == b"334 VXNlcm5hbWU6\r\n"
    assert r.say(b64(b"anna") + b"\r\n") == b"334 UGFzc3dvcmQ6\r\n"
    assert r.say(b64(b"secret") + b"\r\n") == b"235 2.7.0 authentication succeeded\r\n"


async def test_auth_that_is_cancelled_and_begun_again(rig: Callable[..., Rig]) -> None:
    r = rig(options=LOGIN)
    assert r.codes(b"EHLO x\r\nAUTH LOGIN\r\n*\r\nAUTH PLAIN\r\n" + b64(b"\0anna\0secret") + b"\r\n") == [250, 334, 501, 334, 235]


async def test_a_password_checked_elsewhere(rig: Callable[..., Rig]) -> None:
    future = later()
    r = rig({"check_password": future}, LOGIN)
    r.visit.offered = LOGIN
    assert r.codes(b"EHLO x\r\nAUTH PLAIN " + b64(b"\0anna\0secret") + b"\r\nNOOP\r\n") == [250]
    future.set_result(Reply(235, "2.7.0", ("yes",)))
    await settle()
    assert r.heard() == b"235 2.7.0 yes\r\n250 2.0.0 ok\r\n"


def cram(r: Rig, secret: bytes) -> bytes:
    challenge = base64.b64decode(r.say(b"AUTH CRAM-MD5\r\n")[4:])
    assert challenge.endswith(b"@mx.example>")
    return b64(b"anna " + hmac.new(secret, challenge, "md5").hexdigest().encode()) + b"\r\n"


async def test_cram_md5(rig: Callable[..., Rig]) -> None:
    r = rig(options=LOGIN)
    r.say(b"EHLO x\r\n")
    assert r.codes(cram(r, b"wrong")) == [535]
    assert r.codes(cram(r, b"secret")) == [235]
    assert r.visit.asked[-1] == ("authenticated", "anna", "CRAM-MD5", True)


async def test_a_secret_that_comes_later_or_not_at_all(rig: Callable[..., Rig], errors: list[dict[str, Any]]) -> None:
    first, second = later(), later()
    r = rig({"secret_for": first}, LOGIN)
    r.say(b"EHLO x\r\n")
    assert r.say(cram(r, b"secret")) == b""
    first.set_exception(OSError("directory is down"))
    await settle()
    assert r.heard().startswith(b"451 ")
    r.visit.answers["secret_for"] = second
    verdict = r.visit.answers["authenticated"] = later()
    assert r.say(cram(r, b"secret")) == b""
    second.set_result("secret")
    await settle()
    assert r.heard() == b""
    verdict.set_result(Reply(235, "2.7.0", ("yes",)))
    await settle()
    assert r.heard() == b"235 2.7.0 yes\r\n"


async def test_what_is_offered_may_change_with_who_it_is(rig: Callable[..., Rig]) -> None:
    r = rig(options=LOGIN)
    r.say(b"EHLO x\r\n")
    r.visit.offered = ServerOptions(limits=Limits(message_size=10))
    assert r.codes(b"AUTH PLAIN " + b64(b"\0anna\0secret") + b"\r\nMAIL FROM:<> SIZE=11\r\n") == [235, 552]


async def test_a_mechanism_that_is_offered_and_not_known(rig: Callable[..., Rig]) -> None:
    r = rig(options=ServerOptions(auth=("X-OURS",)))
    assert r.codes(b"EHLO x\r\nAUTH X-OURS\r\n") == [250, 504]


# STARTTLS that does not come to a handshake ---------------------------------------------------------------------------


async def test_starttls_refused(rig: Callable[..., Rig]) -> None:
    r = rig(options=ServerOptions(starttls=True))
    assert r.codes(b"EHLO x\r\nSTARTTLS\r\nNOOP\r\n") == [250, 454, 250]


async def test_half_a_command_buys_no_time(rig: Callable[..., Rig]) -> None:
    r = rig()
    r.book.now = 1050.0
    assert r.say(b"EHLO cli") == b""
    assert r.session.deadline == 1100.0
    assert r.say(b"ent.example\r\n").startswith(b"250-")
    assert r.session.deadline == 1150.0
    # a chunk is content, and each part of it is worth another wait
    r.say(BEGIN + b"BDAT 100 LAST\r\n")
    r.book.now = 1090.0
    r.say(b"x" * 50)
    assert r.session.deadline == 1140.0
    r.say(b"x" * 48 + b"\r\n")
    assert r.session.deadline == 1190.0


# memory --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunked", [False, True])
async def test_contents_of_all_sessions_have_a_bound_together(
    rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch, chunked: bool
) -> None:
    monkeypatch.setattr(session_flow, "CONTENT_IN_MEMORY", 10_000)
    first, second = rig(), rig()
    second.session._book = first.book
    line = b"x" * 98 + b"\r\n"
    for r, size in ((first, 5000), (second, 15000)):
        r.say(b"EHLO x\r\n" + BEGIN + (b"BDAT %d LAST\r\n" % size if chunked else b"DATA\r\n"))
        assert r.say(line * 49) == b""
    assert first.book.content == 9800
    # who goes over the bound loses what it has brought; the other does not notice
    assert second.say(line * 50) == b""
    assert first.book.content == 4900
    end = b"" if chunked else b".\r\n"
    assert second.say(line * 51 + end) == b"452 4.3.1 too much mail is coming in, try again later\r\n"
    assert first.codes(line + end) == [250]
    assert first.book.content == 0
    assert second.codes(BEGIN + b"DATA\r\nshort\r\n.\r\n") == [250, 250, 354, 250]


async def test_a_session_that_ends_gives_its_memory_back(rig: Callable[..., Rig]) -> None:
    r = rig()
    r.say(b"EHLO x\r\n" + BEGIN + b"DATA\r\n")
    r.say(b"text\r\n")
    assert r.book.content == 6
    r.session.connection_lost(None)
    assert r.book.content == 0
