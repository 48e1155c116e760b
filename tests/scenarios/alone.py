"""A relay for one story alone: on two shards or one, stopped, killed, reloaded as the story wants; its receiver is on a port of its own."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.scenarios.clients import client, send

from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port

RULES = """
<source 127.0.0.1/32>
    always-allow-relaying yes
</source>
<domain *>
    smtp-hosts [127.0.0.1]:{receiver}
    retry-after 1s
</domain>
"""


class Alone(RelayProcess):
    """`more` is added to the configuration; `port` is where it listens."""

    def __init__(self, folder: Path, receiver: SinkServer, more: str = "", *, shards: int = 1, options: tuple[str, ...] = ()) -> None:
        self.port = free_port()
        self.rules = plain_config(self.port) + RULES.format(receiver=receiver.port)
        super().__init__(folder, self.rules + more, shards=shards, options=options)

    async def load(self, domains: list[str], *, sender: str = "anne@client.example") -> None:
        """A message to each of these domains; all must be taken."""
        async with client(self.port) as session:
            for number, domain in enumerate(domains):
                await send(session, f"{number}@{domain}", sender=sender)

    async def command(self, *words: str) -> tuple[int, str]:
        """`postwright WORDS --state-dir ...` as a person types it: exit status and all that it prints."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "postwright", *words, "--state-dir", str(self.state_dir)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, printed.decode()

    def events(self, name: str) -> list[dict[str, object]]:
        """Lines of the log with this event."""
        return [event for event in self.log() if event["event"] == name]


async def arrived_once_each(receiver: SinkServer, domains: list[str], timeout: float = 20.0) -> None:
    """Every message of `load(domains)` came, and none twice."""
    await receiver.wait_for(len(domains), timeout)
    got = sorted(recipient for message in receiver.messages for recipient in message.recipients)
    assert got == sorted(f"{number}@{domain}" for number, domain in enumerate(domains))
