"""A real relay that is handed mail without SMTP: every command of the guides on pickup, sendmail and HTTP as it stands there, then files
that are no message or are still being written, and then it is killed while it takes more. Every piece of mail arrives, once."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections import Counter
from pathlib import Path

import aiohttp
import pytest
from tests.scenarios.test_http_submission import Client

from postwright.engine.pickup_folder import TAKEN
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sockets import free_port

GUIDES = Path(__file__).resolve().parents[2] / "docs" / "guides"
KEY = "0123456789abcdef0123456789abcdef"
NAMED = ("anne", "bob", "carol", "dora", "emil", "fritz", "gerd", "hans")  # recipients of the guides' commands
MORE = """
http-mgmt-address 127.0.0.1
http-redirect-to-https no
event-log yes
<source 127.0.0.1/32>
    always-allow-relaying yes
</source>
<domain test.example>
    type discard
</domain>
"""
FOLDER = "/var/spool/postwright/"


def blocks(guide: str, kind: str) -> list[str]:
    """The fenced blocks of a guide."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", (GUIDES / guide).read_text("utf-8"), re.MULTILINE | re.DOTALL)


class Doors(RelayProcess):
    """The configuration that the guides show, on free ports."""

    def __init__(self, folder: Path) -> None:
        self.smtp, self.http = free_port(), free_port()
        shown = "".join(blocks("pickup.md", "conf") + blocks("http-submission.md", "conf"))
        shown = shown.replace(FOLDER, "").replace("http-mgmt-port 8080", f"http-mgmt-port {self.http}")
        super().__init__(folder, plain_config(self.smtp) + shown + MORE)
        self.pickup = self.state_dir / "pickup"

    async def shell(self, script: str) -> str:
        """What a person types."""
        words = f'postwright() {{ "{sys.executable}" -m postwright "$@"; }}\n'
        settings = self.folder / "sendmail.conf"
        settings.write_text(f"relay 127.0.0.1:{self.smtp}\nfolder {self.pickup}\n")
        url = f"http://127.0.0.1:{self.http}"
        environment = {**os.environ, "URL": url, "KEY": KEY, "POSTWRIGHT_SENDMAIL": str(settings)}
        script = words + script.replace(FOLDER, f"{self.state_dir}/")
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-ec", script, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, f"{script}\n{said.decode()}"
        return said.decode()


@pytest.mark.directive("pickup", "pickup-remove-dot")
@pytest.mark.needs("curl")
async def test_the_guides_then_files_then_a_kill(tmp_path: Path) -> None:
    relay = Doors(tmp_path)
    async with relay:
        await relay.until(lambda: any(event["event"] == "the HTTP process answers" for event in relay.log()), "the HTTP process")
        for guide in ("pickup.md", "sendmail.md", "http-submission.md"):
            for script in blocks(guide, "sh"):
                await relay.shell(script)
        await relay.wait_for_records("d", len(NAMED))
        assert {row["rcpt"]: row["srcType"] for row in relay.records("r")} == {
            f"{name}@test.example": "smtp" if name == "dora" else "pickup" if name in ("anne", "bob", "carol") else "api" for name in NAMED
        }
        assert {row.get("jobId") for row in relay.records("r") if row["rcpt"] in ("anne@test.example", "emil@test.example")} == {
            "news-7", "orders",
        }  # fmt: skip
        await _files(relay)
        taken = await _killed(relay)
        expected = {f"{name}@test.example" for name in (*NAMED, "slow", *taken)}
        await relay.until(lambda: {row["rcpt"] for row in relay.records("d")} >= expected, "all mail", 60)
        assert await relay.stop() == 0
        for kind in ("r", "d"):
            assert Counter(row["rcpt"] for row in relay.records(kind)) == dict.fromkeys(expected, 1)
        assert not list((relay.pickup / TAKEN).iterdir())


async def _files(relay: Doors) -> None:
    """One that holds no message, and one that is written in place."""
    (relay.pickup / "broken").write_text("nothing of the kind\n")
    with (relay.pickup / "slow").open("w") as file:
        file.write("x-sender: me@example.com\nx-receiver: slow@test.example\nSubject: s\n\n")
        file.flush()
        bad = relay.state_dir / "bad" / "broken"
        await relay.until(bad.exists, "the broken file in the bad folder")
        assert (relay.pickup / "slow").exists()
        file.write("the end\n")
    assert bad.read_text() == "nothing of the kind\n"
    refused = [event for event in relay.log() if event["event"] == "a pickup file is refused"]
    assert [(event["file"], "x-sender" in event["reason"]) for event in refused] == [("broken", True)]


async def _killed(relay: Doors) -> list[str]:
    """Files are dropped and messages posted, the relay is killed in the middle, and started again; every request is made until it is
    answered."""
    files, posts = ([f"{kind}{number}" for number in range(25)] for kind in ("file", "post"))
    client = Client(relay.http, KEY)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        asked = [asyncio.create_task(client.until_taken(session, name)) for name in posts]
        for name in files:
            part = relay.pickup / f".{name}.tmp"
            part.write_text(f"x-sender: me@example.com\nx-receiver: {name}@test.example\nSubject: s\n\nbody\n")
            part.rename(relay.pickup / name)
        await relay.until(lambda: len(client.taken) > 5, "some messages taken")
        relay.kill()
        await relay.start()
        await asyncio.wait_for(asyncio.gather(*asked), 60)
    return [*files, *posts]
