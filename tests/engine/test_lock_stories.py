"""Stories of guessing: how late refusals come, who is locked, who is not, and that a lock tells a guesser nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.engine.login_talk import Client

from postwright.engine import login_guard
from postwright.engine.admission import ListenerDoor
from postwright.engine.tokens import TokenResult
from postwright.net.visit import PeerFacts
from postwright.policy.settings import ListenerSettings, Rate, UserSettings
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, relay, source

USERS = {name: UserSettings(name, password="secret", source="{in}") for name in ("anna", "bert")}
BAD = "535 5.7.8 authentication failed"
GOOD = "235 2.7.0 authentication succeeded"
HERE, THERE, FAR = "192.0.2.77", "203.0.113.9", "198.51.100.200"
MECHANISMS = ("plain", "login", "cram_md5", "scram", "xoauth2")


class NoTokens:
    """Every token is bad."""

    available = True

    def apply(self, settings: Any) -> None:
        """Nothing to do."""

    async def check(self, user: str, token: str) -> TokenResult:
        return TokenResult(None, "invalid_token")

    async def close(self) -> None:
        """Nothing to do."""


def world_of(shards: int = 1, users: Any = USERS, general: Any = None, **directives: Any) -> World:
    everybody = source(ANYBODY, **{"allow_unencrypted_plain_auth": True, **directives})
    return World(relay(everybody, source("{in}", always_allow_relaying=True), users=users, general=general or {}), shards=shards)


@pytest.fixture
def world() -> Iterator[World]:
    with world_of(shards=2) as found:
        for node in found.nodes:
            node.intake.tokens = NoTokens()  # type: ignore[assignment]
            node.intake.credentials_changed()
        yield found


def guess(world: World, times: int, user: str = "anna", peers: tuple[str, ...] = (HERE,), how: str = "plain") -> list[str]:
    """Each guess in a session of its own, from each address in turn, on each shard in turn."""
    shards = len(world.nodes)
    return [getattr(Client(world, peers[at % len(peers)], at % shards), how)(user, f"guess-{at}") for at in range(times)]


def locked(world: World) -> list[tuple[str, str]]:
    return [lock.key for lock in world.locks.office.locks()]


# -- delays -----------------------------------------------------------------------------------


def test_each_refusal_is_later_than_the_one_before(world: World) -> None:
    client = Client(world)
    times = []
    for at in range(6):
        assert client.plain("anna", f"guess {at}") == BAD
        times.append(round(client.took, 3))
    assert times == [1, 2, 4, 8, 8, 8]
    assert client.plain("anna", "secret") == GOOD  # a right password waits for nothing
    assert client.took < 0.1


def test_the_delay_is_the_sources_to_say() -> None:
    with world_of(auth_failure_delay=3.0) as world:
        client = Client(world)
        assert (client.plain("anna", "x"), round(client.took)) == (BAD, 3)
    with world_of(auth_failure_delay=0.0) as world:
        client = Client(world)
        assert (client.plain("anna", "x"), client.took) == (BAD, 0)


def test_nobody_else_waits(world: World) -> None:
    guesser, other = Client(world), Client(world)
    guesser.send("AUTH PLAIN AGFubmEAeA==")
    assert (other.say("NOOP")[:3], other.took) == ("250", 0)
    assert guesser.answer() == BAD


def test_a_thousand_that_wait_already_are_enough(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    monkeypatch.setattr(login_guard, "HELD_MOST", 2)
    clients = [Client(world, f"198.51.{at}.1") for at in range(3)]
    for at, client in enumerate(clients):
        client.send(f"AUTH PLAIN {['AGEAeA==', 'AGIAeA==', 'AGMAeA=='][at]}")
    assert clients[2].answer() == "421 4.7.0 too many failed logins, try again later"
    assert clients[2].over
    assert [client.answer() for client in clients[:2]] == [BAD, BAD]
    assert world.node.intake.guard.held == 0
    assert clients[0].plain("d", "x") == BAD  # there is room again


def test_who_hangs_up_while_he_waits_makes_room(world: World) -> None:
    client = Client(world)
    client.send("AUTH PLAIN AGFubmEAeA==")
    world.run_until(lambda: world.node.intake.guard.held == 1, 1.0)
    client.wire.close()
    world.run_until(lambda: world.node.intake.guard.held == 0, 0.5)
    world.advance(10)


# -- locks by user ------------------------------------------------------------------------------


@pytest.mark.parametrize("how", MECHANISMS)
def test_every_mechanism_counts_on_whatever_shard(world: World, how: str) -> None:
    peers = tuple(f"198.51.{at}.1" for at in range(10))
    assert guess(world, 9, "Anna", peers, how) == [BAD] * 9
    assert locked(world) == []
    assert guess(world, 1, "anna", (FAR,), how) == [BAD]
    assert locked(world) == [("user", "anna")]
    assert [Client(world, THERE, shard).plain("anna", "secret") for shard in (0, 1)] == [BAD, BAD]
    assert [Client(world, THERE, shard).cram_md5("anna", "secret") for shard in (0, 1)] == [BAD, BAD]
    assert Client(world, THERE).plain("bert", "secret") == GOOD


@pytest.mark.parametrize("how", ["plain", "login", "cram_md5", "scram", "xoauth2"])
def test_locked_unknown_and_wrong_are_answered_alike_and_as_late(how: str) -> None:
    times: dict[str, float] = {}
    for case, user, failures in (("wrong", "anna", 9), ("unknown", "nobody", 9), ("locked", "anna", 10), ("locked unknown", "nobody", 10)):
        with world_of(auth_failures_per_network=None) as world:
            world.node.intake.tokens = NoTokens()  # type: ignore[assignment]
            world.node.intake.credentials_changed()
            guess(world, failures, user)
            assert bool(locked(world)) is case.startswith("locked")
            client = Client(world, THERE)
            assert getattr(client, how)(user, "secret" if "locked" in case else "wrong") == BAD
            times[case] = round(client.took, 6)
    assert set(times.values()) == {8.0}


def test_under_a_lock_no_password_is_judged(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    guess(world, 10)
    judged: list[str] = []
    for node in world.nodes:
        monkeypatch.setattr(node.intake.credentials, "check_password", lambda user, password: judged.append(user))
        monkeypatch.setattr(node.intake.credentials, "secret", judged.append)
    assert guess(world, 4, peers=(THERE,)) == [BAD] * 4
    assert guess(world, 4, peers=(THERE,), how="cram_md5") == [BAD] * 4
    assert judged == []
    assert sum(node.counters.traffic.barred_logins for node in world.nodes) == 8
    assert sum(node.counters.traffic.failed_logins for node in world.nodes) == 18


def test_scram_does_not_sign_for_a_locked_name(world: World) -> None:
    """Our signature would tell that the guess was right, and another salt that the name is locked."""
    login = world.node.intake.factory(world.settings.listeners[0])(PeerFacts(THERE, 40000, "192.0.2.1", 25)).login
    before = world.run(_keys(login))
    guess(world, 10)
    after = world.run(_keys(login))
    assert (before.salt, before.iterations) == (after.salt, after.iterations)
    assert before.stored_key != after.stored_key
    assert before.server_key != after.server_key


async def _keys(login: Any) -> Any:
    found = login.scram_keys("anna", "SHA-256")
    return found if not hasattr(found, "__await__") else await found


def test_a_user_goes_on_from_where_he_is_known(world: World) -> None:
    assert Client(world, HERE).plain("anna", "secret") == GOOD
    guess(world, 10, peers=tuple(f"198.51.{at}.1" for at in range(10)))
    assert locked(world) == [("user", "anna")]
    assert [Client(world, HERE, shard).plain("anna", "secret") for shard in (0, 1)] == [GOOD, GOOD]
    assert Client(world, THERE).plain("anna", "secret") == BAD


def test_a_typing_error_is_forgiven_by_the_login_that_follows(world: World) -> None:
    for _ in range(4):
        assert guess(world, 4) == [BAD] * 4
        assert Client(world).plain("anna", "secret") == GOOD
        world.advance(10)
    assert locked(world) == []


def test_a_lock_ends_by_itself_and_is_told(world: World) -> None:
    guess(world, 10, user="anna\x1b[31m\n")
    world.advance(880)
    assert locked(world) == [("user", "anna\x1b[31m\n")]
    world.advance(30)
    assert Client(world, THERE).plain("anna", "secret") == GOOD
    world.locks.office.tick()
    told = [(line.event, line.fields["who"], line.fields.get("failures")) for line in world.log if "lock" in line.event]
    assert told == [("a lock begins", r"anna\x1b[31m\n", 10), ("a lock is over", r"anna\x1b[31m\n", 10)]
    assert not [line for line in world.log if "guess" in repr(line)]


def test_a_shard_that_dies_forgets_no_lock(world: World) -> None:
    guess(world, 10)
    world.crash(1)
    world.begin(1)
    assert Client(world, THERE, shard=1).plain("anna", "secret") == BAD


def test_release(world: World) -> None:
    guess(world, 10)
    world.locks.office.release("Anna")
    assert [Client(world, THERE, shard).plain("anna", "secret") for shard in (0, 1)] == [GOOD, GOOD]


def test_a_hundred_guesses_at_one_moment_are_not_all_judged(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the keeper of locks has answered, too."""
    judged: list[str] = []
    intake = world.node.intake
    monkeypatch.setattr(intake.credentials, "check_password", lambda user, password: judged.append(password))
    answers: list[Any] = []
    monkeypatch.setattr(world.locks, "failed", lambda failure, then: answers.append(then))
    clients = [Client(world, f"198.51.{at}.1") for at in range(100)]
    for client in clients:
        client.send("AUTH PLAIN AGFubmEAeA==")
    world.advance(10)
    assert (len(judged), len(answers)) == (10, 100)
    for then in answers:
        then(0.0)
    assert {client.answer() for client in clients} == {BAD}


