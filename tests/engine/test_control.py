"""The control socket: one question, one answer; versions, unknown verbs, defects and garbage; what status says."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from postwright.engine import frames as f
from postwright.engine.bus import BusError, ask, connect_unix, encode, listen_unix
from postwright.engine.control import ControlServer
from postwright.engine.export_frames import ConsumerStatus
from postwright.engine.export_process import ExportProcess
from postwright.engine.lock_frames import LocksChanged
from postwright.engine.lock_office import LockOffice
from postwright.engine.orders.audit import KEPT, Audit, Done
from postwright.engine.orders.desk import Desk
from postwright.engine.status import QueueStatus, RelayStatus, ShardStatus, Traffic
from postwright.policy.locks import Failure, Lock


def shard_status(number: int) -> ShardStatus:
    traffic = Traffic(messages_in=10, recipients_in=20, bytes_in=2048, delivered=7, bytes_out=3 << 20, deferred=2, bounced=1, rejected=4)
    queues = [QueueStatus(f"d{number}.example/v", 100 - number, 3, 90, 7, 2, "backoff", "max-msg-rate is reached", last_error="450 later")]
    return ShardStatus(number, 1000 + number, 90061.0, 3, 4, 1000, 5, 60, 42, traffic, 1 << 20, 2, 64 << 20, queues, epoch=3)


NOW = 1_700_000_000.0


class FakeRelay:
    started = 0.0

    def __init__(self, folder: Path) -> None:
        self.desk = Desk(folder, lambda: NOW, structlog.get_logger())
        self.audit = Audit(folder, lambda: NOW, structlog.get_logger())
        self.asked: list[tuple[str, bytes]] = []
        self.problems: list[str] = []
        self.rotated = 0
        self.stopped = False
        self.broken = False
        self.told: list[LocksChanged] = []
        self.locks = LockOffice(lambda: NOW, self.told.append, None)
        self.exporter = ExportProcess(Path("nowhere"), "", False, structlog.get_logger())

    async def reload(self) -> list[str]:
        return self.problems

    async def rotate_log(self) -> None:
        self.rotated += 1

    async def ask_shards(self, verb: str, argument: bytes = b"", timeout: float = 10.0) -> list[f.Answer]:
        if self.broken:
            raise ZeroDivisionError("a defect")
        self.asked.append((verb, argument))
        body = {"status": [msgspec.msgpack.encode(shard_status(number)) for number in range(2)]}.get(verb, [b"", b""])
        return [f.Answer(1, number, body=body[number]) for number in range(2)]

    def stop(self) -> None:
        self.stopped = True

    def pids(self) -> list[int]:
        return [1000, 1001, 0]


class Side:
    def __init__(self, path: Path, relay: FakeRelay) -> None:
        self.path = path
        self.relay = relay

    async def ask(self, verb: str, version: int = f.VERSION, **arguments: str) -> f.Told:
        told = await asyncio.to_thread(ask, self.path, f.Ask(version, verb, arguments), 5.0)
        assert isinstance(told, f.Told)
        return told


@pytest.fixture
async def side(tmp_path: Path) -> AsyncIterator[Side]:
    relay = FakeRelay(tmp_path)
    server = ControlServer(relay)
    await server.start(listen_unix(tmp_path / "control.sock"))
    yield Side(tmp_path / "control.sock", relay)
    await server.stop()


async def test_locks_are_shown_and_released(side: Side) -> None:
    assert (await side.ask("locks")).lines == ["Nobody is locked."]
    for _ in range(10):
        side.relay.locks.failed(Failure("anna\x1b[31m", "192.0.2.7", per_network=10))
    told = await side.ask("locks")
    assert told.lines == [
        "WHO           KIND     SINCE                    UNTIL                    FAILURES  WHY",
        r"anna\x1b[31m  user     2023-11-14 22:13:20 UTC  2023-11-14 22:28:20 UTC  10        auth-failures-per-user",
        "192.0.2.7     network  2023-11-14 22:13:20 UTC  2023-11-14 22:28:20 UTC  10        auth-failures-per-network",
    ]
    assert [lock.who for lock in msgspec.json.decode(told.body, type=list[Lock])] == ["anna\x1b[31m", "192.0.2.7"]
    assert (await side.ask("unlock", who="192.0.2.8")).ok is False
    released = await side.ask("unlock", who="192.0.2.7/32")
    assert (released.ok, released.lines) == (True, ["Released: network 192.0.2.7."])
    assert side.relay.told[-1] == LocksChanged(ended=[("network", "192.0.2.7")])
    assert (await side.ask("unlock")).lines == [r"Released: user anna\x1b[31m."]
    assert (await side.ask("unlock")).lines == ["There are no locks."]


async def test_status_for_programs(side: Side) -> None:
    status = msgspec.json.decode((await side.ask("status")).body, type=RelayStatus)
    assert [shard.shard for shard in status.shards] == [0, 1]
    assert status.shards[1] == shard_status(1)
    assert status.pids == [1000, 1001, 0]


async def test_status_for_people(side: Side) -> None:
    text = "\n".join((await side.ask("status")).lines)
    why = "backoff mode; max-msg-rate is reached (last error: 450 later)"
    for words in ("2 of 3 shards answer", "d0.example/v", why, "6.0 MB", "64.0 MB"):
        assert words in text
    (delivered,) = [line.split() for line in text.splitlines() if line.strip().startswith("delivered")]
    assert delivered == ["delivered", "14", "6.0", "MB", "84"]


async def test_status_tells_how_far_behind_consumers_of_events_are(side: Side) -> None:
    side.relay.exporter.consumers = [ConsumerStatus("stream audit", 2048, 75.0, 12, "connection refused")]
    line = (await side.ask("status")).lines[-1]
    assert line.split() == ["stream", "audit", "12", "2.0", "KB", "0", "00:01:15", "connection", "refused"]
    side.relay.exporter.consumers = []
    assert "Consumer" not in "\n".join((await side.ask("status")).lines)


async def test_events_are_sent_again_only_to_somebody_there_is(side: Side) -> None:
    told = await side.ask("events-replay", consumer="nobody", since="0")
    assert (told.ok, told.lines) == (False, ["no consumer of events is called nobody; there are: none"])


async def test_reload_tells_its_problems(side: Side) -> None:
    assert (await side.ask("reload")).ok
    side.relay.problems = ["relay.conf:3: unknown directive"]
    told = await side.ask("reload")
    assert (told.ok, told.lines) == (False, ["relay.conf:3: unknown directive"])


async def test_rotate(side: Side) -> None:
    assert (await side.ask("rotate", what="log")).ok
    assert side.relay.rotated == 1
    assert (await side.ask("rotate", file="acct.csv")).ok
    [(verb, argument)] = side.relay.asked
    assert (verb, msgspec.json.decode(argument)["file"]) == ("rotate-acct", "acct.csv")


async def test_what_changes_something_is_in_the_audit_with_who_it_was(side: Side) -> None:
    me = pwd.getpwuid(os.geteuid()).pw_name
    assert (await side.ask("audit")).lines == ["Nothing was ordered yet."]
    await side.ask("status")
    await side.ask("rotate", what="log", by="somebody else", reason="full\x1b[31m")
    behalf: dict[str, Any] = {"domain": "no good domain", "as": "key deploy from 192.0.2.1"}
    await side.ask("clear-dnscache", **behalf)
    told = await side.ask("audit")
    assert [(one.by, one.verb, one.reason, one.ok) for one in msgspec.json.decode(told.body, type=list[Done])] == [
        (me, "rotate", "full\x1b[31m", True),
        (f"key deploy from 192.0.2.1 (by {me})", "clear-dnscache", "", False),
    ]
    assert told.lines[0].endswith(rf"{me}: rotate what=log [full\x1b[31m]: Logging file rotated.")
    assert "REFUSED" in told.lines[1]
    assert len(msgspec.json.decode((await side.ask("audit", maxitems="1")).body)) == 1
    assert (side.path.with_name("audit.jsonl").stat().st_mode & 0o777) == 0o600


async def test_the_audit_is_bounded_and_a_line_that_is_none_hides_no_other(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postwright.engine.orders.audit.LARGEST", 700)
    for number in range(40):
        await side.ask("unlock", who=f"user{number}")
    files = sorted(path.name for path in side.path.parent.glob("audit*"))
    assert files == ["audit.jsonl", *[f"audit.jsonl.{number}" for number in range(1, KEPT + 1)]]
    with side.path.with_name("audit.jsonl").open("a") as file:
        file.write('{"time": 17')
    await side.ask("unlock", who="user40")
    found = [one.arguments["who"] for one in side.relay.audit.read(5)]
    assert found == [f"user{number}" for number in range(36, 41)]


async def test_what_failed_is_in_the_audit_and_no_word_of_it_steers_a_terminal(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken() -> None:
        raise RuntimeError

    failed: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: failed.append(context))
    monkeypatch.setattr(side.relay, "rotate_log", broken)
    behalf: dict[str, Any] = {"what": "log", "\x1b[31m": "red"}
    told = await side.ask("rotate", **behalf)
    assert not told.ok
    assert len(failed) == 1
    [line] = (await side.ask("audit")).lines
    assert r"\x1b[31m=red" in line
    assert "REFUSED: rotate failed within the relay: RuntimeError" in line


async def test_a_full_disk_keeps_nobody_from_giving_orders(side: Side) -> None:
    side.path.with_name("audit.jsonl").mkdir()
    assert (await side.ask("rotate", what="log")).ok


async def test_stop(side: Side) -> None:
    assert (await side.ask("stop")).ok
    assert side.relay.stopped


async def test_a_command_of_another_version_is_told_so(side: Side) -> None:
    told = await side.ask("status", version=f.VERSION + 1)
    assert not told.ok
    assert "update the older one" in told.lines[0]


async def test_an_unknown_verb_is_told_those_that_there_are(side: Side) -> None:
    told = await side.ask("dance")
    assert not told.ok
    assert "reload, rotate, set-mode, status, stop" in told.lines[0]


async def test_a_defect_is_told_and_the_server_lives(side: Side) -> None:
    seen: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context["exception"]))
    side.relay.broken = True
    told = await side.ask("status")
    assert not told.ok
    assert "ZeroDivisionError" in told.lines[0]
    assert len(seen) == 1
    side.relay.broken = False
    assert (await side.ask("status")).ok


@pytest.mark.parametrize("octets", [encode(f.Beat(1)), b"\x00\x00\x00\x01x", b"\xff" * 8, b"GET / HTTP/1.1\r\n\r\n"])
async def test_what_is_no_question_closes_the_connection(side: Side, octets: bytes) -> None:
    def speak() -> bytes:
        with connect_unix(side.path, 5.0) as sock:
            sock.sendall(octets)
            sock.shutdown(socket.SHUT_WR)
            return sock.recv(100)

    assert await asyncio.to_thread(speak) == b""
    assert (await side.ask("status")).ok


async def test_after_the_end_nobody_answers(side: Side, tmp_path: Path) -> None:
    server = ControlServer(FakeRelay(tmp_path))
    await server.start(listen_unix(tmp_path / "other.sock"))
    await server.stop()
    with pytest.raises(BusError):
        await asyncio.to_thread(ask, tmp_path / "other.sock", f.Ask(f.VERSION, "status"), 1.0)
