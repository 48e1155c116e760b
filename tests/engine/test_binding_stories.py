"""Stories of users who are bound: to senders, virtual MTAs, a rate, a volume a day, networks; and of those who are not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.engine.login_talk import Client

from postwright.net.visit import PeerFacts
from postwright.policy.settings import Rate, UserSettings
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, relay, source, vmta

GOOD = "235 2.7.0 authentication succeeded"
BAD = "535 5.7.8 authentication failed"
FULL = "450 4.7.1 this login has reached its volume of the day, try again tomorrow"
TOO_FAST = "450 4.7.1 this login sends too fast, try again later"
CONTENT = "From: Anna <anna@a.example>\r\nSubject: x\r\n\r\nx"


@pytest.fixture(autouse=True)
def in_vienna(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Midnight is a local one: there 23:00 UTC, as the world begins in November at 22:13:20."""
    monkeypatch.setenv("TZ", "Europe/Vienna")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def world_of(header: bool = True, **bound: Any) -> World:
    users = {"anna": UserSettings("anna", password="secret", **bound), "bert": UserSettings("bert", password="secret")}
    everybody = source(ANYBODY, allow_unencrypted_plain_auth=True, process_x_virtual_mta=header)
    vmtas = [vmta(name, f"192.0.2.{at}") for at, name in enumerate(("one", "two", "three"), 10)]
    world = World(relay(everybody, *vmtas, users=users))
    world.domain("example.com")
    return world


class Sender(Client):
    """Somebody who has logged in."""

    def __init__(self, world: World, user: str = "anna", peer: str = "192.0.2.77", shard: int = 0) -> None:
        super().__init__(world, peer, shard)
        assert self.plain(user, "secret") == GOOD

    def mail(self, sender: str = "anna@a.example") -> str:
        return self.say(f"MAIL FROM:<{sender}>")

    def message(self, recipients: int = 1, content: str = CONTENT, sender: str = "anna@a.example") -> str:
        """The reply to the content; or the first refusal, after which the transaction is given up."""
        for line in (f"MAIL FROM:<{sender}>", *[f"RCPT TO:<you{at}@example.com>" for at in range(recipients)], "DATA"):
            said = self.say(line)
            if said[0] not in "23":
                self.say("RSET")
                return said
        return self.say(content + "\r\n.")


# -- senders ----------------------------------------------------------------------------------

SENDERS = ("anna@a.example", "b.example", "*.c.example")


@pytest.mark.parametrize(
    ("sender", "may"),
    [
        ("anna@a.example", True), ("ANNA@A.example", True), ("bert@a.example", False), ("anna@sub.a.example", False),
        ("any@b.example", True), ("any@sub.b.example", False), ("any@sub.c.example", True), ("any@c.example", False),
        ("any@elsewhere.example", False), ("", False),
    ],
)  # fmt: skip
def test_a_user_sends_from_his_own_addresses_only(sender: str, may: bool) -> None:
    with world_of(sender=SENDERS) as world:
        said = Sender(world).mail(sender)
        assert said == ("250 2.1.0 MAIL ok" if may else "550 5.7.1 this login may not use that sender address")
        assert Sender(world, "bert").mail(sender)[:3] == "250"
        assert world.node.counters.traffic.rejected == (not may)


def test_the_null_sender_can_be_among_them() -> None:
    with world_of(sender=("<>",)) as world:
        assert [Sender(world).mail(sender)[:3] for sender in ("", "anna@a.example")] == ["250", "550"]


@pytest.mark.parametrize(
    ("field", "may"),
    [
        ("From: anna@a.example", True),
        ('From: "x@elsewhere.example" <anna@a.example>', True),
        ("From: (x@elsewhere.example) anna @ a.example", True),
        ("From: anna@a.example, x@elsewhere.example", False),
        ("From: <x@elsewhere.example>", False),
        ('From: "anna@a.example" <x@elsewhere.example>', False),
        ("From: anna@a.example\r\nFrom: x@elsewhere.example", False),
        ("From: undisclosed", False),
        ('From: anna@a.example, "x <x@elsewhere.example>', False),
        ("From: anna@a.example (x <x@elsewhere.example>", False),
        ("From: anna@a.example ((ours) and yours) <anna@a.example>", True),
        ("Subject: no From at all", False),
        ('From: "any one"@b.example', True),
        ("From: anna@a.example\r\n ,x@elsewhere.example", False),
    ],
)
def test_the_from_field_is_looked_at_where_that_is_wanted(field: str, may: bool) -> None:
    said = "550 5.7.1 this login may not use that address in the From field"
    with world_of(sender=SENDERS, check_from_header=True) as world:
        assert (Sender(world).message(content=f"{field}\r\n\r\nx") == said) is not may
        assert Sender(world, "bert").message(content=f"{field}\r\n\r\nx")[:3] == "250"
    with world_of(sender=SENDERS) as world:
        assert Sender(world).message(content=f"{field}\r\n\r\nx")[:3] == "250"


# -- virtual MTAs -------------------------------------------------------------------------------


