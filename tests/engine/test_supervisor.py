"""The supervisor, with stand-ins for shard processes that die, hang or answer as a test wants; systemd is a real datagram socket."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from postwright.engine import state_dump, systemd
from postwright.engine import supervisor as module
from postwright.engine.listeners import bind
from postwright.engine.orders.book import QueueRule, Why, with_queues
from postwright.engine.orders.desk import read_book
from postwright.engine.supervisor import LoadFailed, Options, Supervisor
from postwright.engine.views.figures import Figures
from postwright.policy.settings import ListenerSettings, Settings
from postwright.testing.world_settings import relay

PATIENCE = 20.0

STAND_IN = """#!{python}
import os, socket, sys, time
from postwright.engine import frames as f
from postwright.engine.bus import decode_body, encode

mode, control = {mode!r}, socket.socket(fileno=int(sys.argv[3]))

def read():
    head = control.recv(4, socket.MSG_WAITALL)
    return decode_body(control.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)) if head else None

start = read()
control.sendall(encode(f.Ready(start.shard, 0, 0.0)))
if mode == "hang":
    time.sleep(3600)
if mode == "stay":
    control.close()
    time.sleep(3600)
while (frame := read()) is not None and not isinstance(frame, f.Drain):
    if isinstance(frame, f.Question) and mode != "mute":
        control.sendall(encode(f.Answer(frame.number, start.shard, body=frame.argument)))
    control.sendall(encode(f.Beat(start.shard)))
if mode == "slow":
    time.sleep(3600)
"""


class Running:
    """A supervisor that runs in the test's own loop."""

    def __init__(self, folder: Path, settings: Settings, shards: int, hung: float, drain: float) -> None:
        self.folder = folder
        self.loads: list[Settings | LoadFailed] = [settings]
        self.supervisor = Supervisor(self._load, Options(folder, shards, drain=drain, hung=hung))
        self.announced = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(self.supervisor.run(self.announced.set))

    def _load(self) -> Settings:
        found = self.loads[-1]
        if isinstance(found, LoadFailed):
            raise found
        return found

    def log(self, event: str) -> list[dict[str, object]]:
        path = self.folder / "log"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [line for line in lines if line["event"] == event]

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                assert not self.task.done() or condition(), self.task
                await asyncio.sleep(0.01)

    async def stop(self) -> int:
        self.supervisor.stop()
        async with asyncio.timeout(PATIENCE):
            return await self.task


Start = Callable[..., Running]


@pytest.fixture
async def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    made: list[Running] = []
    monkeypatch.setattr(module, "HEARTBEAT", 0.02)

    def make(mode: str = "", *, shards: int = 1, hung: float = 60.0, drain: float = 5.0, settings: Settings | None = None) -> Running:
        if mode:
            script = tmp_path / "stand-in"
            script.write_text(STAND_IN.format(python=sys.executable, mode=mode))
            script.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(script) if mode else "/bin/false")
        settings = settings or replace(relay(general={"log_file": str(tmp_path / "log")}), listeners=())
        made.append(Running(tmp_path, settings, shards, hung, drain))
        return made[0]

    yield make
    for running in made:
        if not running.task.done():
            running.supervisor._kill()
            await running.stop()


