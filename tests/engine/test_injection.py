"""Handing in mail over a shard's socket: many at once, each with its own answer; keys; a shard that is not there."""

from __future__ import annotations

import asyncio
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from postwright.engine import injection_client
from postwright.engine.claims import Claims
from postwright.engine.holding import PATIENCE
from postwright.engine.injection import Injection, socket_path
from postwright.engine.injection_client import InjectionClient, Unreachable
from postwright.engine.injection_frames import Inject, Injected
from postwright.engine.injector import API
from postwright.engine.intake import Intake
from postwright.model.errors import LoginUnavailable, SpoolFull
from postwright.policy.settings import UserSettings
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, relay, source, vmta

ME, YOU = "me@sender.example", "you@example.com"


def script(*recipients: str, head: bytes = b"", sender: str = ME) -> bytes:
    content = head + b"Subject: s\r\n\r\nbody\r\n"
    lines = [f"MAIL FROM:<{sender}>", *[f"RCPT TO:<{one}>" for one in recipients], f"BDAT {len(content)} LAST", ""]
    return "\r\n".join(lines).encode() + content


def ask(*recipients: str, **more: object) -> Inject:
    head, sender = more.pop("head", b""), more.pop("sender", ME)
    return Inject(0, script(*recipients, head=head, sender=sender), API, name="api", **more)  # type: ignore[arg-type]


@pytest.fixture
def world() -> Iterator[World]:
    settings = relay(source(ANYBODY, always_allow_relaying=False), source(API), vmta("fast", "192.0.2.9"))
    with World(settings) as made:
        yield made


def take(world: World, *asked: Inject) -> list[Injected]:
    injection = Injection(world.node.intake, world.node.placing.claims)

    async def all_of_them() -> list[Injected]:
        return list(await asyncio.gather(*[injection.once(one, None) if one.key else injection.take(one) for one in asked]))

    return world.run(all_of_them())  # type: ignore[no-any-return]


def test_each_recipient_has_its_own_answer(world: World) -> None:
    mx = world.domain("example.com")
    [told] = take(world, ask("you@example.com", "no one", "them@example.com"))
    assert (told.code, told.recipients) == (250, 3)
    assert [(one.index, one.code, one.status) for one in told.refused] == [(1, 501, "5.5.4")]
    world.run_until_empty()
    assert mx.recipients == ["you@example.com", "them@example.com"]
    assert {(record.src_type, record.src_mta) for record in world.of("r")} == {("api", "api")}
    assert world.of("r")[0].message_id == world.of("d")[0].message_id


def test_what_is_said_of_a_message_counts_whatever_the_source_says(world: World) -> None:
    world.domain("example.com")
    take(world, ask(YOU, head=b"x-virtual-mta: fast\r\nx-job: 17\r\nx-envid: e1\r\n"))
    world.run_until_empty()
    [receipt] = world.of("r")
    assert (receipt.vmta, receipt.job_id, receipt.env_id) == ("fast", "17", "e1")
    [refused] = take(world, ask(YOU, head=b"x-virtual-mta: unknown\r\n"))
    assert refused.code == 550


def test_nothing_is_kept_of_what_the_disk_did_not_take(world: World) -> None:
    world.node.spool.fail_next = [SpoolFull("too little")]  # type: ignore[attr-defined]
    [told] = take(world, ask(YOU, key="k"))
    assert (told.code, told.status, told.id) == (452, "4.3.1", "")
    assert world.node.intake.submissions.held == 0
    [again] = take(world, ask(YOU, key="k"))  # the key is not used up
    assert again.code == 250


def test_a_key_makes_one_message_whoever_dies(world: World) -> None:
    first, second = take(world, ask(YOU, key="k"), ask(YOU, key="k"))
    assert first.id == second.id
    [third] = take(world, ask(YOU, key="k"))
    assert (third.id, third.again) == (first.id, True)
    world.crash()
    world.begin()
    [fourth] = take(world, ask(YOU, key="k"))
    assert (fourth.id, fourth.again) == (first.id, True)
    assert len(world.of("r")) == 1


def test_the_message_of_a_key_is_delivered_when_its_answer_is_kept(world: World) -> None:
    mx = world.domain("example.com")
    injection = Injection(world.node.intake, world.node.placing.claims)
    endings: dict[str, Callable[[], None]] = {
        "a": lambda: injection._held.release("a"),
        "b": lambda: injection._held.gone("link b"),
        "c": lambda: world.advance(PATIENCE),
    }
    for key, ending in endings.items():
        before = len(mx.messages)
        world.run(injection.once(ask(YOU, key=key), f"link {key}"))
        injection._held.gone("another link")
        world.advance(PATIENCE / 2)
        assert len(mx.messages) == before
        ending()
        world.run_until(lambda before=before: len(mx.messages) == before + 1, within=1.0)  # type: ignore[misc]