@pytest.mark.parametrize(("header", "through"), [("", "two"), ("x-virtual-mta: three\r\n", "three"), ("x-virtual-mta: TWO\r\n", "two")])
def test_a_user_goes_through_his_virtual_mtas(header: str, through: str) -> None:
    with world_of(virtual_mta=("two", "three")) as world:
        assert Sender(world).message(content=header + CONTENT)[:3] == "250"
        world.run_until_empty()
        assert [record.vmta for record in world.of("d")] == [through]


def test_and_through_no_other() -> None:
    with world_of(virtual_mta=("two", "three")) as world:
        said = Sender(world).message(content="x-virtual-mta: one\r\n" + CONTENT)
        assert said == "550 5.7.1 this login may not choose that virtual MTA"
        assert Sender(world, "bert").message(content="x-virtual-mta: one\r\n" + CONTENT)[:3] == "250"


def test_the_first_is_his_where_the_field_is_not_looked_at() -> None:
    with world_of(virtual_mta=("two", "three"), header=False) as world:
        assert Sender(world).message(content="x-virtual-mta: one\r\n" + CONTENT)[:3] == "250"
        world.run_until_empty()
        assert [record.vmta for record in world.of("d")] == ["two"]


# -- rate and volume ------------------------------------------------------------------------------


def test_a_rate_of_messages_is_one_for_all_his_sessions() -> None:
    with world_of(max_msg_rate=Rate(2, 60.0)) as world:
        assert [Sender(world).message() for _ in range(3)][2] == TOO_FAST
        assert Sender(world, "bert").message()[:3] == "250"
        world.advance(30)
        assert [Sender(world).message()[:3] for _ in range(2)] == ["250", "450"]


def test_what_is_refused_for_its_sender_does_not_count() -> None:
    with world_of(max_msg_rate=Rate(1, 60.0), sender=("a.example",)) as world:
        sender = Sender(world)
        assert [sender.mail("x@b.example")[:3] for _ in range(3)] == ["550"] * 3
        assert sender.mail()[:3] == "250"


def test_a_volume_of_recipients_until_midnight() -> None:
    with world_of(daily_limit=5) as world:
        assert Sender(world).message(3)[:3] == "250"
        one = Sender(world)
        assert one.message(3) == FULL  # the third does not fit
        assert one.message(2)[:3] == "250"
        assert one.mail() == FULL  # nothing fits any more
        assert Sender(world, "bert").message(9)[:3] == "250"
        world.advance(46 * 60)  # 22:59:20
        assert Sender(world).mail() == FULL
        world.advance(60)
        assert Sender(world).message(5)[:3] == "250"


def test_a_message_that_was_not_taken_does_not_count() -> None:
    with world_of(daily_limit=2) as world:
        sender = Sender(world)
        assert sender.message(2, content="x\ry")[:3] == "550"
        assert sender.message(2)[:3] == "250"
        assert sender.mail() == FULL


def test_two_messages_at_a_time_do_not_share_what_is_left() -> None:
    with world_of(daily_limit=3) as world:
        first, second = Sender(world), Sender(world)
        lines = ("MAIL FROM:<a@a.example>", "RCPT TO:<b@example.com>", "RCPT TO:<c@example.com>", "DATA")
        for sender in (first, second):
            assert [sender.say(line)[:3] for line in lines] == ["250", "250", "250", "354"]
        assert first.say(CONTENT + "\r\n.")[:3] == "250"
        assert second.say(CONTENT + "\r\n.") == FULL


# -- networks ----------------------------------------------------------------------------------------


def test_from_elsewhere_every_password_is_wrong() -> None:
    with world_of(network=("192.0.2.0/28", "198.51.100.7/32")) as world:
        assert world.run(_keys(world, "192.0.2.9")).server_key != world.run(_keys(world, "192.0.2.16")).server_key  # no true signature
        assert world.run(_keys(world, "192.0.2.9")).salt == world.run(_keys(world, "192.0.2.16")).salt
        for peer, expected in (("192.0.2.9", GOOD), ("198.51.100.7", GOOD), ("192.0.2.16", BAD), ("203.0.113.1", BAD)):
            assert Client(world, peer).plain("anna", "secret") == expected
            assert Client(world, peer).login("anna", "secret") == expected
        assert Client(world, "203.0.113.1").plain("bert", "secret") == GOOD
        assert world.node.counters.traffic.failed_logins == 4


async def _keys(world: World, peer: str) -> Any:
    login = world.node.intake.factory(world.settings.listeners[0])(PeerFacts(peer, 40000, "192.0.2.1", 25)).login
    found: Any = login.scram_keys("anna", "SHA-256")
    return await found if hasattr(found, "__await__") else found


def test_such_guesses_count_as_any() -> None:
    with world_of(network=("192.0.2.0/28",)) as world:
        for at in range(10):
            assert Client(world, f"203.0.{at}.1").plain("anna", "secret") == BAD
        assert [lock.who for lock in world.locks.office.locks()] == ["anna"]


def test_bonds_end_with_the_login() -> None:
    with world_of(sender=SENDERS) as world:
        sender = Sender(world)
        assert sender.mail("x@elsewhere.example")[:3] == "550"
        assert Client(world).say("MAIL FROM:<x@elsewhere.example>")[:3] == "250"
