"""docs/guides/backup-and-restore.md, done: a relay with mail waiting is saved, restored elsewhere, and goes on.

About 3 seconds; mail alone is soaked.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.scenarios.alone import Alone

from postwright.control.cli.main import main
from postwright.testing.relay_process import RelayProcess
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port

GUIDE = (Path(__file__).parents[2] / "docs/guides/backup-and-restore.md").read_text("utf-8")
SAVE, RESTORE, MAIL, MEND = (block.splitlines() for block in re.findall(r"^```sh\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL))
HELD = "held.example"


async def type_in(folder: Path, lines: list[str]) -> str:
    """These commands as a person types them in `folder`; all must succeed. What ours print: they run in this process, which is quicker."""
    printed = ""
    with contextlib.chdir(folder):
        for program, *words in map(shlex.split, lines):
            if program == "postwright":
                done = await asyncio.to_thread(CliRunner().invoke, main, words)
                assert done.exit_code == 0, (words, done.output)
                printed += done.output
            else:
                subprocess.run([program, *words], check=True, timeout=60)
    return printed


async def with_mail_waiting(folder: Path, receiver: SinkServer, *, pause: bool) -> str:
    """A relay in `folder`, stopped while mail for two domains waits in it, perhaps with one of them paused; its configuration, mended."""
    folder.mkdir()
    relay = Alone(folder, receiver)
    working = relay.config_file.read_text("utf-8")
    relay.write_config(working.replace(f"[127.0.0.1]:{receiver.port}", f"[127.0.0.1]:{free_port()}"))
    async with relay:
        if pause:
            assert (await relay.command("pause", "queue", f"{HELD}/*", "--reason", "guide"))[0] == 0
        await relay.load(["a.example", HELD])
        await relay.stop()
    assert receiver.messages == []
    return working


async def test_a_relay_moves_with_its_mail_and_its_orders(tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    async with SinkServer() as receiver:
        working = await with_mail_waiting(tmp_path / "old", receiver, pause=True)
        await type_in(tmp_path / "old", SAVE)
        (tmp_path / "old" / "relay.tar").rename(new / "relay.tar")
        await type_in(new, RESTORE[:2])
        assert RESTORE[2:] == ["postwright run --config relay.conf --state-dir state"]  # as RelayProcess calls it
        async with RelayProcess(new, working) as moved:
            await moved.wait_for_records("d", 1)
            listed = f"postwright list '--queue={HELD}/*' --state-dir state"
            shown = await type_in(new, ["postwright show orders --state-dir state", listed])
            assert f"queue {HELD}/* paused since" in shown
            assert f"1@{HELD}" in shown
        assert [message.recipients for message in receiver.messages] == [["0@a.example"]]


@pytest.mark.soak
async def test_mail_moves_alone(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    new.mkdir()
    async with SinkServer() as receiver:
        working = await with_mail_waiting(old, receiver, pause=False)
        out, into = MAIL
        await type_in(old, [*MEND, out])
        (old / "mail.export").rename(new / "mail.export")
        async with RelayProcess(new, working) as other:  # it makes a spool
            await other.stop()
            await type_in(new, [into])
            await other.start()
            await receiver.wait_for(2)
        assert sorted(str(*message.recipients) for message in receiver.messages) == ["0@a.example", f"1@{HELD}"]
