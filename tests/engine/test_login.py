"""Who a session is: the answers to AUTH out of stores that know, do not know, answer later or fail; and what is offered to whom."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from postwright.engine import login
from postwright.engine.counters import Counters
from postwright.engine.login import Login
from postwright.engine.login_guard import LoginGuard, OwnOffice
from postwright.engine.visitor import Visitor
from postwright.model.credentials import SCRAM_ITERATIONS, Exchanged, ScramKeys
from postwright.net.clock import SystemClock
from postwright.net.visit import PeerFacts
from postwright.policy import passwords
from postwright.policy.settings import ListenerSettings, Settings, SourceSettings, UserSettings
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, relay, source

ANNA = UserSettings("Anna", source="{anna}")
KEYS = ScramKeys(b"salt", 4096, b"s", b"k")
AT_ONCE = SourceSettings(auth_failure_delay=0.0)
PEER = PeerFacts("192.0.2.77", 40000, "192.0.2.1", 25)


class Stores:
    """Knows Anna, by every kind of proof."""

    def check_password(self, user: str, password: str) -> Any:
        return ANNA if (user, password) == ("anna", "secret") else None

    def secret(self, user: str) -> Any:
        return "secret" if user == "anna" else None

    def scram_keys(self, user: str, hash: str) -> Any:
        return KEYS if user == "anna" else None

    def find(self, user: str) -> Any:
        return ANNA if user == "anna" else None

    def certificate_user(self, certificate: bytes) -> Any:
        return ANNA if certificate == b"anna's" else None


class Late(Stores):
    """The same, by Futures."""

    def __getattribute__(self, name: str) -> Any:
        def later(*arguments: Any) -> asyncio.Future[Any]:
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(lambda: future.cancelled() or future.set_result(getattr(Stores, name)(self, *arguments)))
            return future

        return later


@pytest.fixture(params=[Stores, Late])
async def host(request: pytest.FixtureRequest) -> Any:
    return host_of(request.param())


def host_of(stores: Stores) -> Any:
    guard = LoginGuard(SystemClock())
    guard.keep(OwnOffice(time.time, None))
    more = {"counters": Counters(), "login_secret": b"k" * 32, "guard": guard, "now": 0.0}
    return SimpleNamespace(credentials=stores, tokens=None, acceptors=None, **more)


class Session:
    """A login, and who it has become."""

    def __init__(self, host: Any, certificate: bytes = b"") -> None:
        self.became: list[UserSettings] = []
        peer = PeerFacts("192.0.2.77", 40000, "192.0.2.1", 25, "TLSv1.3", certificate=certificate)
        self.login = Login(host, peer, AT_ONCE, self.became.append)


async def code(answer: Any) -> int:
    reply = await answer if asyncio.isfuture(answer) else answer
    return int(reply.code)


async def test_a_password(host: Any) -> None:
    session = Session(host)
    for user, password in [("anna", "wrong"), ("nobody", "secret")]:
        assert await code(session.login.check_password(user, password)) == 535
    assert session.became == []
    assert host.counters.traffic.rejected == 2
    assert await code(session.login.check_password("anna", "secret")) == 235
    assert session.became == [ANNA]


async def test_a_mechanism_that_proves_by_itself(host: Any) -> None:
    session = Session(host)
    assert await code(session.login.authenticated("anna", "CRAM-MD5", False)) == 535
    assert await code(session.login.authenticated("nobody", "GSSAPI", True)) == 535  # proved to be somebody who is not ours
    assert session.became == []
    assert await code(session.login.authenticated("anna", "GSSAPI", True)) == 235
    assert session.became == [ANNA]


async def test_there_are_scram_keys_for_everybody(host: Any) -> None:
    async def keys(user: str) -> ScramKeys:
        found = Session(host).login.scram_keys(user, "SHA-256")
        return await found if isinstance(found, asyncio.Future) else found

    assert await keys("anna") == KEYS
    nobody = await keys("nobody")
    assert nobody.iterations == SCRAM_ITERATIONS
    assert nobody == await keys("nobody")
    assert nobody != await keys("otto")


@pytest.mark.parametrize(
    ("certificate", "identity", "expected"),
    [
        (b"anna's", "", 235),
        (b"anna's", "ANNA", 235),
        (b"anna's", "boss", 535),
        (b"another", "", 535),
        (b"another", "anna", 535),
        (b"", "", 535),
    ],
)
async def test_a_certificate_proves_one_user(host: Any, certificate: bytes, identity: str, expected: int) -> None:
    session = Session(host, certificate)
    assert await code(session.login.check_certificate(identity)) == expected
    assert session.became == ([ANNA] if expected == 235 else [])


async def test_octets_for_an_acceptor(host: Any) -> None:
    said: list[Any] = []
    done: asyncio.Future[Exchanged] = asyncio.get_running_loop().create_future()
    host.acceptors = SimpleNamespace(exchange=lambda *asked: said.append(asked) or done, over=said.append)
    login = Session(host).login
    assert login.exchange("NTLM", "1", b"x") is done
    login.exchange_over("1")
    assert said == [("NTLM", "1", b"x"), "1"]


async def test_without_an_acceptor_there_is_no_exchange(host: Any) -> None:
    login = Session(host).login
    with pytest.raises(RuntimeError):
        login.exchange("NTLM", "1", b"x")
    login.exchange_over("1")


async def test_a_store_that_fails_is_no_wrong_password(host: Any) -> None:
    def fails(*_: Any) -> Any:
        raise OSError("the directory is down")

    host.credentials = SimpleNamespace(check_password=fails, find=fails)
    session = Session(host)
    with pytest.raises(OSError):
        session.login.check_password("anna", "secret")
    with pytest.raises(OSError):
        session.login.authenticated("anna", "CRAM-MD5", True)
    assert host.counters.traffic.rejected == 0


async def test_who_hangs_up_does_not_log_in() -> None:
    session = Session(host_of(Late()))
    answer: Any = session.login.check_password("anna", "secret")
    answer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answer
    assert session.became == []


# what is offered -----------------------------------------------------------------------------------------------------


@pytest.fixture
def offered() -> Iterator[Any]:
    """`offered(settings, peer)`: the mechanisms of a visitor of a relay with those settings."""
    worlds: list[World] = []

    def ask(settings: Settings, peer: PeerFacts = PEER) -> tuple[str, ...]:
        world = World(settings)
        worlds.append(world)
        return Visitor(world.node.intake, ListenerSettings("192.0.2.1", 25), peer).options().auth

    yield ask
    for world in worlds:
        world.close()


TLS = PeerFacts("192.0.2.77", 40000, "192.0.2.1", 25, "TLSv1.3", channel=("tls-exporter",))


def test_strangers_hear_our_name_and_not_our_address() -> None:
    world = World(users())
    try:
        assert Visitor(world.node.intake, ListenerSettings("192.0.2.1", 25), PEER).login.host == "relay.example"
    finally:
        world.close()


def users(*sources: Any) -> Settings:
    return relay(*sources, users={"foo": UserSettings("foo", password="barbaz")})


def test_a_channel_binding_brings_the_plus_forms(offered: Any) -> None:
    assert offered(users(), TLS)[:2] == ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS")
    assert offered(users()) == ("SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5")


def test_auth_mechanisms_of_a_source(offered: Any) -> None:
    narrow = users(
        source(ANYBODY, auth_mechanisms=("PLAIN", "SCRAM-SHA-256", "NTLM")), source("192.0.2.77/32", auth_mechanisms=("CRAM-MD5",))
    )
    assert offered(narrow, PeerFacts("192.0.2.78", 1, "192.0.2.1", 25, "TLSv1.3")) == ("SCRAM-SHA-256", "PLAIN")
    assert offered(narrow) == ("CRAM-MD5",)


@pytest.mark.parametrize("user", ["foo", "nobody"])
def test_as_much_is_computed_for_a_stranger_as_for_a_typing_error(user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    digests: list[str] = []
    made_up: list[str] = []
    monkeypatch.setattr(passwords, "_digest", lambda text: digests.append(text) or text.encode())
    monkeypatch.setattr(login, "made_up_keys", lambda _, name, hash: made_up.append(name))
    world = World(users())
    try:
        visitor = Visitor(world.node.intake, ListenerSettings("192.0.2.1", 25), TLS)
        visitor.login.check_password(user, "wrong")
        visitor.login.scram_keys(user, "SHA-256")
    finally:
        world.close()
    assert (len(digests), made_up) == (2, [user])
