"""The relay as it is started: processes, signals, privileges. One start serves several questions, since each takes a second."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import postwright
from postwright.engine.bus import BusError
from postwright.engine.views.status import StatusView
from postwright.testing import SourceClient
from postwright.testing.relay_process import RelayProcess
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port

PACKAGES = os.pathsep.join([str(Path(postwright.__file__).parents[1]), *[path for path in sys.path if path.endswith("site-packages")]])
CONTENT = b"Subject: x\r\n\r\nhello\r\n"


def config(port: int, sink: SinkServer, *lines: str) -> str:
    more = "\n".join(lines)
    return f"""\
host-name relay.example
log-file relay.log
smtp-listener 127.0.0.1:{port}
<source 127.0.0.1>
    always-allow-relaying yes
</source>
<domain *>
    smtp-hosts [127.0.0.1]:{sink.port}
    retry-after 1s
    use-starttls no
</domain>
<spool spool>
</spool>
<acct-file acct.csv>
    records d, b
</acct-file>
{more}
"""


async def send(port: int, *recipients: str) -> None:
    async with await SourceClient.connect("127.0.0.1", port) as client:
        await client.ehlo()
        for recipient in recipients:
            assert (await client.send("me@sender.example", [recipient], CONTENT)).final.code == 250


def owner(pid: int) -> set[int]:
    """All user ids of a process: real, effective, saved, for files."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {int(word) for line in lines if line.startswith("Uid:") for word in line.split()[1:]}


async def test_two_shards_one_is_killed_and_reloads_are_survived(tmp_path: Path) -> None:
    port = free_port()
    async with SinkServer() as sink, RelayProcess(tmp_path, config(port, sink, "run-as-root yes"), shards=2) as relay:
        status = relay.status()
        assert len({shard.pid for shard in status.shards} | {relay.process.pid}) == 3
        assert stat.S_IMODE((relay.state_dir / "control.sock").stat().st_mode) == 0o600
        os.kill(status.pids[0], signal.SIGKILL)
        await send(port, *[f"{number}@d{number}.example" for number in range(10)])
        await sink.wait_for(10)
        await relay.until(lambda: len(relay.status().shards) == 2, "the shard to be there again")
        assert relay.status().pids[0] != status.pids[0]
        relay.write_config("nonsense here\n")
        os.kill(relay.process.pid, signal.SIGHUP)
        await relay.until(lambda: [line for line in relay.log() if line["event"] == "reload refused"], "the reload to be refused")
        assert not relay.ask("reload").ok
        await send(port, "after@bad.example")
        await sink.wait_for(11)
        relay.write_config(config(port, sink, "run-as-root yes"))
        assert relay.ask("reload").ok
        assert {shard.epoch for shard in relay.status().shards} != {1}
        await relay.wait_for_records("d", 11)
        assert len(relay.records("d")) == 11
        before = msgspec.json.decode(relay.ask("view-status").body, type=StatusView).traffic.total
        assert (before.in_rcpts, before.out_rcpts) == (11, 11)
        os.kill(relay.status().pids[1], signal.SIGKILL)
        await relay.until(lambda: len(relay.status().shards) == 2, "the shard to be there again")
        assert msgspec.json.decode(relay.ask("view-status").body, type=StatusView).traffic.total == before  # though one began at nothing
        assert await relay.stop() == 0
        with pytest.raises(BusError):
            relay.status()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can reach (pytest's own are root's alone)."""
    with tempfile.TemporaryDirectory(prefix="pw-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


def low_port() -> int:
    """A free port that only root may bind."""
    for port in range(600, 1000):
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    pytest.fail("no free port below 1000")


def python_for_nobody() -> str:
    """An interpreter like ours that the user nobody can run: ours may lie below /root."""
    for path in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        try:
            subprocess.run([path, "-c", "import postwright.engine.shard"], user="nobody", check=True, env={"PYTHONPATH": PACKAGES})
            return path
        except (OSError, subprocess.CalledProcessError):
            continue
    pytest.skip("the user nobody can run no Python of this version; install one outside of /root (apt-get install python3)")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give root up; run the tests as root to see this one")
async def test_root_binds_the_port_and_then_is_gone(open_folder: Path) -> None:
    python, environment = python_for_nobody(), {"PYTHONPATH": PACKAGES}
    nobody = pwd.getpwnam("nobody").pw_uid
    port = low_port()
    async with SinkServer(["connect 421 4.3.2 not yet"]) as sink:
        relay = RelayProcess(open_folder, config(port, sink, "run-as-root yes"), python=python, environment=environment)
        async with relay:
            await send(port, "first@example.com")  # a spool that a run as root leaves behind
        sink.set_rules([])
        as_nobody = config(port, sink, "run-as-root no")
        relay = RelayProcess(open_folder, as_nobody, options=("--user", "nobody"), python=python, environment=environment)
        async with relay:
            assert [owner(pid) for pid in (relay.process.pid, *relay.status().pids)] == [{nobody}] * 2
            assert (relay.state_dir / "control.sock").stat().st_uid == nobody
            await send(port, "second@example.com")
            await sink.wait_for(2)
            assert sorted(r for message in sink.messages for r in message.recipients) == ["first@example.com", "second@example.com"]


async def test_a_drain_is_bounded_and_what_was_cut_comes_again(tmp_path: Path) -> None:
    port = free_port()
    async with SinkServer(["eod first=1 hang"]) as sink:
        relay = RelayProcess(tmp_path, config(port, sink, "run-as-root yes"), options=("--drain", "0.5"))
        async with relay:
            await send(port, "you@example.com")
            await sink.wait_until(lambda: bool(sink.counts.acts["eod", "hang"]))
            began = time.monotonic()
            assert await relay.stop() == 0
            assert time.monotonic() - began < 10.0
        async with relay:
            await sink.wait_for(1)
            await relay.wait_for_records("d", 1)


async def test_sigterm_twice_ends_it_at_once(tmp_path: Path) -> None:
    port = free_port()
    async with SinkServer(["eod hang"]) as sink:
        relay = RelayProcess(tmp_path, config(port, sink, "run-as-root yes"), options=("--drain", "60"))
        async with relay:
            await send(port, "you@example.com")
            await sink.wait_until(lambda: bool(sink.counts.acts["eod", "hang"]))
            relay.process.send_signal(signal.SIGTERM)
            await relay.until(lambda: [line for line in relay.log() if line["event"] == "stopping"], "the stop to begin")
            relay.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(relay.process.wait, 10.0) == 0
