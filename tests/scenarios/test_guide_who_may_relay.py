"""The guide, part 1 to 3: where mail is received, who may relay, who is sent away with 550 5.7.1, and TLS before AUTH."""

from __future__ import annotations

import pytest
from tests.scenarios.clients import HELLO, ask, client, received, send, send_from, trusting
from tests.scenarios.guide import NEIGHBOUR, PASSWORD, USER
from tests.scenarios.town import Town

from postwright.testing.source import SourceClient

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("guide")]

FAR = "bob@far.example"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_both_listeners_greet_by_the_host_name(guide: Town, host: str) -> None:
    async with await SourceClient.connect(host, guide.port) as session:
        assert session.banner.code == 220
        assert session.banner.lines[0].split()[0] == "mail10.sender1.example"
        assert (await session.ehlo()).lines[0].split()[0] == "mail10.sender1.example"


@pytest.mark.parametrize("source", ["127.0.0.1", "127.9.9.9", "::1"])
async def test_a_stranger_may_not_relay(guide: Town, source: str) -> None:
    async with client(guide.port, host="::1" if ":" in source else "127.0.0.1", source=source) as session:
        sent = await session.send("anne@client.example", [FAR], HELLO)
        assert (sent.final.code, sent.final.status) == (550, "5.7.1")
        assert sent.data is None


async def test_auth_is_neither_offered_nor_taken_before_tls(guide: Town) -> None:
    async with client(guide.port) as session:
        assert "STARTTLS" in session.capabilities
        assert "AUTH" not in session.capabilities
        for reply in (await session.auth_plain(USER, PASSWORD), await session.auth_login(USER, PASSWORD)):
            assert reply.code in (502, 503, 530, 538), reply
        [refused] = await ask(session, [FAR])
        assert (refused.code, refused.status) == (550, "5.7.1")


LOGINS = {
    "plain": lambda session: session.auth_plain(USER, PASSWORD),
    "plain-in-two-lines": lambda session: session.auth_plain(USER, PASSWORD, initial=False),
    "login": lambda session: session.auth_login(USER, PASSWORD),
    "login-with-name": lambda session: session.auth_login(USER, PASSWORD, initial=True),
}


@pytest.mark.parametrize("login", LOGINS.values(), ids=LOGINS)
async def test_foo_logs_in_over_tls_and_may_relay(guide: Town, login: object) -> None:
    assert callable(login)
    async with client(guide.port, tls=True) as session:
        assert {"PLAIN", "LOGIN"} <= set(session.capabilities["AUTH"].split())
        assert (await login(session)).code == 235
        [taken] = await ask(session, [FAR])
        assert taken.code == 250


async def test_a_wrong_password_opens_nothing(guide: Town) -> None:
    async with client(guide.port, tls=True) as session:
        for reply in (await session.auth_plain(USER, "wrong"), await session.auth_plain("nobody", PASSWORD)):
            assert (reply.code, reply.status) == (535, "5.7.8")
        [refused] = await ask(session, [FAR])
        assert (refused.code, refused.status) == (550, "5.7.1")


async def test_tls_alone_is_no_login(guide: Town) -> None:
    async with client(guide.port, tls=True) as session:
        [refused] = await ask(session, [FAR])
        assert (refused.code, refused.status) == (550, "5.7.1")


async def test_the_certificate_shown_is_the_one_of_the_file(guide: Town) -> None:
    context = trusting()
    async with client(guide.port) as session:
        await session.starttls(context)
        shown = session.peer_certificate
    assert shown in (guide.relay.folder / "yourcert.pem").read_text()


async def test_the_neighbour_feeds_without_a_login(guide: Town) -> None:
    async with guide.receiver("fed.example") as receiver:
        await send_from(guide.port, "bob@fed.example", source=NEIGHBOUR)
        [message] = await receiver.wait_for(1)
        assert message.recipients == ["bob@fed.example"]
    assert (await guide.row("d", "bob@fed.example"))["vmta"] == "mta2"


ANYBODY = ["bob@some.domain.example", "bounce@bounce.sender1.example", "x@foo.example", "x.y@foobar.example", "postmaster"]
NOBODY = [
    "bob@sub.some.domain.example",
    "some.domain.example@far.example",
    "other@bounce.sender1.example",
    "x@foob.example",
    "x@foo.example.org",
    "x@fooXexample",
]


async def test_these_get_mail_from_anybody(guide: Town) -> None:
    async with client(guide.port, source="127.8.8.8") as session:
        assert [reply.code for reply in await ask(session, ANYBODY)] == [250] * len(ANYBODY)
        assert [(reply.code, reply.status) for reply in await ask(session, NOBODY)] == [(550, "5.7.1")] * len(NOBODY)


async def test_mail_for_the_relay_domain_goes_to_its_mx(guide: Town, receivers_tls: object) -> None:
    async with guide.receiver("some.domain.example", tls=receivers_tls) as receiver:
        await send_from(guide.port, "bob@some.domain.example", source="127.8.8.8")
        [message] = await receiver.wait_for(1)
    assert (message.connection.peer_address, message.connection.helo) == ("127.0.0.10", "mail10.sender1.example")
    assert message.connection.tls.startswith("TLS")
    assert " by mail10.sender1.example " in received(message)
    assert (await guide.row("d", "bob@some.domain.example"))["queue"] == "some.domain.example/{default}"


async def test_mail_for_our_postmaster_goes_to_the_one_named(guide: Town, receivers_tls: object) -> None:
    async with guide.receiver("sender1.example", tls=receivers_tls) as receiver:
        await send_from(guide.port, "postmaster@mail10.sender1.example", source="127.8.8.8")
        [message] = await receiver.wait_for(1)
    assert message.recipients == ["postmaster@sender1.example"]


async def test_a_login_is_written_in_the_received_field(guide: Town) -> None:
    async with guide.receiver("from-foo.example", tls=None) as receiver:
        async with client(guide.port, tls=True) as session:
            await session.auth_plain(USER, PASSWORD)
            await send(session, "bob@from-foo.example", content=b"x-virtual-mta: mta2\r\nSubject: x\r\n\r\nx\r\n")
        [message] = await receiver.wait_for(1)
    assert " with ESMTPSA " in received(message)
    assert PASSWORD.encode() not in message.content
