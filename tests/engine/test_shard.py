"""A shard process, its main program run within the test: the test is the supervisor at the other ends of its sockets."""

from __future__ import annotations

import asyncio
import pickle
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from postwright.engine import frames as f
from postwright.engine.bus import Link, encode
from postwright.engine.listeners import bind
from postwright.engine.node import Node
from postwright.engine.shard import serve
from postwright.engine.status import ShardStatus
from postwright.policy.settings import AcctFileSettings, ListenerSettings, Settings
from postwright.testing.sink import SinkServer
from postwright.testing.source import SourceClient
from postwright.testing.world_settings import domain, relay

PATIENCE = 10.0


class Above:
    """The supervisor's side: `frames` are what the shard has said."""

    def __init__(self, settings: Settings, folder: Path, listening: socket.socket) -> None:
        self.settings = settings
        self.folder = folder
        self.listening = listening
        self.frames: list[f.Frame] = []
        self.closed = False
        self._news = asyncio.Event()
        self._number = 0
        self._fds, self._fds_theirs = socket.socketpair()
        self._control, self._control_theirs = socket.socketpair()

    async def begin(self, *behind: f.Frame, hand: bool = True) -> None:
        for sock in (self._control, self._control_theirs):
            sock.setblocking(False)
        loop = asyncio.get_running_loop()
        made: Any = await loop.create_connection(lambda: Link(self._heard, self._gone, "shard"), sock=self._control)
        self.link: Link = made[1]
        if hand:
            self.hand_sockets()
        start = f.Start(f.VERSION, 0, 1, str(self.folder), pickle.dumps(self.settings))
        for frame in (start, *behind):
            self.link.send(frame)
        self.task = loop.create_task(serve(self._control_theirs, self._fds_theirs))

    def hand_sockets(self) -> None:
        labels = pickle.dumps([(self.settings.listeners[0], "here")])
        self._fds.sendall(len(labels).to_bytes(4, "big") + labels)
        socket.send_fds(self._fds, [b"s"], [self.listening.fileno()])

    def _heard(self, link: Link, frame: f.Frame) -> None:
        self.frames.append(frame)
        self._news.set()

    def _gone(self, link: Link, reason: str) -> None:
        self.closed = True
        self._news.set()

    async def wait_for(self, kind: type[Any]) -> Any:
        async with asyncio.timeout(PATIENCE):
            while not (found := [frame for frame in self.frames if type(frame) is kind]):
                self._news.clear()
                await self._news.wait()
        self.frames.remove(found[0])
        return found[0]

    async def ask(self, verb: str, argument: bytes = b"") -> f.Answer:
        self._number += 1
        self.link.send(f.Question(self._number, verb, argument))
        answer: f.Answer = await self.wait_for(f.Answer)
        assert answer.number == self._number
        return answer

    async def end(self) -> None:
        self.link.close()
        async with asyncio.timeout(PATIENCE):
            await self.task
        for sock in (self._fds, self._fds_theirs, self._control_theirs, self.listening):
            sock.close()


@pytest.fixture
async def above(tmp_path: Path) -> AsyncIterator[Above]:
    listening = bind("127.0.0.1", 0)
    port = listening.getsockname()[1]
    settings = replace(
        relay(domain("*", retry_after=(60.0,))),
        listeners=(ListenerSettings("127.0.0.1", port),),
        acct_files=(AcctFileSettings(str(tmp_path / "acct.csv"), records=("d", "b", "t", "r")),),
    )
    settings = replace(settings, general=replace(settings.general, log_file=str(tmp_path / "log")))
    side = Above(settings, tmp_path, listening)
    yield side
    if not side.task.done():
        await side.end()


def to(sink: SinkServer, settings: Settings) -> Settings:
    """The same settings, all mail going to that sink."""
    return replace(settings, domains=(domain("*", smtp_hosts=f"[127.0.0.1]:{sink.port}", retry_after=(60.0,)),), epoch=2)


async def send(above: Above, *recipients: str) -> bool:
    async with await SourceClient.connect("127.0.0.1", above.settings.listeners[0].port) as client:
        await client.ehlo()
        sent = await client.send("me@sender.example", list(recipients), b"Subject: x\r\n\r\nhello\r\n")
    return sent.final.code == 250


async def test_it_serves_until_it_is_told_to_leave(above: Above) -> None:
    async with SinkServer() as sink:
        above.settings = to(sink, above.settings)
        await above.begin()
        ready = await above.wait_for(f.Ready)
        assert (ready.shard, ready.recovered) == (0, 0)
        assert await send(above, "you@example.com")
        await sink.wait_for(1)
        status = msgspec.msgpack.decode((await above.ask("status")).body, type=ShardStatus)
        assert (status.traffic.messages_in, status.recipients, status.epoch) == (1, 0, 2)
        assert (await above.ask("rotate-acct")).error == ""
        above.link.send(f.Drain(2.0))
        async with asyncio.timeout(PATIENCE):
            await above.task
        rows = [line for path in sorted(above.folder.glob("acct*.csv")) for line in path.read_text().splitlines()]
        assert [row[0] for row in rows if row[1] == ","].count("d") == 1
        above.listening.close()  # the last descriptor, as the shard has closed its own
        with pytest.raises(ConnectionRefusedError):
            await send(above, "late@example.com")


