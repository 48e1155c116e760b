"""As a service: told to systemd when it is ready, reloading and stopping; as an ordinary user once the ports are open."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.scenarios.alone import Alone

import postwright
from postwright.testing.sink import SinkServer


class Systemd:
    """The socket that systemd gives a service, and what was said to it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.setblocking(False)

    async def hears(self, word: str) -> str:
        """Waits for a message with this line; returns it whole."""
        async with asyncio.timeout(20):
            while True:
                said = (await asyncio.get_running_loop().sock_recv(self.socket, 4096)).decode()
                if word in said.split("\n"):
                    return said


@asynccontextmanager
async def systemd() -> AsyncIterator[Systemd]:
    with tempfile.TemporaryDirectory(prefix="pw-") as short:  # a Unix socket's name must be short
        told = Systemd(str(Path(short) / "notify"))
        yield told
        told.socket.close()


async def test_what_systemd_hears(tmp_path: Path) -> None:
    async with SinkServer() as receiver, systemd() as told:
        relay = Alone(tmp_path, receiver)
        command = [sys.executable, "-m", "postwright", "run", "--config", str(relay.config_file), "--state-dir", str(relay.state_dir)]
        process = subprocess.Popen([*command, "--shards", "2"], env={**os.environ, "NOTIFY_SOCKET": told.path}, start_new_session=True)
        try:
            await told.hears("READY=1")
            await relay.load(["ready.example"])  # ready means that mail is taken now
            await told.hears("WATCHDOG=1")
            process.send_signal(signal.SIGHUP)
            assert "MONOTONIC_USEC=" in await told.hears("RELOADING=1")
            await told.hears("READY=1")
            process.send_signal(signal.SIGTERM)
            await told.hears("STOPPING=1")
            assert await asyncio.to_thread(process.wait, 20) == 0
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.needs("root", "setpriv")
async def test_root_is_given_up_once_the_ports_are_open(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory(prefix="pw-") as open_to_all:  # pytest's own folders are closed to other users
        folder = Path(open_to_all)
        folder.chmod(0o755)
        async with SinkServer(["rcpt:late@* first=1 450 4.2.0 later"]) as receiver:
            relay = Alone(folder, receiver, shards=2, options=("--user", "nobody"))
            relay.python, more = python_for_all(nobody)
            relay.environment.update(more)
            relay.rules = relay.rules.replace("run-as-root yes", "run-as-root no")
            relay.write_config(relay.rules)
            async with relay:
                pids = [relay.process.pid, *relay.status().pids]
                assert {uids(pid) for pid in pids} == {(nobody.pw_uid,) * 4}
                await relay.load(["late.example"])
                await relay.wait_for_records("d", 1)
                relay.write_config(relay.rules + "max-rcpt-per-message nonsense\n")
                assert (await relay.command("reload"))[0] == 1
                os.kill(relay.status().pids[0], signal.SIGKILL)
                await relay.until(lambda: len(relay.events("shard ready")) == 3, "a shard that is started by one who is not root")
            written = [path for path in relay.state_dir.rglob("*") if path.is_file()]
            assert {path.stat().st_uid for path in written if path.suffix in (".csv", ".log", ".seg")} == {nobody.pw_uid}
            assert len(written) > 3


_TRY = """exec "$0" -c 'import asyncio, uvloop, postwright.control.cli.run'"""


def python_for_all(user: pwd.struct_passwd) -> tuple[str, dict[str, str]]:
    """A Python that this user too can start, with what our own has installed. An environment below a closed home folder is none."""
    library = sysconfig.get_path("purelib")
    path = os.pathsep.join([str(Path(postwright.__file__).parent.parent), library])
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info[1]}"):
        # By way of a shell: setpriv itself still has root's rights when it starts a program.
        command = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "/bin/sh", "-c", _TRY, python]
        if subprocess.run(command, env={"PYTHONPATH": path}, cwd="/", capture_output=True, check=False).returncode == 0:
            return python, {"PYTHONPATH": path}
    pytest.skip("the user nobody can start no Python with our packages here")


def uids(pid: int) -> tuple[int, ...]:
    """Real, effective, saved and file system user of a process."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("Uid:")]
    return tuple(map(int, line.split()[1:]))


@pytest.mark.needs("root")
async def test_a_user_that_there_is_not(tmp_path: Path) -> None:
    async with SinkServer() as receiver:
        relay = Alone(tmp_path, receiver)
        status, printed = await relay.command("run", "--config", str(relay.config_file), "--user", "nosuchuser")
    assert status == 1
    assert "useradd" in printed
    assert "Traceback" not in printed
