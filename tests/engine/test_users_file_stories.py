"""A users file in a whole relay with simulated time: what its `source` makes of a user, what a changed file does to those who are there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from postwright.engine import password_hash, users_file
from postwright.engine.credentials import LOOK
from postwright.engine.users_file import UserEntry
from postwright.engine.visitor import Visitor
from postwright.model.address import parse_mailbox
from postwright.model.credentials import ScramKeys
from postwright.net.visit import PeerFacts
from postwright.policy.settings import ListenerSettings, Origin, UserSettings
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, relay, source
from postwright.wire.events import MailFrom, RcptTo
from postwright.wire.scram import derive_keys

LISTENER = ListenerSettings("192.0.2.1", 25)
SALT = bytes(16)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(password_hash, "ARGON2ID", "$argon2id$v=19$m=8,t=1,p=1")
    return tmp_path / "users"


@pytest.fixture
def world(file: Path) -> Iterator[World]:
    """Whoever logs in may relay; `mailings` may not send more than 1,000 octets."""
    put(file, "alice", "wonderland", source="mailings")
    everybody = source(ANYBODY, require_auth=True, allow_unencrypted_plain_auth=True)
    small = source("{mailings}", max_message_size=1000)
    made = World(relay(everybody, small, general={"users_file": (str(file),)}))
    yield made
    made.close()


def put(file: Path, name: str, password: str, **more: Any) -> None:
    if "source" in more:
        more["source"] = f"{{{more['source']}}}"
    keys = {hash: derive_keys(password, SALT, 4096, hash) for hash in ("SHA-1", "SHA-256")}
    with users_file.editing(file) as draft:
        draft.put(UserEntry(name, password_hash.make(password, SALT), keys, **more))


def visitor(world: World) -> Visitor:
    return Visitor(world.node.intake, LISTENER, PeerFacts("192.0.2.77", 40000, "192.0.2.1", 25))


def login(world: World, someone: Visitor, user: str, password: str) -> int:
    """The reply's code."""

    async def ask() -> Any:
        answer = someone.login.check_password(user, password)
        return await answer if asyncio.isfuture(answer) else answer

    return world.run(ask()).code  # type: ignore[no-any-return]


def mail(someone: Visitor, size: int) -> int:
    return someone.mail(MailFrom(parse_mailbox("a@sender.example"), size=size)).code  # type: ignore[union-attr]


def rcpt(someone: Visitor) -> int:
    return someone.rcpt(RcptTo(parse_mailbox("b@elsewhere.example"))).code  # type: ignore[union-attr]


def test_the_source_of_a_line_holds_for_its_user(world: World) -> None:
    stranger, alice = visitor(world), visitor(world)
    assert (mail(stranger, 2000), rcpt(stranger)) == (250, 550)
    assert login(world, alice, "ALICE", "wonderland") == 235
    assert mail(alice, 2000) == 552
    assert (mail(alice, 500), rcpt(alice)) == (250, 250)


def test_a_changed_file_counts_for_the_next_login_and_leaves_others_alone(world: World, file: Path) -> None:
    put(file, "carol", "christmas")
    world.advance(LOOK + 0.1)
    alice, carol = visitor(world), visitor(world)
    assert login(world, alice, "alice", "wonderland") == 235
    assert login(world, carol, "carol", "christmas") == 235
    assert login(world, visitor(world), "bob", "builder") == 535
    put(file, "bob", "builder")
    put(file, "alice", "wonderland", disabled=True)
    assert login(world, visitor(world), "bob", "builder") == 535  # nobody has looked yet
    world.advance(LOOK + 0.1)
    bob = visitor(world)
    assert login(world, bob, "bob", "builder") == 235
    assert (mail(bob, 2000), rcpt(bob)) == (250, 250)
    assert login(world, visitor(world), "alice", "wonderland") == 535
    assert (mail(carol, 500), rcpt(carol)) == (250, 250)


def test_who_is_disabled_removed_or_has_another_password_is_sent_for_no_longer(world: World, file: Path) -> None:
    def remove() -> None:
        with users_file.editing(file) as draft:
            draft.remove("alice")

    changes = (lambda: put(file, "alice", "wonderland", disabled=True), lambda: put(file, "alice", "otherland"), remove)
    for change in changes:
        put(file, "alice", "wonderland")
        world.advance(LOOK + 0.1)
        alice = visitor(world)
        assert login(world, alice, "alice", "wonderland") == 235
        assert (mail(alice, 500), rcpt(alice)) == (250, 250)
        change()
        assert mail(alice, 500) == 250  # nobody has looked yet
        world.advance(LOOK + 0.1)
        assert [mail(alice, 500) for _ in range(2)] == [421, 421]


def test_scram_tells_nobody_who_was_disabled(world: World, file: Path) -> None:
    """The same salt as before, and keys that the right password does not prove."""

    def keys() -> ScramKeys:
        found = visitor(world).login.scram_keys("alice", "SHA-256")
        assert isinstance(found, ScramKeys)
        return found

    before = keys()
    put(file, "alice", "wonderland", disabled=True)
    world.advance(LOOK + 0.1)
    after = keys()
    assert (after.salt, after.iterations) == (before.salt, before.iterations)
    assert after.stored_key != before.stored_key
    assert after.server_key != before.server_key


def test_a_user_of_the_configuration_who_is_changed_logs_in_anew(world: World) -> None:
    def users(line: int, source: str = "") -> dict[str, UserSettings]:
        origin = Origin("config", line)
        return {"dora": UserSettings("dora", "secret", source=source, origin=origin), "emil": UserSettings("emil", "secret", origin=origin)}

    world.reload(replace(world.settings, users=users(1)))
    dora, emil = visitor(world), visitor(world)
    assert [login(world, one, name, "secret") for one, name in ((dora, "dora"), (emil, "emil"))] == [235, 235]
    world.reload(replace(world.settings, users=users(7)))  # lines have moved, and nothing else
    assert (mail(dora, 500), mail(emil, 500)) == (250, 250)
    world.reload(replace(world.settings, users=users(7, source="{mailings}")))
    assert (mail(dora, 500), mail(emil, 500)) == (421, 250)


def test_what_auth_offers_follows_the_file(world: World, file: Path) -> None:
    with_keys = ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN")
    assert visitor(world).options().auth == with_keys
    with users_file.editing(file) as draft:
        draft.put(UserEntry("bob", password_hash.make("builder", SALT)))
    world.advance(LOOK + 0.1)
    assert visitor(world).options().auth == ("PLAIN", "LOGIN")
    with users_file.editing(file) as draft:
        draft.remove("bob")
    world.advance(LOOK + 0.1)
    assert visitor(world).options().auth == with_keys
    with users_file.editing(file) as draft:
        draft.remove("alice")
    world.advance(LOOK + 0.1)
    assert visitor(world).options().auth == ()


def test_a_broken_file_is_told_once_and_nobody_is_locked_out(world: World, file: Path) -> None:
    file.write_text("postwright-users 1\nalice pasword=x\n")
    world.advance(10 * LOOK)
    told = [line for line in world.log if "users file" in str(line)]
    assert len(told) == 1
    assert "unknown field" in str(told[0])
    assert login(world, visitor(world), "alice", "wonderland") == 235
