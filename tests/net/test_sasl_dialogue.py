"""AUTH dialogues of every mechanism through a real session: success, failure, what is malformed, cancelled, too long or never finished."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postwright.model.credentials import Exchanged, TokenRefused
from postwright.model.reply import Reply
from postwright.net.sasl_dialogue import ROUNDS_MOST
from postwright.net.session import ServerSession
from postwright.net.visit import PeerFacts
from postwright.wire.options import Limits, ServerOptions
from postwright.wire.sasl import mechanisms
from postwright.wire.scram import derive_keys, made_up_keys
from postwright.wire.scram_client import ScramClient
from postwright.wire.server_states import State

PEER = PeerFacts("192.0.2.1", 4000, "192.0.2.2", 25)
KEYS = {hash: derive_keys("secret", b"salt" * 4, 4096, hash) for hash in ("SHA-1", "SHA-256")}
OK = Reply(235, "2.7.0", ("authentication succeeded",))
REFUSED = TokenRefused(535, "5.7.8", ("authentication failed",), "invalid_token", "mail")


class Book:
    now = 0.0
    content = 0

    def left(self, session: ServerSession) -> None:
        pass


class Line:
    """A session to which EHLO was said, and what it answers."""

    def __init__(self, visit: Any) -> None:
        self.visit = visit
        self.said: list[bytes] = []
        self.session = ServerSession(visit, PEER, Book(), asyncio.get_running_loop())
        self.session.connection_made(Transport(self.said))
        self.say(b"EHLO client.example")

    def say(self, line: bytes) -> bytes:
        self.said.clear()
        self.session.data_received(line + b"\r\n")
        return b"".join(self.said)

    def answer(self, data: bytes) -> bytes:
        """Our answer to a challenge; what comes back."""
        return self.say(base64.b64encode(data))

    def challenge(self, reply: bytes) -> bytes:
        assert reply.startswith(b"334 "), reply
        return base64.b64decode(reply[4:])


class Transport(asyncio.Transport):
    def __init__(self, said: list[bytes]) -> None:
        super().__init__()
        self._said = said

    def write(self, data: Any) -> None:
        self._said.append(bytes(data))

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


@pytest.fixture
def line(scripted_visit: Callable[..., Any]) -> Callable[..., Line]:
    def make(errors: int | None = None, **answers: Any) -> Line:
        visit = scripted_visit(PEER, answers, ServerOptions(auth=mechanisms(), limits=Limits(errors=errors)))
        return Line(visit)

    return make


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def initial(mechanism: str, data: bytes) -> bytes:
    return f"AUTH {mechanism} ".encode() + (base64.b64encode(data) or b"=")


def cram(line: Line, secret: bytes) -> bytes:
    challenge = line.challenge(line.say(b"AUTH CRAM-MD5"))
    return line.answer(b"anna " + hmac.new(secret, challenge, "md5").hexdigest().encode())


def scram(line: Line, password: str, hash: str = "SHA-256") -> bytes:
    client = ScramClient(hash, "anna", password, "c" * 24)
    reply = line.say(initial(f"SCRAM-{hash}", client.first()))
    final = client.final(line.challenge(reply))
    assert final is not None
    reply = line.answer(final)
    if reply.startswith(b"334 "):
        assert client.check(line.challenge(reply)) == b""
        reply = line.answer(b"")
    return reply


# success and failure -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("password", "code"), [("secret", b"235"), ("wrong", b"535")])
async def test_mechanisms_of_passwords(line: Callable[..., Line], password: str, code: bytes) -> None:
    shown = password.encode()
    assert line().say(initial("PLAIN", b"\0anna\0" + shown))[:3] == code
    plain = line()
    assert plain.say(b"AUTH PLAIN") == b"334 \r\n"
    assert plain.answer(b"\0anna\0" + shown)[:3] == code
    login = line()
    assert login.challenge(login.say(b"AUTH LOGIN")) == b"Username:"
    assert login.challenge(login.answer(b"anna")) == b"Password:"
    assert login.answer(shown)[:3] == code
    assert cram(line(), shown)[:3] == code
    for hash, keys in KEYS.items():
        assert scram(line(scram_keys=keys), password, hash)[:3] == code


async def test_failures_are_alike_whoever_it_is(line: Callable[..., Line]) -> None:
    unknown = made_up_keys(b"k" * 32, "anna", "SHA-256")
    replies = {
        line().say(initial("PLAIN", b"\0anna\0wrong")),
        line().say(initial("PLAIN", b"\0nobody\0secret")),
        line().say(initial("PLAIN", b"boss\0anna\0secret")),
        cram(line(), b"wrong"),
        scram(line(scram_keys=KEYS["SHA-256"]), "wrong"),
        scram(line(scram_keys=unknown), "secret"),
        line().say(initial("EXTERNAL", b"")),
    }
    assert replies == {b"535 5.7.8 authentication failed\r\n"}


async def test_who_would_act_as_somebody_else_has_failed_as_others_do(line: Callable[..., Line]) -> None:
    """It counts, and is answered as late as any failure: who decides that is the visit. The password is not even looked at."""
    there = line()
    there.say(initial("PLAIN", b"boss\0anna\0secret"))
    assert "authenticated" in there.visit.names()
    assert "check_password" not in there.visit.names()


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
async def test_a_token_that_is_refused_is_explained_before_it_is_refused(line: Callable[..., Line], mechanism: str) -> None:
    header = b"n,a=anna," if mechanism == "OAUTHBEARER" else b"user=anna"
    message = header + b"\x01auth=Bearer abc\x01\x01"
    assert line(check_token=OK).say(initial(mechanism, message))[:3] == b"235"
    refused = line(check_token=REFUSED)
    told = json.loads(refused.challenge(refused.say(initial(mechanism, message))))
    assert told == {"status": "401" if mechanism == "XOAUTH2" else "invalid_token", "schemes": "bearer", "scope": "mail"}
    assert refused.answer(b"\x01") == b"535 5.7.8 authentication failed\r\n"
    assert refused.say(b"NOOP")[:3] == b"250"
    later = line(check_token=Reply(454, "4.7.0", ("later",)))
    assert later.say(initial(mechanism, message))[:3] == b"454"  # not the token's fault, and not explained as if it were


async def test_a_certificate(line: Callable[..., Line]) -> None:
    told = line(check_certificate=OK)
    assert told.say(initial("EXTERNAL", b"anna"))[:3] == b"235"
    assert told.visit.asked[-1] == ("check_certificate", "anna")


def later(result: Any = None) -> asyncio.Future[Any]:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    if result is not None:
        future.set_result(result)
    return future


@pytest.mark.parametrize(("ok", "code"), [(True, b"235"), (False, b"535")])
@pytest.mark.parametrize("mechanism", ["NTLM", "GSSAPI", "GSS-SPNEGO"])
async def test_octets_for_an_acceptor(line: Callable[..., Line], mechanism: str, ok: bool, code: bytes) -> None:
    steps = [Exchanged(b"\xffsecond"), Exchanged(b"", "anna", True, ok)]
    there = line(exchange=lambda: later(steps.pop(0)))
    assert there.say(f"AUTH {mechanism}".encode()) == b"334 \r\n"
    assert there.challenge(there.answer(b"first")) == b"\xffsecond"
    assert there.answer(b"third")[:3] == code
    asked = [asked for asked in there.visit.asked if asked[0].startswith("exchange")]
    (_, _, context, _), *_ = asked
    assert [(name, *rest) for name, *rest in asked] == [
        ("exchange", mechanism, context, b"first"),
        ("exchange", mechanism, context, b"third"),
        ("exchange_over", context),
    ]
    assert ("authenticated", "anna", mechanism, ok) in there.visit.asked


async def test_an_answer_that_comes_later_is_waited_for(line: Callable[..., Line]) -> None:
    keys = later()
    there = line(scram_keys=keys)
    client = ScramClient("SHA-256", "anna", "secret", "c" * 24)
    assert there.say(initial("SCRAM-SHA-256", client.first())) == b""
    keys.set_result(KEYS["SHA-256"])
    await settled()
    assert b"".join(there.said).startswith(b"334 ")


# what is not well formed, or not finished ----------------------------------------------------------------------------

NO_ACCEPTOR = ("NTLM", "GSSAPI", "GSS-SPNEGO")  # whose octets only the acceptor can judge


@pytest.mark.parametrize("mechanism", [name for name in mechanisms() if name not in NO_ACCEPTOR])
async def test_malformed_is_501_and_the_session_goes_on(line: Callable[..., Line], mechanism: str) -> None:
    there = line()
    reply = there.say(f"AUTH {mechanism}".encode())
    assert reply.startswith(b"334 ")
    assert there.answer(b"\xff\0")[:3] == b"501"
    assert there.say(b"NOOP")[:3] == b"250"


@pytest.mark.parametrize("broken_off", [b"*", b"c=biws,r=x"])
async def test_nobody_asks_for_keys_without_end(line: Callable[..., Line], broken_off: bytes) -> None:
    """Each may cost a look-up and ten thousand rounds of a hash, and is no failed login while there is no proof."""
    there = line(errors=5, scram_keys=KEYS["SHA-256"])
    replies = []
    for _ in range(8):
        there.say(initial("SCRAM-SHA-256", b"n,,n=anna,r=abcdefgh"))
        replies.append((there.say(broken_off) if broken_off == b"*" else there.answer(broken_off))[:3])
        if there.session._engine.state is State.CLOSED:
            break
    assert replies[:5] == [b"501"] * 5
    assert there.visit.names().count("scram_keys") <= 6
    assert there.session._engine.state is State.CLOSED


@pytest.mark.parametrize("mechanism", mechanisms())
async def test_cancelled(line: Callable[..., Line], mechanism: str) -> None:
    there = line()
    assert there.say(f"AUTH {mechanism}".encode()).startswith(b"334 ")
    assert there.say(b"*") == b"501 5.7.0 authentication cancelled\r\n"
    assert there.say(initial("PLAIN", b"\0anna\0secret"))[:3] == b"235"


async def test_a_cancelled_exchange_is_told_to_its_acceptor(line: Callable[..., Line]) -> None:
    there = line(exchange=lambda: later(Exchanged(b"more")))
    assert there.say(initial("NTLM", b"first")).startswith(b"334 ")
    there.say(b"*")
    there.session.connection_lost(None)
    assert there.visit.names().count("exchange_over") == 1


async def test_an_exchange_whose_peer_is_gone_is_told_to_its_acceptor(line: Callable[..., Line]) -> None:
    waiting = later()
    there = line(exchange=lambda: waiting)
    assert there.say(initial("NTLM", b"first")) == b""
    there.session.connection_lost(None)
    assert there.visit.names()[-2:] == ["exchange_over", "closed"]
    assert waiting.cancelled()


async def test_an_acceptor_that_fails_is_no_wrong_password(line: Callable[..., Line]) -> None:
    there = line(exchange=OSError("the helper process is gone"))
    there.session._loop.set_exception_handler(lambda *_: None)
    try:
        assert there.say(initial("NTLM", b"first"))[:3] == b"451"
    finally:
        there.session._loop.set_exception_handler(None)
    assert there.visit.names()[-1] == "exchange_over"
    assert there.say(b"NOOP")[:3] == b"250"


async def test_a_dialogue_without_end_is_ended(line: Callable[..., Line]) -> None:
    there = line(exchange=lambda: later(Exchanged(b"more")))
    reply = there.say(initial("NTLM", b"again"))
    rounds = 0
    while reply.startswith(b"334 "):
        rounds += 1
        assert rounds <= ROUNDS_MOST
        reply = there.answer(b"again")
    assert rounds == ROUNDS_MOST
    assert reply[:3] == b"501"


async def test_a_response_that_is_too_long_ends_the_dialogue(line: Callable[..., Line]) -> None:
    there = line()
    there.say(b"AUTH PLAIN")
    assert there.say(b"A" * 12286)[:3] == b"501"  # 12288 octets with CRLF may come (RFC 4954 section 4)
    there.say(b"AUTH PLAIN")
    assert there.say(b"A" * 12287) == b"500 5.5.6 authentication exchange line is too long\r\n"
    assert there.say(b"NOOP")[:3] == b"250"


# no octets whatever --------------------------------------------------------------------------------------------------

_responses = st.lists(st.binary(max_size=60) | st.sampled_from([b"n,,n=anna,r=c", b"c=biws,r=c,p=AAAA", b"", b"\x01"]), max_size=4)


@pytest.mark.parametrize("mechanism", mechanisms())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(_responses)
def test_no_octets_break_a_session(scripted_visit: Callable[..., Any], mechanism: str, responses: list[bytes]) -> None:
    asyncio.run(_talk(scripted_visit, mechanism, responses))


async def _talk(scripted_visit: Callable[..., Any], mechanism: str, responses: list[bytes]) -> None:
    answers = {"exchange": lambda: later(Exchanged(b"more")), "scram_keys": KEYS["SHA-256"], "check_token": REFUSED}
    there = Line(scripted_visit(PEER, answers, ServerOptions(auth=(mechanism,), limits=Limits(errors=None))))
    broken: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.append(context))
    reply = there.say(f"AUTH {mechanism}".encode())
    for response in responses:
        assert reply[:4] in (b"334 ", b"235 ", b"501 ", b"535 "), reply
        if not reply.startswith(b"334 "):
            break
        reply = there.answer(response)
    assert broken == []
    if reply.startswith(b"334 "):
        there.say(b"*")
    assert there.say(b"NOOP") == b"250 2.0.0 ok\r\n"
