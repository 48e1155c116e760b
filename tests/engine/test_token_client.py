"""Tokens that we log in with: one fetch for all, renewed in time, fetched anew when refused, and what a failing server may and may not say.

The token endpoint is a real HTTP server on loopback; time is the test's. Takes a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import encode_basic_auth, web
from msgspec.structs import replace
from structlog.testing import capture_logs

from postwright.engine.receiver_logins import ReceiverLogins
from postwright.engine.token_client import ASK_AGAIN, LONGEST, TokenClient, TokenUnavailable
from postwright.model.outcome import Failure, Fault, Stage
from postwright.model.reply import Reply
from postwright.model.route import Login, Route, SessionOptions, SourceHost
from postwright.net.channel import Channel
from postwright.net.onlooker import Onlooker
from postwright.policy.oauth_client import OauthClient
from postwright.testing.fake_clock import FakeClock

REFUSED = Failure(Stage.AUTH, Reply(535, "5.7.8", ("no",)))
ROUTE = Route("mx.example", "127.0.0.1", 587, SourceHost("", "client.example"))
SECRET = "s3cret-of-ours"


class Endpoint:
    """`answers` in turn, the last one for good: a document, a status with a document, or octets."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.forms: list[dict[str, str]] = []
        self.basic: list[str | None] = []
        self.hold: asyncio.Event | None = None
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.forms.append({name: str(value) for name, value in (await request.post()).items()})
        self.basic.append(request.headers.get("Authorization"))
        if self.hold is not None:
            await self.hold.wait()
        said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        status, said = said if isinstance(said, tuple) else (200, said)
        return web.Response(body=said, status=status) if isinstance(said, bytes) else web.json_response(said, status=status)


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    found = Endpoint()
    app = web.Application()
    app.add_routes([web.post("/token", found.answer)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/token"
    yield found
    await runner.cleanup()


class Place:
    """A client of the endpoint, with a clock of the test's."""

    def __init__(self, endpoint: Endpoint, **settings: Any) -> None:
        self.clock = FakeClock()
        self.endpoint = endpoint
        given = {"client_id": "relay", "client_secret": SECRET, **settings}
        self.settings = OauthClient("corp", endpoint.url, **given)
        self.client = TokenClient(self.settings, self.clock, structlog.get_logger())

    async def trouble(self) -> str:
        with pytest.raises(TokenUnavailable) as caught:
            await self.client.token()
        return str(caught.value)


@pytest.fixture
async def place(endpoint: Endpoint) -> AsyncIterator[Place]:
    made = Place(endpoint)
    yield made
    await made.client.close()


def granted(token: str, **more: object) -> dict[str, object]:
    return {"access_token": token, "token_type": "Bearer", "expires_in": 3600, **more}


# -- fetching ---------------------------------------------------------------------------------------


async def test_one_fetch_for_all_who_wait(place: Place) -> None:
    place.endpoint.answers = [granted("one")]
    place.endpoint.hold = asyncio.Event()
    waiting = [asyncio.ensure_future(place.client.token()) for _ in range(50)]
    await asyncio.sleep(0)
    place.endpoint.hold.set()
    assert set(await asyncio.gather(*waiting)) == {"one"}
    assert await place.client.token() == "one"
    [form] = place.endpoint.forms
    assert form == {"grant_type": "client_credentials", "client_id": "relay", "client_secret": SECRET}


async def test_renewed_before_its_end_without_anybody_waiting(place: Place) -> None:
    place.endpoint.answers = [granted("one"), granted("two")]
    await place.client.token()
    await place.clock.advance(3600 - 61)
    assert await place.client.token() == "one"
    assert len(place.endpoint.forms) == 1
    await place.clock.advance(2)
    assert await place.client.token() == "one", "still good: nobody waits for the next"
    async with asyncio.timeout(10):
        while await place.client.token() == "one":  # noqa: ASYNC110  # the client's own doing
            await asyncio.sleep(0)
    assert await place.client.token() == "two"
    assert len(place.endpoint.forms) == 2


async def test_a_server_that_is_down_when_it_is_to_be_renewed(place: Place) -> None:
    place.endpoint.answers = [granted("one"), (503, b"")]
    await place.client.token()
    await place.clock.advance(3600 - 30)
    assert await place.client.token() == "one"
    await place.clock.advance(31)
    assert "answers 503" in await place.trouble(), "it has ended, and there is no other"


@pytest.mark.parametrize(("said", "lasts"), [("3600", 3600), (None, 300), ("soon", 300), (-1, 300), (1e300, 300), (20, 20)])
async def test_how_long_it_lasts(place: Place, said: object, lasts: float) -> None:
    place.endpoint.answers = [granted("one", expires_in=said), granted("two")]
    await place.client.token()
    await place.clock.advance(lasts * 0.4)
    assert await place.client.token() == "one"
    await place.clock.advance(lasts * 0.6 + 1)
    assert await place.client.token() == "two"


async def test_a_refresh_token_that_is_replaced(endpoint: Endpoint) -> None:
    place = Place(endpoint, refresh_token="first", scope="mail")
    endpoint.answers = [granted("one", refresh_token="second"), granted("two")]
    await place.client.token()
    await place.clock.advance(3601)
    assert await place.client.token() == "two"
    assert [(form["grant_type"], form["refresh_token"], form["scope"]) for form in endpoint.forms] == [
        ("refresh_token", "first", "mail"),
        ("refresh_token", "second", "mail"),
    ]
    await place.client.close()


async def test_name_and_password_by_basic(endpoint: Endpoint) -> None:
    """RFC 6749 section 2.3.1: each in the form of a form first."""
    place = Place(endpoint, client_authentication="basic", client_secret="p/w:%")
    endpoint.answers = [granted("one")]
    await place.client.token()
    assert endpoint.forms == [{"grant_type": "client_credentials"}]
    assert endpoint.basic == [encode_basic_auth("relay", "p%2Fw%3A%25")]
    await place.client.close()


# -- what goes wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            (401, {"error": "invalid_client", "error_description": f"AADSTS7000215: wrong: {SECRET}"}),
            "401 invalid_client (AADSTS7000215): cl",
        ),
        ((400, {"error": "invalid_grant"}), "400 invalid_grant: the refresh token is no good any more"),
        ((400, {"error": f"{SECRET} is wrong"}), "answers 400"),
        ((500, b"<html>oops</html>"), "answers 500, and nothing that could be understood"),
        (b"\xff\xfe", "answers 200, and nothing that could be understood"),
        ({"access_token": 7}, "nothing that could be understood"),
        ({}, "what is there is no token"),
        (granted("two words"), "what is there is no token"),
        (granted("line\r\nbreak"), "what is there is no token"),
        (granted("x" * (LONGEST + 1)), "what is there is no token"),
        (granted("one", token_type="mac"), "another kind of token"),
        (b"x" * 2_000_000, "its server cannot be asked: the answer is longer"),
    ],
)
async def test_answers_that_are_no_token(place: Place, answer: Any, told: str) -> None:
    place.endpoint.answers = [answer]
    with capture_logs() as log:
        trouble = await place.trouble()
    assert trouble.startswith("no token from <oauth-client corp>: ")
    assert told in trouble
    assert SECRET not in trouble + repr(log)
    [event] = log
    assert (event["event"], event["reason"]) == ("no token to log in with", trouble)