def test_who_goes_on_at_a_locked_name_locks_his_network(world: World) -> None:
    assert guess(world, 20) == [BAD] * 20
    assert locked(world) == [("user", "anna"), ("network", HERE)]


# -- locks by network ------------------------------------------------------------------------------


def door(world: World) -> ListenerDoor:
    return world.node.intake.door(ListenerSettings("192.0.2.1", 25))


def test_a_network_that_tries_many_names_is_turned_away_at_the_door(world: World) -> None:
    for at in range(20):
        assert not door(world).barred(HERE)
        assert Client(world, HERE, at % 2).plain(f"user{at}", "x") == BAD
    assert locked(world) == [("network", HERE)]
    assert door(world).barred(HERE)
    assert not door(world).barred("192.0.2.78")
    assert Client(world, HERE).plain("anna", "secret") == BAD  # a session that was there before
    assert Client(world, "192.0.2.78").plain("anna", "secret") == GOOD
    world.locks.office.release(HERE)
    assert not door(world).barred(HERE)


def test_who_may_relay_without_a_login_loses_his_logins_but_not_his_mail() -> None:
    with world_of(always_allow_relaying=True, auth_failures_per_network=2) as world:
        guess(world, 2)
        assert locked(world) == [("network", HERE)]
        assert not door(world).barred(HERE)
        assert Client(world).plain("anna", "secret") == BAD
        assert world.submit("me@sender.example", ["you@example.com"]).accepted


