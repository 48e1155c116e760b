"""The HTTP process under a real relay: it answers, it dies and is started anew while mail goes on, it follows reloads, and a port that
somebody else has is a warning."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import smtplib
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
import structlog
from tests.control.http.asgi import said

from postwright.control.config import loads
from postwright.engine import child, http_process
from postwright.engine.http_process import HttpProcess
from postwright.policy.settings import Settings
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sockets import free_port

CANNOT = "the HTTP monitor cannot listen; mail goes on, and it is tried again (see http-mgmt-port)"
GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "http-api.md"
ANSWERS = "the HTTP process answers"


def monitor(port: int) -> str:
    return f"http-mgmt-port {port}\nhttp-mgmt-address 127.0.0.1\nhttp-redirect-to-https no\nhttp-access 127.0.0.1 admin\n"


def fetch(port: int, path: str, body: bytes | None = None) -> bytes:
    """Raises OSError."""
    headers = {"X-API-Key": "k" * 32} if body else {}
    with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers), timeout=10) as answer:
        octets: bytes = answer.read()
        return octets


def refused(port: int) -> bool:
    try:
        fetch(port, "/status?format=json")
    except urllib.error.URLError as error:
        return isinstance(error.reason, ConnectionRefusedError)
    except OSError:  # it is just closing
        return False
    return False


def pids(relay: RelayProcess) -> list[int]:
    return [line["pid"] for line in relay.log() if line["event"] == ANSWERS]


@pytest.mark.needs("curl")
@pytest.mark.directive("http-mgmt-port", "http-mgmt-address")
async def test_a_life_with_a_monitor(tmp_path: Path) -> None:
    smtp, http = free_port(), free_port()
    plain = plain_config(smtp) + "<source 127.0.0.1/32>\nalways-allow-relaying yes\n</source>\n<domain *>\ntype discard\n</domain>\n"
    plain += f"http-api-key {'k' * 32}\nevent-log yes\ninclude conf.d/*.conf\n"
    (tmp_path / "conf.d").mkdir()
    async with RelayProcess(tmp_path, plain + monitor(http)) as relay:
        await relay.until(lambda: pids(relay), "the first HTTP process")
        # as Munin's plug-in asks it, then all that plug-ins written for PowerMTA read there (powermta.md section 4)
        status = ElementTree.fromstring((await said(http, b"GET /status?format=xml HTTP/1.1\n\n")).partition(b"\r\n\r\n")[2])
        for path in ("traffic/lastMin/in", "traffic/lastMin/out", "traffic/total/in", "traffic/lastHr/out", "traffic/topPerMin/in"):
            for leaf in ("rcp", "msg", "kb"):
                assert float(status.findtext(f"./data/status/{path}/{leaf}", "none")) == 0.0
        assert [status.findtext(f".//conn/{way}/cur") for way in ("smtpIn", "smtpOut")] == ["0", "0"]
        assert status.findtext(".//queue/smtp/rcp") == "0"
        assert status.find("succ") is not None
        paused = await asyncio.to_thread(fetch, http, "/command?command=pause+queue+a.example/*", b"x")
        assert paused.startswith(b"Queue(s) paused.\n")

        await asyncio.to_thread(commands_of_the_guide, http)
        assert "max-smtp-out" not in (tmp_path / "conf.d" / "limits.conf").read_text()  # which was applied, and rolled back
        os.kill(pids(relay)[0], signal.SIGKILL)
        await asyncio.to_thread(send, smtp)
        await relay.wait_for_records("d", 1)
        await relay.until(lambda: len(pids(relay)) == 2, "the second HTTP process")
        assert await asyncio.to_thread(fetch, http, "/queues?queue=a.example&format=json")

        relay.write_config(plain)
        assert relay.ask("reload").ok
        await relay.until(lambda: refused(http), "its end")


def commands_of_the_guide(port: int) -> None:
    """Every one of docs/guides/http-api.md works as it stands there (the configuration has another name here)."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 5
    script = "\n".join(blocks).replace("name=config", "name=relay.conf")
    environment = {**os.environ, "URL": f"http://127.0.0.1:{port}", "KEY": "k" * 32}
    done = subprocess.run(["/bin/sh", "-ec", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def send(port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.sendmail("a@us.example", ["b@elsewhere.example"], "Subject: x\r\n\r\nx\r\n")


class Log:
    def __init__(self) -> None:
        self.events: list[str] = []

    def _keep(self, event: str, **fields: object) -> None:
        self.events.append(event)

    info = warning = error = _keep


# stands for the process: takes the place of its arguments, and ends when its control socket does
PROGRAM = [sys.executable, "-c", "import socket, sys; socket.socket(fileno=int(sys.argv[-1])).makefile('rb').read()"]


def settings(port: int) -> Settings:
    result = loads(f"http-mgmt-port {port}\nhttp-mgmt-address 127.0.0.1\n", "t.conf")
    assert result.settings is not None
    return result.settings


@pytest.mark.directive("http-mgmt-port")
async def test_a_port_that_somebody_else_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_process, "RETRY", 0.02)
    log = Log()
    process = HttpProcess(PROGRAM, tmp_path, "", False, 2, log)  # type: ignore[arg-type]
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        process.open(settings(theirs.getsockname()[1]))
        process.open(settings(theirs.getsockname()[1]))
        assert process.places == []
        assert log.events == [CANNOT]
        attending = asyncio.get_running_loop().create_task(process.attend())
    await until(lambda: process.pid)
    first, other = process.pid, free_port()
    process.tell(settings(other))  # a reload
    assert process.places == [f"127.0.0.1:{other}"]
    await until(lambda: process.pid not in (0, first))
    process.tell(settings(0))
    await until(lambda: not process.pid)
    assert process.places == []
    await process.stop()
    await attending
    assert log.events == [CANNOT]  # none of that is a death


async def test_without_a_port_it_waits(tmp_path: Path) -> None:
    """A reload that takes the last port away leaves nothing to do: the supervisor's loop is for mail."""
    process = HttpProcess(PROGRAM, tmp_path, "", False, 2, Log())  # type: ignore[arg-type]
    process.open(settings(free_port()))
    attending = asyncio.get_running_loop().create_task(process.attend())
    await until(lambda: process.pid)
    process.tell(settings(0))
    await until(lambda: not process.pid)
    looks: list[Settings] = []
    process.open = looks.append  # type: ignore[method-assign]
    for _ in range(100):  # turns of the loop: the next look is RETRY seconds away
        await asyncio.sleep(0)
    assert looks == []
    await process.stop()
    await attending


async def until(condition: Callable[[], object]) -> None:
    deadline = asyncio.get_running_loop().time() + 10
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)


async def test_without_a_program_nothing_listens(tmp_path: Path) -> None:
    process = HttpProcess((), tmp_path, "", False, 2, structlog.get_logger())
    process.open(settings(free_port()))
    assert process.places == []


@pytest.mark.directive("http-mgmt-address")
async def test_without_an_address_it_is_all_of_them(tmp_path: Path) -> None:
    process = HttpProcess(PROGRAM, tmp_path, "", False, 2, Log())  # type: ignore[arg-type]
    port = free_port()
    result = loads(f"http-mgmt-port {port}\n", "t.conf")
    assert result.settings is not None
    process.open(result.settings)
    assert f"0.0.0.0:{port}" in process.places
    await process.stop()


async def test_a_stop_while_it_begins_is_no_complaint() -> None:
    """A terminal's Ctrl-C goes to all processes; one that is still importing must not end by it, but by its socket."""
    counting = [sys.executable, "-c", "import signal, sys; sys.exit(len(signal.pthread_sigmask(signal.SIG_BLOCK, ())))"]
    for held in (True, False):
        process, sock = child.spawn(counting, held=held)
        sock.close()
        assert await child.reap(process, 10) == (len(child.HELD) if held else 0)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