async def test_what_is_asked_before_it_is_ready_is_answered_then(above: Above) -> None:
    await above.begin(f.Question(7, "status"), f.Question(8, "reopen-log"))
    first, second = await above.wait_for(f.Answer), await above.wait_for(f.Answer)
    assert (first.number, second.number) == (7, 8)
    assert first.body
    assert not second.error


async def test_told_to_leave_while_it_reads_its_spool_it_leaves(above: Above, monkeypatch: pytest.MonkeyPatch) -> None:
    started = asyncio.Event()

    async def endless(node: Node) -> int:
        started.set()
        await asyncio.Event().wait()
        return 0

    monkeypatch.setattr(Node, "start", endless)
    await above.begin()
    async with asyncio.timeout(PATIENCE):
        await started.wait()
        above.link.send(f.Drain(5.0))
        await above.task
    assert not [frame for frame in above.frames if isinstance(frame, f.Ready)]


async def test_a_shard_without_its_supervisor_leaves(above: Above) -> None:
    await above.begin()
    await above.wait_for(f.Ready)
    await above.end()  # closes the control socket and waits for the shard's end
    assert "the supervisor is gone" in (above.folder / "log").read_text()


async def test_a_supervisor_of_another_version_is_not_obeyed(above: Above) -> None:
    start = f.Start(f.VERSION + 1, 0, 1, str(above.folder), pickle.dumps(above.settings))
    control, theirs = socket.socketpair()
    theirs.setblocking(False)
    control.sendall(encode(start))
    with pytest.raises(SystemExit, match="version"):
        await serve(theirs, above._fds_theirs)
    control.close()
    above.task = asyncio.get_running_loop().create_future()  # type: ignore[assignment]
    above.task.cancel()


async def test_a_reload_changes_where_mail_goes(above: Above) -> None:
    async with SinkServer() as first, SinkServer() as second:
        above.settings = to(first, above.settings)
        await above.begin()
        await above.wait_for(f.Ready)
        await send(above, "one@example.com")
        await first.wait_for(1)
        above.settings = to(second, above.settings)
        changed = replace(above.settings, general=replace(above.settings.general, host_name=("other.example",)), epoch=3)
        above.hand_sockets()
        assert (await above.ask("reload", pickle.dumps(changed))).error == ""
        await send(above, "two@example.com")
        await second.wait_for(1)
        assert second.connections[0].helo == "other.example"
        status = msgspec.msgpack.decode((await above.ask("status")).body, type=ShardStatus)
        assert status.epoch == 3


async def test_a_reload_that_cannot_be_put_in_force_changes_nothing(above: Above) -> None:
    await above.begin()
    await above.wait_for(f.Ready)
    bad = replace(above.settings, general=replace(above.settings.general, smtp_server_tls_certificate="/nowhere/cert.pem"), epoch=9)
    above.hand_sockets()
    assert "/nowhere/cert.pem" in (await above.ask("reload", pickle.dumps(bad))).error
    status = msgspec.msgpack.decode((await above.ask("status")).body, type=ShardStatus)
    assert status.epoch == 0
    assert await send(above, "you@example.com")


async def test_an_order_that_fails_by_a_defect_is_answered(above: Above, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("postwright.engine.orders.deleting.count", broken)
    await above.begin()
    await above.wait_for(f.Ready)
    answer = await above.ask("order-count", b'{"selection": "{}"}')
    assert answer.error == "shard 0: order-count failed: ZeroDivisionError; its log has more"


async def test_a_question_that_it_does_not_know(above: Above) -> None:
    await above.begin()
    await above.wait_for(f.Ready)
    assert "knows no dance" in (await above.ask("dance")).error


async def test_what_waits_is_told_with_its_reason(above: Above) -> None:
    await above.begin()
    await above.wait_for(f.Ready)
    async with SinkServer(["rcpt 450 4.2.0 later"]) as sink:
        above.hand_sockets()
        await above.ask("reload", pickle.dumps(to(sink, above.settings)))
        await send(above, "you@example.com")
        await sink.wait_until(lambda: bool(sink.counts.refusals))
        async with asyncio.timeout(PATIENCE):
            while True:
                status = msgspec.msgpack.decode((await above.ask("status")).body, type=ShardStatus)
                if status.traffic.deferred:
                    break
    (queue,) = status.top_queues
    assert (queue.name, queue.recipients, queue.scheduled) == ("example.com/{default}", 1, 1)
    assert queue.wait == "each recipient waits for its next retry"