async def test_a_server_that_fails_is_left_alone_for_a_while_and_told_once(place: Place) -> None:
    place.endpoint.answers = [(503, {"error": "temporarily_unavailable"}), (503, {"error": "temporarily_unavailable"}), granted("one")]
    with capture_logs() as log:
        first = await place.trouble()
        assert [await place.trouble() for _ in range(20)] == [first] * 20
        assert len(place.endpoint.forms) == 1
        await place.clock.advance(ASK_AGAIN + 1)
        assert await place.trouble() == first
        await place.clock.advance(ASK_AGAIN + 1)
        assert await place.client.token() == "one"
    assert len(place.endpoint.forms) == 3
    assert len(log) == 1


async def test_nobody_there(endpoint: Endpoint) -> None:
    place = Place(endpoint)
    place.client.settings = replace(place.settings, token_url="http://127.0.0.1:1/token")
    assert "its server cannot be asked" in await place.trouble()
    await place.client.close()


# -- tokens that somebody else gives ----------------------------------------------------------------


async def test_a_file_is_read_again(tmp_path: Path) -> None:
    clock, file = FakeClock(), tmp_path / "token"
    client = TokenClient(OauthClient("corp", token_file=str(file)), clock, structlog.get_logger())
    with pytest.raises(TokenUnavailable, match="token: No such file"):
        await client.token()
    await clock.advance(ASK_AGAIN + 1)
    file.write_text("ya29.one\n")
    assert await client.token() == "ya29.one"
    file.write_text("ya29.two")
    assert await client.token() == "ya29.one"
    client.accepted("ya29.one")
    assert client.refused("ya29.one"), "there may be a newer one"
    assert await client.token() == "ya29.two"
    await client.close()


