"""A newcomer types `./dev run`, then what it prints, then Ctrl-C; and what is told when something stands in the way.

The clone is of what is committed. Its environment is made beforehand, of the packages of the one that the tests run in: what `./dev`
installs into an empty one is seen on every CI run.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import ROOT
from tests.scenarios.alone import Alone

from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port

pytestmark = pytest.mark.xdist_group("first-run")  # they share a clone


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    folder = tmp_path_factory.mktemp("clone") / "postwright"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    environment = folder / ".venv"
    venv.create(environment, with_pip=False)
    [packages] = environment.glob("lib/python3*/site-packages")
    (packages / "as-installed.pth").write_text(f"{folder / 'src'}\n{sysconfig.get_path('purelib')}\n")
    (environment / ".postwright-root").write_text(f"{folder}\n")
    (environment / ".postwright-runtime").write_text(stamp(folder) + "\n")
    return folder


def stamp(folder: Path) -> str:
    """What `./dev` notes when it has installed what the lock file says."""
    told = subprocess.run([folder / ".venv/bin/python", "-V"], capture_output=True, check=True).stdout
    return hashlib.sha256((folder / "pyproject.toml").read_bytes() + (folder / "requirements/runtime.lock").read_bytes() + told).hexdigest()


class Terminal:
    """`./dev run` as in a terminal: all that it prints, and Ctrl-C, which the terminal sends to everything in the foreground.

    The ports are free ones: on the usual ones somebody may listen, on a machine that the tests do not have for themselves.
    """

    def __init__(self, folder: Path) -> None:
        command = ["./dev", "run", "--port", str(free_port()), "--smtps-port", str(free_port())]
        self.process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        self.printed = ""

    async def shows(self, pattern: str) -> re.Match[str]:
        """Waits until what is printed has this."""
        async with asyncio.timeout(30):
            while not (found := re.search(pattern, self.read(), re.DOTALL | re.MULTILINE)):
                assert self.process.poll() is None, self.printed
                await asyncio.sleep(0.05)
        return found

    def read(self) -> str:
        assert self.process.stdout is not None
        self.printed += (self.process.stdout.read() or b"").decode()
        return self.printed

    async def ctrl_c(self) -> int:
        os.killpg(self.process.pid, signal.SIGINT)
        return await asyncio.to_thread(self.process.wait, 20)


@pytest.fixture
def terminal(clone: Path) -> Iterator[Terminal]:
    opened = Terminal(clone)
    yield opened
    if opened.process.poll() is None:
        os.killpg(opened.process.pid, signal.SIGKILL)


async def typed(line: str, folder: Path) -> None:
    done = await asyncio.to_thread(subprocess.run, ["sh", "-c", line], cwd=folder, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


async def test_from_dev_run_to_ctrl_c(terminal: Terminal, clone: Path) -> None:
    line = (await terminal.shows(r"^  (python3 -c '.*?'\))?.*?^  (?P<line>python3 -c '[^']*')$"))["line"]
    await terminal.shows("Ctrl-C stops")
    await typed(line, clone)
    await terminal.shows(r"message 1: from <you@example\.org> to .*friend@example\.com.* subject 'first message'")
    [saved] = (clone / "postwright-data" / "inbox").glob("*.eml")
    assert b"It works." in saved.read_bytes()
    assert await terminal.ctrl_c() == 0
    assert "Traceback" not in terminal.read()


@pytest.mark.needs("swaks")
async def test_the_swaks_line_too(terminal: Terminal, clone: Path, needs: object) -> None:
    assert callable(needs)
    line = (await terminal.shows(r"^  (swaks .*?)$"))[1]
    await terminal.shows("Ctrl-C stops")
    await typed(line.replace("swaks", str(needs("swaks")), 1), clone)
    await terminal.shows(r"message 1: from <you@example\.org> to .*friend@example\.com")
    assert await terminal.ctrl_c() == 0


# -- what stands in the way


async def run(*words: str) -> tuple[int, str]:
    """`postwright run WORDS`, which must end by itself."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "postwright", "run", *words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(30):
        printed, _ = await process.communicate()
    assert b"Traceback" not in printed
    return process.returncode or 0, printed.decode()


async def test_a_port_that_somebody_has(tmp_path: Path) -> None:
    async with SinkServer() as somebody:
        status, printed = await run("--port", str(somebody.port), "--state-dir", str(tmp_path / "state"))
    assert status == 1
    assert f"127.0.0.1:{somebody.port}: Address already in use; see who has it: ss -ltnp" in printed


async def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    status, printed = await run("--state-dir", str(tmp_path / "file" / "state"))
    assert status == 1
    assert f"{tmp_path}/file" in printed
    assert "Not a directory" in printed


async def test_a_second_relay_on_the_same_folder(tmp_path: Path) -> None:
    async with SinkServer() as receiver, Alone(tmp_path, receiver) as relay:
        status, printed = await run("--port", str(free_port()), "--state-dir", str(relay.state_dir))
        assert status == 1
        assert str(relay.state_dir) in printed
        assert relay.status().pids[0]


@pytest.mark.parametrize("words", [["--nonsense"], ["--config", "/no/such/file"]], ids=["option", "file"])
async def test_a_mistake_in_the_command(words: list[str], tmp_path: Path) -> None:
    status, printed = await run("--state-dir", str(tmp_path / "state"), *words)
    assert status == 2
    assert words[-1] in printed


async def test_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "relay.conf").write_text("host-name relay.example\nsmtp-lisener 127.0.0.1:25\n")
    status, printed = await run("--config", str(tmp_path / "relay.conf"), "--state-dir", str(tmp_path / "state"))
    assert status == 2
    assert "relay.conf:2:1" in printed
    assert "smtp-listener" in printed
    assert "nothing was started" in printed
