"""The harness of tests with a real relay: it starts, tells, waits, stops, starts again, and complains when it should."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from postwright.testing.relay_process import RelayError, RelayProcess, plain_config
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port
from postwright.testing.source import SourceClient


def rules(sink: SinkServer) -> str:
    return f"""\
<source 127.0.0.1/32>
    always-allow-relaying yes
</source>
<domain *>
    smtp-hosts [127.0.0.1]:{sink.port}
    retry-after 1s
</domain>
"""


async def send(port: int, recipient: str) -> None:
    async with await SourceClient.connect("127.0.0.1", port) as client:
        await client.ehlo("tests.example")
        sent = await client.send("a@a.example", [recipient], b"Subject: x\r\n\r\nhello\r\n")
        assert sent.final.code == 250


async def test_from_start_to_stop(tmp_path: Path) -> None:
    port = free_port()
    async with SinkServer(["rcpt:late@* first=1 450 4.2.0 not yet"]) as sink:
        async with RelayProcess(tmp_path, plain_config(port) + rules(sink), shards=2) as relay:
            await send(port, "b@b.example")
            [row] = await relay.wait_for_records("d", 1)
            assert (row["orig"], row["rcpt"], row["queue"]) == ("a@a.example", "b@b.example", "b.example/{default}")
            status = relay.status()
            assert [shard.shard for shard in status.shards] == [0, 1]
            assert relay.running
            assert await relay.stop() == 0
            assert not relay.running
            assert relay.log()[-1]["event"] == "stopped"
        assert sink.messages[0].parsed["Subject"] == "x"


async def test_killed_and_started_again_it_delivers_what_it_had(tmp_path: Path) -> None:
    port = free_port()
    async with SinkServer(["rcpt 450 4.2.0 not yet"]) as sink, RelayProcess(tmp_path, plain_config(port) + rules(sink)) as relay:
        await send(port, "late@b.example")
        await relay.wait_for_records("t", 1)
        relay.kill()
        assert relay.process.returncode == -signal.SIGKILL
        sink.set_rules([])
        await relay.start()
        [row] = await relay.wait_for_records("d", 1)
        assert row["rcpt"] == "late@b.example"


async def test_what_does_not_come_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    relay = RelayProcess(tmp_path, plain_config(free_port()))
    with pytest.raises(TimeoutError, match="1 records d"):
        async with relay:
            await relay.wait_for_records("d", 1, timeout=0.05)
    assert not relay.running
    assert "---- relay.log ----" in capsys.readouterr().out


async def test_death_while_a_test_waits(tmp_path: Path) -> None:
    async with RelayProcess(tmp_path, plain_config(free_port())) as relay:
        relay.kill()
        with pytest.raises(RelayError, match="is gone"):
            await relay.wait_for_records("d", 1)


async def test_a_relay_that_does_not_start(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path, "smtp-listener nonsense\n")
    with pytest.raises(RelayError, match="ended with status 2"):
        await relay.start()
    assert not relay.running


async def test_what_went_wrong_inside_is_told(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path, plain_config(free_port()))
    with pytest.raises(RelayError, match="something unexpected"):
        async with relay:
            with relay.output_file.open("a") as output:
                output.write("Traceback (most recent call last):\n")


START = """
import asyncio, pathlib, sys
from postwright.testing.relay_process import RelayProcess, plain_config

async def main():
    relay = RelayProcess(pathlib.Path(sys.argv[1]), plain_config(int(sys.argv[2])))
    await relay.start()
    print(relay.process.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="util-linux's setpriv ties the relay to the test")
async def test_a_killed_test_leaves_no_relay(tmp_path: Path) -> None:
    port = free_port()
    with subprocess.Popen([sys.executable, "-c", START, str(tmp_path), str(port)], stdout=subprocess.PIPE) as test:
        assert test.stdout is not None
        assert int(await asyncio.to_thread(test.stdout.readline))
        test.kill()
    deadline = time.monotonic() + 20
    while listens(port):
        assert time.monotonic() < deadline, "the relay still listens"
        await asyncio.sleep(0.02)


def listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
