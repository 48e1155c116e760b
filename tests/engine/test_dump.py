"""What the relay is doing, for whoever looks for a defect: tasks by where they wait, queues, connections; and a shard that is stuck."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from postwright.engine import dump, state_dump
from postwright.engine import frames as f
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port
from postwright.testing.source import SourceClient
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay


async def waits(for_: Awaitable[None]) -> None:
    await for_


async def test_tasks_are_told_by_where_they_wait() -> None:
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def passes() -> None:
        await gate

    several = [asyncio.create_task(waits(passes())) for _ in range(3)]
    await asyncio.sleep(0)
    (line,) = dump.tasks(several)
    assert line.split()[0] == "3"
    assert line.index("passes:") < line.index("waits:")
    gate.set_result(None)
    await asyncio.gather(*several)
    assert dump.tasks([]) == []


class Book:
    def __len__(self) -> int:
        return 2

    def entries(self, most: int) -> list[tuple[str, str]]:
        return [("192.0.2.1", ""), ("192.0.2.2", "customers")]


def test_a_shard_tells_its_queues_and_sessions() -> None:
    with World(relay(domain("*", retry_after=(600.0,)))) as world:
        world.domain("busy.example", rules=["rcpt 450 4.2.0 later"])
        world.submit("me@sender.example", ["secret-name@busy.example"], "Subject: s\r\n\r\nprivate\r\n")
        world.advance(10)
        next(iter(world.node.scheduler.queues.values())).last_error = "red\x1b[31m"  # what no part of ours should let through to here
        text = "\n".join(world.run(told(world)))
    assert "busy.example/{default}: 1 rcpt, 0 ready, 1 scheduled, 0 in flight" in text
    assert "192.0.2.2 customers" in text
    assert "sessions of clients: 2" in text
    assert "spool: 1 messages" in text
    assert "secret-name" not in text
    assert "private" not in text
    assert r"red\x1b[31m" in text
    assert "\x1b" not in text


async def told(world: World) -> list[str]:
    return dump.lines(world.node, Book())


async def test_sigusr1_dumps_a_running_relay(tmp_path: Path) -> None:
    port = free_port()
    async with SinkServer(["rcpt 450 4.2.0 later"]) as sink:
        rules = f"<source 127.0.0.1>\nalways-allow-relaying yes\n</source>\n<domain *>\nsmtp-hosts [127.0.0.1]:{sink.port}\n</domain>\n"
        async with (
            RelayProcess(tmp_path, plain_config(port, "d, b, t, tq") + rules) as relay,
            await SourceClient.connect("127.0.0.1", port) as client,
        ):
            await client.ehlo()
            await client.send("me@a.example", ["you@b.example"], b"Subject: s\r\n\r\ntext\r\n")
            await relay.wait_for_records("t", 1)
            relay.process.send_signal(signal.SIGUSR1)
            await relay.until(lambda: [line for line in relay.log() if line["event"] == "state dumped"], "the dump")
            (file,) = relay.state_dir.glob("dump-*.txt")
            text = file.read_text("utf-8")
            assert file.stat().st_mode & 0o077 == 0
            assert (await client.command("NOOP")).code == 250  # nobody has died of it
    assert "b.example/{default}: 1 rcpt" in text
    assert text.partition("sessions of clients: 1")[2].splitlines()[1].strip() == "127.0.0.1"
    assert "Supervisor." in text


class Relay:
    """A supervisor whose one shard does not answer."""

    started = 0.0

    def __init__(self, pid: int) -> None:
        self.log: Any = Told()
        self._pid = pid

    async def ask_shards(self, verb: str, argument: bytes = b"", timeout: float = 10.0) -> list[f.Answer]:
        return []

    def pids(self) -> list[int]:
        return [self._pid]


class Told:
    """A log."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def warning(self, event: str, **more: Any) -> None:
        self.lines.append((event, more))

    error = warning


async def test_a_shard_that_is_stuck_writes_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    code = (
        "import sys, pathlib, time; from postwright.engine.state_dump import write_stacks_on_signal\n"
        "def stuck_here(): print('ready', flush=True); time.sleep(60)\n"
        "write_stacks_on_signal(pathlib.Path(sys.argv[1]), 0); stuck_here()"
    )
    shard = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(tmp_path), stdout=subprocess.PIPE)
    assert shard.stdout is not None
    await shard.stdout.readline()
    relay = Relay(shard.pid)
    await state_dump.write(relay, tmp_path)
    shard.kill()
    await shard.wait()
    (file,) = tmp_path.glob("dump-*.txt")
    assert relay.log.lines == [("state dumped", {"file": str(file)})]
    assert "does not answer" in file.read_text()
    assert "in stuck_here" in file.read_text()


def test_a_shard_that_is_only_beginning_does_not_die_of_it(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    code = (
        "import sys, pathlib; print('begins', flush=True); sys.stdin.readline()\n"
        "from postwright.engine.state_dump import write_stacks_on_signal\n"
        "def begun(): write_stacks_on_signal(pathlib.Path(sys.argv[1]), 0)\n"
        "begun()"
    )
    with state_dump.held():
        shard = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert shard.stdout is not None
    assert shard.stdout.readline() == "begins\n"
    shard.send_signal(signal.SIGUSR1)
    shard.communicate("go on\n", timeout=30)
    assert shard.returncode == 0
    assert "in begun" in state_dump.stacks_of(tmp_path, 0).read_text()


async def test_a_dump_that_cannot_be_written_is_said_and_no_more(tmp_path: Path) -> None:
    relay = Relay(0)
    await state_dump.write(relay, tmp_path / "none")
    assert [event for event, _ in relay.log.lines] == ["the state cannot be dumped"]
