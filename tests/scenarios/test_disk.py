"""A disk that is full: mail is refused for a while (452 4.3.1), nothing that was taken is lost, and it goes on without a restart."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.scenarios.alone import Alone
from tests.scenarios.clients import SENDER, client

from postwright.testing.sink import SinkServer

BIG = b"Subject: big\r\n\r\n" + (b"x" * 76 + b"\r\n") * 8000


async def send(relay: Alone, recipient: str, content: bytes = BIG) -> tuple[int, str]:
    async with client(relay.port) as session:
        sent = await session.send(SENDER, [recipient], content)
        return sent.final.code, sent.final.status


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no small file system may be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.needs("root", "mount")
async def test_a_full_disk(tmp_path: Path, small_disk: Path) -> None:
    async with SinkServer(["rcpt 450 4.2.0 later"]) as receiver:
        relay = Alone(tmp_path, receiver)
        relay.rules = relay.rules.replace("<spool spool>", f"<spool {small_disk}/spool>")
        relay.write_config(relay.rules)
        async with relay:
            taken = 0
            while (answer := await send(relay, f"{taken}@full.example")) == (250, "2.6.0"):
                taken += 1
                assert taken < 100, "the disk does not fill"
            assert answer == (452, "4.3.1")
            receiver.set_rules([])
            await receiver.wait_for(taken)
            assert sorted(message.recipients[0] for message in receiver.messages) == sorted(f"{n}@full.example" for n in range(taken))

            async with asyncio.timeout(20):
                while (answer := await send(relay, "after@full.example")) != (250, "2.6.0"):
                    assert answer == (452, "4.3.1")
                    await asyncio.sleep(0.1)
            await receiver.wait_for(taken + 1)


async def test_room_that_must_stay_free(tmp_path: Path) -> None:
    async with SinkServer() as receiver, Alone(tmp_path, receiver) as relay:
        assert await send(relay, "first@room.example") == (250, "2.6.0")
        relay.write_config(relay.rules.replace("<spool spool>", "<spool spool>\n    min-free-space 900t"))
        assert (await relay.command("reload"))[0] == 0
        assert await send(relay, "second@room.example") == (452, "4.3.1")
        relay.write_config(relay.rules)
        assert (await relay.command("reload"))[0] == 0
        assert await send(relay, "third@room.example") == (250, "2.6.0")
        await receiver.wait_for(2)
        assert sorted(message.recipients[0] for message in receiver.messages) == ["first@room.example", "third@room.example"]


async def test_room_that_was_not_free_at_the_start(tmp_path: Path) -> None:
    async with SinkServer() as receiver:
        relay = Alone(tmp_path, receiver)
        relay.write_config(relay.rules.replace("<spool spool>", "<spool spool>\n    min-free-space 900t"))
        async with relay:
            assert await send(relay, "refused@room.example") == (452, "4.3.1")
            assert relay.records("r") == []