def test_the_rate_of_powermta_locks_from_the_first_failure_on() -> None:
    rate = Rate(3, 3600.0)
    with world_of(smtp_max_auth_failure_rate=rate, require_auth=True, auth_failure_delay=0.0, auth_failures_per_network=None) as world:
        guess(world, 1)
        world.advance(3000)
        guess(world, 2, "bert")
        (lock,) = world.locks.office.locks()
        assert (lock.key, lock.why, round(lock.until - lock.since)) == (("network", HERE), "smtp-max-auth-failure-rate", 600)
        assert door(world).barred(HERE)
        world.advance(601)
        assert not door(world).barred(HERE)
    with world_of(smtp_max_auth_failure_rate=rate, auth_failures_per_network=None) as world:
        guess(world, 5)
        assert locked(world) == []  # it wants require-auth


def test_settings_count_from_the_next_failure_on() -> None:
    with world_of(general={"auth_failures_per_user": None}) as world:
        guess(world, 12)
        assert locked(world) == []
        everybody = source(ANYBODY, allow_unencrypted_plain_auth=True)
        world.reload(relay(everybody, users=USERS, general={"auth_failures_per_user": 3, "auth_lock_time": 60.0}))
        guess(world, 3, "bert")
        (lock,) = world.locks.office.locks()
        assert (lock.who, lock.until - lock.since) == ("bert", 60.0)


def test_a_flood_of_locks_does_not_flood_the_log() -> None:
    with world_of(general={"auth_failures_per_user": 1}, auth_failures_per_network=None, auth_failure_delay=0.0) as world:
        for at in range(100):
            guess(world, 1, f"user{at}")
        assert len(locked(world)) == 100
        assert len([line for line in world.log if line.event == "a lock begins"]) == 30