async def test_connections_of_a_shard_that_has_died_are_none(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESTART_PAUSES", (3600.0,))
    running = start("hang")  # which says nothing of its own
    await running.until(running.announced.is_set)
    traffic = running.supervisor.traffic
    traffic.heard(0, Figures(in_msgs=2), (3, 4), (3, 4))
    os.kill(running.supervisor.pids()[0], signal.SIGKILL)
    await running.until(lambda: running.supervisor.pids() == [0])
    view = traffic.view()
    assert (view.inbound.now, view.outbound.now, view.total.in_msgs) == (0, 0, 2)
    await running.stop()


async def test_a_shard_that_always_dies_is_started_again_ever_more_slowly(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def pause(self: Supervisor, seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(Supervisor, "_pause", pause)
    running = start()
    await running.until(lambda: len(pauses) >= 7)
    assert await running.stop() == 0
    assert pauses[:7] == [0.0, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0]
    assert len(running.log("shard died")) >= 7
    assert not running.announced.is_set()


async def test_one_that_waits_to_be_started_again_does_not_hold_up_the_end(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESTART_PAUSES", (3600.0,))
    running = start(shards=2)
    await running.until(lambda: len(running.log("shard died")) == 2)
    began = time.monotonic()
    assert await running.stop() == 0
    assert time.monotonic() - began < 10.0


async def test_a_shard_that_hangs_is_killed_and_started_again(start: Start) -> None:
    running = start("hang", hung=0.2)
    await running.until(lambda: len(running.log("shard ready")) >= 2)
    assert running.log("shard hangs and is killed")
    assert running.log("shard died")[0]["status"] == -9


async def test_a_shard_that_hangs_up_and_stays_is_killed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE", 0.05)
    running = start("stay")
    await running.until(lambda: running.log("shard died"))
    assert running.log("shard died")[0]["status"] == -9


async def test_a_second_signal_ends_it_at_once(start: Start) -> None:
    running = start("slow", drain=60.0)
    await running.until(running.announced.is_set)
    running.supervisor._signalled()
    assert not running.task.done()
    running.supervisor._signalled()
    async with asyncio.timeout(PATIENCE):
        assert await running.task == 0
    assert running.log("shard killed")


async def test_a_polite_stop_has_an_end(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    running = start("slow", drain=-1.9)  # `drain` and two seconds more: a tenth of a second
    await running.until(running.announced.is_set)
    assert await running.stop() == 0
    assert running.log("shard killed")


async def test_questions_reach_all_shards_and_a_silent_one_keeps_nobody(start: Start) -> None:
    running = start("answer", shards=2)
    await running.until(running.announced.is_set)
    answers = await running.supervisor.ask_shards("echo", b"hello")
    assert [(answer.shard, answer.body) for answer in answers] == [(0, b"hello"), (1, b"hello")]


async def test_a_silent_shard_keeps_nobody_waiting(start: Start) -> None:
    running = start("mute")
    await running.until(running.announced.is_set)
    assert await running.supervisor.ask_shards("echo", timeout=0.05) == []
    assert running.supervisor._answers == {}


async def test_a_shard_that_dies_with_a_question_keeps_nobody_waiting(start: Start) -> None:
    running = start("mute")
    await running.until(running.announced.is_set)
    asked = asyncio.ensure_future(running.supervisor.ask_shards("order-delete", timeout=3600.0))
    await running.until(lambda: running.supervisor._answers)
    os.kill(running.supervisor.pids()[0], signal.SIGKILL)
    async with asyncio.timeout(PATIENCE):
        assert await asked == []
    assert running.supervisor._answers == {}


async def test_orders_that_have_ended_leave_the_disk(start: Start) -> None:
    running = start("answer")
    await running.until(running.announced.is_set)
    desk = running.supervisor.desk
    desk.change(lambda book: with_queues(book, QueueRule("*/m", True, Why(until=desk.now() + 0.2))))
    assert read_book(running.folder).queues
    await running.until(lambda: not read_book(running.folder).queues)


async def test_a_bad_reload_changes_nothing(start: Start) -> None:
    running = start("answer")
    await running.until(running.announced.is_set)
    old = running.supervisor.settings
    with bind("127.0.0.1", 0) as taken:
        busy = replace(old, listeners=(ListenerSettings("127.0.0.1", taken.getsockname()[1]),))
        here = (ListenerSettings("127.0.0.1", 0),)
        certificate = replace(old, listeners=here, general=replace(old.general, smtp_server_tls_certificate="/nowhere/cert.pem"))
        pattern = replace(old, relay_domains=("a..b",))
        for bad, says in ((LoadFailed(["line 3"]), "line 3"), (busy, "in use"), (certificate, "cert.pem"), (pattern, "not valid")):
            running.loads.append(bad)
            problems = await running.supervisor.reload()
            assert says in problems[0]
            assert running.supervisor.settings is old
    running.loads.append(replace(old, epoch=2))
    assert await running.supervisor.reload() == []
    assert running.supervisor.settings.epoch == 2


async def test_it_does_not_start_with_what_no_shard_can_use(start: Start) -> None:
    settings = relay(general={"smtp_server_tls_certificate": "/nowhere/cert.pem"})
    running = start("answer", settings=replace(settings, listeners=(ListenerSettings("127.0.0.1", 0),)))
    with pytest.raises(LoadFailed, match="/nowhere/cert"):
        async with asyncio.timeout(PATIENCE):
            await running.task


async def test_the_control_socket_is_its_owners(start: Start, tmp_path: Path) -> None:
    running = start("answer")
    await running.until(running.announced.is_set)
    assert stat.S_IMODE((tmp_path / "control.sock").stat().st_mode) == 0o600


async def test_a_rotation_of_the_log_is_told_to_the_shards(start: Start, tmp_path: Path) -> None:
    running = start("answer")
    await running.until(running.announced.is_set)
    await running.supervisor.rotate_log()
    running.supervisor.log.info("behind")
    assert "behind" in (tmp_path / "log").read_text()
    assert "shard ready" in (tmp_path / "log.1").read_text()


async def test_systemd_hears_of_everything(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        name = f"\0postwright-test-{os.getpid()}"
        manager.bind(name)
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name[1:])
        heard: list[str] = []

        def hear() -> list[str]:
            while True:
                try:
                    heard.append(manager.recv(4096).decode())
                except BlockingIOError:
                    return heard

        running = start("answer")
        await running.until(lambda: "READY=1" in hear() and "WATCHDOG=1" in heard)
        assert heard.index("READY=1") >= 0
        heard.clear()
        before = time.monotonic_ns() // 1000
        await running.supervisor._reload_logged()
        hear()
        (reloading,) = [said for said in heard if said.startswith("RELOADING=1")]
        first, _, second = reloading.partition("\n")
        assert first == "RELOADING=1"
        assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
        assert heard.index(reloading) < heard.index("READY=1")
        await running.stop()
        assert "STOPPING=1" in hear()


async def test_a_shard_begins_without_an_ear_for_the_dump(start: Start) -> None:
    """A stand-in never says that it is ready for SIGUSR1, which would end it."""
    running = start("live")
    await running.until(running.announced.is_set)
    (pid,) = running.supervisor.pids()
    os.kill(pid, state_dump.SIGNAL)
    assert [answer.shard for answer in await running.supervisor.ask_shards("status")] == [0]
    assert running.supervisor.pids() == [pid]
    await running.stop()


def test_without_systemd_nothing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert systemd.notify("READY=1") is False
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    assert systemd.notify("READY=1") is False


async def test_no_watchdog_for_a_relay_with_a_silent_shard(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(module.systemd, "notify", said.append)
    monkeypatch.setattr(module, "SLOW", 0.0)
    running = start("mute")
    await running.until(running.announced.is_set)
    said.clear()
    await asyncio.sleep(0.1)
    assert "WATCHDOG=1" not in said


async def test_a_start_that_takes_long_asks_for_more_time(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(module.systemd, "notify", said.append)
    running = start()
    await running.until(lambda: any(word.startswith("EXTEND_TIMEOUT_USEC=") for word in said))
    assert "READY=1" not in said
