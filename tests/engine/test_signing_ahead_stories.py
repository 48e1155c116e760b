"""While a message of a connection is being signed the next ones are, too; what the connection may carry stays what it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from postwright.content.dkim_key import SigningKey
from postwright.engine import spf_outbound
from postwright.engine.dkim_keys import Broken
from postwright.engine.signatures import Made, Signatures, Work
from postwright.engine.worker import Worker
from postwright.model.outcome import Disposition, Kind
from postwright.policy.settings import DomainKey, Settings
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay

TEXT = "From: Me <me@sender.example>\r\nTo: you@example.com\r\nSubject: hello\r\n\r\nA body\r\n"
SIGNED = 4  # at a time: two more than a receiver with PIPELINING can have outstanding


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """Signatures that come when they are let go: each of these does that with one."""
    waiting: list[Callable[[], None]] = []

    def make(self: Signatures, works: Sequence[Work], then: Callable[[Made], None]) -> None:
        waiting.append(lambda: then([work.key.sign(work.octets, work.digest) for work in works]))

    monkeypatch.setattr(Signatures, "make", make)
    return waiting


def signed_by(folder: Path, **limits: int) -> Settings:
    file = folder / "s.pem"
    file.write_bytes(SigningKey(rsa.generate_private_key(65537, 1024)).pem())
    return relay(domain("*", dkim_sign="yes", max_smtp_out=1, **limits), domain_keys=(DomainKey("s", "*", str(file)),))


def submitted(world: World, count: int) -> None:
    for number in range(count):
        assert world.submit("me@sender.example", [f"u{number}@example.com"], TEXT).accepted


def let_go(world: World, waiting: list[Callable[[], None]]) -> None:
    async def one() -> None:
        waiting.pop(0)()

    world.run(one())


def test_more_messages_are_signed_than_are_outstanding(slow: list[Callable[[], None]], tmp_path: Path) -> None:
    with World(signed_by(tmp_path)) as world:
        sink = world.domain("example.com")
        submitted(world, 10)
        world.run_until(lambda: len(slow) == SIGNED)
        world.advance(60.0)
        assert len(slow) == SIGNED, "and no more than that"
        while slow:
            let_go(world, slow)
            world.advance(1.0)
        world.run_until_empty()
        assert sink.counts.connections == 1
        assert len(world.messages()) == 10
        assert all(message.content.startswith(b"DKIM-Signature:") for message in world.messages())


def test_a_connection_carries_no_more_than_it_may(slow: list[Callable[[], None]], tmp_path: Path) -> None:
    with World(signed_by(tmp_path, max_msg_per_connection=3)) as world:
        sink = world.domain("example.com")
        submitted(world, 7)
        for _ in range(7):
            world.run_until(lambda: bool(slow))
            let_go(world, slow)
        world.run_until_empty()
        assert sink.counts.connections == 3
        assert len(world.messages()) == 7
        assert set(world.fates().values()) == {1}


def broken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect of ours with the first message that fails."""
    fail = Worker._fail
    left = ["once"]

    def failing(worker: Worker, *of: Any) -> None:
        if left:
            left.pop()
            raise RuntimeError("a defect")
        fail(worker, *of)

    monkeypatch.setattr(Worker, "_fail", failing)


def test_a_defect_with_one_message_does_not_leave_its_connection_asleep(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    waiting: list[Callable[[Made], None]] = []
    make = Signatures.make
    monkeypatch.setattr(Signatures, "make", lambda self, works, then: waiting.append(then))
    broken_once(monkeypatch)
    with World(signed_by(tmp_path)) as world:
        sink = world.domain("example.com")
        submitted(world, 1)
        world.run_until(lambda: bool(waiting))

        async def refuse() -> None:
            waiting.pop()(Broken("cannot sign"))

        with pytest.raises(RuntimeError, match="a defect"):
            world.run(refuse())
        monkeypatch.setattr(Signatures, "make", make)
        assert world.submit("me@sender.example", ["next@example.com"], TEXT).accepted
        world.run_until(lambda: len(world.messages()) == 1, 60.0)
        assert sink.counts.connections == 1


def test_nor_a_defect_while_spf_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    objections = [Disposition(Kind.PERMANENT, "5.7.23", "x-pmta;not by us")]

    async def objection(*of: Any) -> Disposition | None:
        return objections.pop() if objections else None

    monkeypatch.setattr(spf_outbound, "objection", objection)
    broken_once(monkeypatch)
    with World(relay(domain("*", check_spf_outbound=True, max_smtp_out=1))) as world:
        sink = world.domain("example.com")
        submitted(world, 1)
        world.run_until(lambda: not objections)
        assert world.submit("me@sender.example", ["next@example.com"], TEXT).accepted
        world.run_until(lambda: len(world.messages()) == 1, 60.0)
        assert sink.counts.connections == 1