def test_a_users_rights_are_those_of_his_sessions() -> None:
    anne = UserSettings("anne", sender=("[*.]anne.example",), daily_limit=2)
    with World(relay(source(ANYBODY), source("{auth}", process_x_job=True), users={"anne": anne})) as world:
        [foreign] = take(world, ask(YOU, user="anne"))
        assert (foreign.code, foreign.status) == (550, "5.7.1")
        told = take(world, *[ask(YOU, user="anne", sender="a@anne.example") for _ in range(3)])
        assert [one.code == 250 for one in told] == [True, True, False]
        [gone] = take(world, ask(YOU, user="nobody"))
        assert gone.text == "there is no such user any more"
        assert world.of("r")[0].rcv_smtp_user == "anne"


@pytest.mark.parametrize("key", ["", "k"])
def test_the_sender_rules_of_its_source_hold_with_a_key_too(key: str) -> None:
    with World(relay(source(ANYBODY), source(API, sender_rules="refuse"))) as world:
        [told] = take(world, ask(YOU, key=key))
        assert (told.code, told.status, told.text.partition(":")[0]) == (550, "5.6.0", "from")
        assert not list(world.node.spool.live())


def test_nobody_is_taken_and_a_user_cannot_be_asked_about(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    [nobody] = take(world, ask("no one", "nor she"))
    assert f"{nobody.code} {nobody.status} {nobody.text}" == "554 5.5.1 no recipient was taken"

    def silent(name: str) -> None:
        raise LoginUnavailable(name)

    monkeypatch.setattr(world.node.intake.credentials, "find", silent)
    [later] = take(world, ask(YOU, user="anne"))
    assert f"{later.code} {later.status} {later.text}" == "451 4.3.0 who this user is cannot be found out now, try again later"


class Unjudged(Injection):
    """Takes everything, and stores nothing."""

    async def take(self, asked: Inject, link: object = None) -> Injected:
        return Injected(asked.number, 250, "2.6.0", "", id=asked.script.decode())


class Slow(Unjudged):
    """Answers when it is let."""

    def __init__(self, intake: Intake, claims: Claims) -> None:
        super().__init__(intake, claims)
        self.asked, self.open = asyncio.Event(), asyncio.Event()

    async def take(self, asked: Inject, link: object = None) -> Injected:
        self.asked.set()
        await self.open.wait()
        return await super().take(asked, link)


def test_a_client_over_the_socket() -> None:
    """On a loop of its own: what a node stores is simulated, the socket is real."""

    async def talk(folder: Path) -> None:
        client = InjectionClient(folder, 2)
        with pytest.raises(Unreachable):
            await client.hand_in(Inject(0, b"early", API))
        doors = [Unjudged(None, None) for _ in range(2)]  # type: ignore[arg-type]
        await doors[0].start(socket_path(folder, 0))
        await doors[0].stop(1.0)  # as a shard that has died: its socket is there, and nobody at the other end
        with pytest.raises(Unreachable):
            await client.hand_in(Inject(0, b"early", API))
        await doors[1].start(socket_path(folder, 1))
        assert stat.S_IMODE(socket_path(folder, 1).stat().st_mode) == 0o600
        client = InjectionClient(folder, 2)
        told = await asyncio.gather(*[client.hand_in(Inject(0, b"%d" % number, API)) for number in range(50)])
        assert [one.id for one in told] == [str(number) for number in range(50)]
        client.close()
        await doors[1].stop(1.0)

    with tempfile.TemporaryDirectory(prefix="pw-") as name:
        asyncio.run(talk(Path(name)))


@pytest.mark.parametrize("key", ["", "k"])
def test_too_many_wait(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def talk(folder: Path) -> None:
        door = Slow(None, Claims(lambda: 0.0))  # type: ignore[arg-type]
        await door.start(socket_path(folder, 0))
        client = InjectionClient(folder, 1)
        first = asyncio.create_task(client.hand_in(Inject(0, b"m", API, key=key)))
        await asyncio.wait_for(door.asked.wait(), 10)
        with pytest.raises(Unreachable, match="too many"):
            await client.hand_in(Inject(0, b"m", API, key=key))
        door.open.set()
        assert (await first).code == 250
        client.close()
        await door.stop(1.0)

    monkeypatch.setattr(injection_client, "WAITING", 1)
    with tempfile.TemporaryDirectory(prefix="pw-") as name:
        asyncio.run(talk(Path(name)))


def test_a_key_waits_for_the_shard_that_knows_it() -> None:
    """As at a start: one shard is there, the other reads its spool yet, in which the message of the key may be."""

    async def talk(folder: Path) -> None:
        door = Unjudged(None, Claims(lambda: 0.0))  # type: ignore[arg-type]
        await door.start(socket_path(folder, 0))
        client = InjectionClient(folder, 2)
        keys = [f"key {number}" for number in range(20)]
        told = await asyncio.gather(*[client.hand_in(Inject(0, b"m", API, key=key)) for key in keys], return_exceptions=True)
        late = [key for key, one in zip(keys, told, strict=True) if isinstance(one, Unreachable)]
        assert 0 < len(late) < len(keys)
        client.close()
        await door.stop(1.0)

    with tempfile.TemporaryDirectory(prefix="pw-") as name:
        asyncio.run(talk(Path(name)))