async def test_a_token_as_it_stands_has_no_newer_one() -> None:
    client = TokenClient(OauthClient("corp", access_token="ya29.one"), FakeClock(), structlog.get_logger())
    assert await client.token() == "ya29.one"
    client.accepted("ya29.one")
    assert not client.refused("ya29.one")
    assert "ya29" not in repr(client._held)


# -- and the dialer ---------------------------------------------------------------------------------


class Dials:
    """A dialer whose receiver takes the tokens in `good`."""

    def __init__(self, *good: str) -> None:
        self.good = set(good)
        self.tokens: list[str] = []

    async def open(self, route: Route, options: SessionOptions, watch: Onlooker | None = None) -> Channel | Failure:
        assert options.login is not None
        self.tokens.append(options.login.token)
        return object.__new__(Channel) if options.login.token in self.good else REFUSED


BY_TOKEN = SessionOptions(login=Login("anna", client="Corp"))


@pytest.fixture
async def logins(place: Place) -> AsyncIterator[ReceiverLogins]:
    made = ReceiverLogins(place.clock, structlog.get_logger())
    made.apply({"corp": place.settings})
    yield made
    await made.close()


async def open_(logins: ReceiverLogins, dials: Dials, options: SessionOptions = BY_TOKEN) -> Channel | Failure:
    return await logins.open(dials, ROUTE, options)  # type: ignore[arg-type]


async def test_a_token_that_has_worked_and_is_refused_is_replaced_once(place: Place, logins: ReceiverLogins) -> None:
    place.endpoint.answers = [granted("one"), granted("two"), granted("three")]
    dials = Dials("one")
    assert isinstance(await open_(logins, dials), Channel)
    dials.good = {"two"}
    assert isinstance(await open_(logins, dials), Channel)
    assert dials.tokens == ["one", "one", "two"]
    dials.good = set()
    assert await open_(logins, dials) is REFUSED
    assert dials.tokens[3:] == ["two", "three"], "a new one, and no third try"
    assert await open_(logins, dials) is REFUSED
    assert dials.tokens[5:] == ["three"], "which has never worked: a newer one would not either"


async def test_many_who_are_refused_at_once_fetch_one_token(place: Place, logins: ReceiverLogins) -> None:
    place.endpoint.answers = [granted("one"), granted("two")]
    dials = Dials("one")
    await open_(logins, dials)
    dials.good = {"two"}
    outcomes = await asyncio.gather(*[open_(logins, dials) for _ in range(20)])
    assert all(isinstance(outcome, Channel) for outcome in outcomes)
    assert len(place.endpoint.forms) == 2


async def test_no_token_is_a_failure_at_auth_and_nobody_is_called(place: Place, logins: ReceiverLogins) -> None:
    place.endpoint.answers = [(503, b"")]
    dials = Dials()
    failure = await open_(logins, dials)
    assert isinstance(failure, Failure)
    assert (failure.stage, failure.fault, failure.reply) == (Stage.AUTH, Fault.LOCAL, None)
    assert "<oauth-client corp>" in failure.detail
    assert dials.tokens == []
    logins.apply({})
    failure = await open_(logins, dials)
    assert isinstance(failure, Failure)
    assert failure.detail == "there is no <oauth-client Corp> any more"


async def test_a_reload_keeps_the_tokens_of_who_has_not_changed(place: Place, logins: ReceiverLogins) -> None:
    place.endpoint.answers = [granted("one"), granted("two")]
    dials = Dials("one", "two")
    await open_(logins, dials)
    logins.apply({"corp": replace(place.settings)})
    await open_(logins, dials)
    logins.apply({"corp": replace(place.settings, scope="other")})
    await open_(logins, dials)
    assert dials.tokens == ["one", "one", "two"]


async def test_logins_without_a_token_are_the_dialers_own(logins: ReceiverLogins) -> None:
    dials = Dials("")
    assert isinstance(await open_(logins, dials, SessionOptions(login=Login("anna", "secret"))), Channel)
    assert dials.tokens == [""]
