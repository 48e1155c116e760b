"""Inbound slots are one number for all shards: exactly so many sessions come in, of the relay and of each group, whoever takes them."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from pathlib import Path

from postwright.engine.status import status_lines
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sockets import free_port

RULES = """
total-max-smtp-in 20
smtp-listener 127.0.0.2:{port} source={{gold}}
smtp-listener 127.0.0.3:{port} source={{lead}}
<source {{gold}}>
    source-group Gold
</source>
<source {{lead}}>
    source-group lead
</source>
<source-group gold>
    reserved-smtp-in 5
</source-group>
<source-group lead>
    max-smtp-in 3
</source-group>
"""

PATIENT = "<source 127.0.0.1/32>\n    max-junk-commands unlimited\n</source>\n"

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Crowd:
    """Connections to the relay's three doors, and what each was greeted with."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.inside: dict[str, list[Ends]] = {"": [], "gold": [], "lead": []}
        self.refused: Counter[str] = Counter()

    async def knock(self, group: str, times: int) -> None:
        """So many at the same moment."""
        host = {"": "127.0.0.1", "gold": "127.0.0.2", "lead": "127.0.0.3"}[group]
        await asyncio.gather(*[self._knock(host, group) for _ in range(times)])

    async def _knock(self, host: str, group: str) -> None:
        ends = await asyncio.open_connection(host, self.port)
        greeting = await asyncio.wait_for(ends[0].readline(), 20)
        if greeting.startswith(b"220"):
            self.inside[group].append(ends)
        else:
            assert greeting == b"421 4.7.0 too many sessions, try again later\r\n"
            self.refused[group] += 1
            ends[1].close()

    async def leave(self, group: str, times: int) -> None:
        """So many leave, politely: the relay has heard of it when it has answered."""
        for _ in range(times):
            reader, writer = self.inside[group].pop()
            writer.write(b"QUIT\r\n")
            assert (await reader.read()).startswith(b"221")
            writer.close()

    def counts(self) -> dict[str, int]:
        return {group: len(ends) for group, ends in self.inside.items()}


async def test_two_shards_count_slots_as_one(tmp_path: Path) -> None:
    port = free_port()
    async with RelayProcess(tmp_path, plain_config(port) + RULES.format(port=port), shards=2) as relay:
        crowd = Crowd(port)
        await crowd.knock("", 30)  # five of the twenty are kept
        assert crowd.counts() == {"": 15, "gold": 0, "lead": 0}
        assert all(shard.connections_in for shard in relay.status().shards)
        assert "  refused at the door: 15 no slot" in status_lines(relay.status())
        await crowd.knock("gold", 12)
        assert crowd.counts() == {"": 15, "gold": 5, "lead": 0}
        assert sum(shard.connections_in for shard in relay.status().shards) == 20
        await crowd.knock("lead", 2)
        assert crowd.counts()["lead"] == 0
        await crowd.leave("", 10)
        await settled(relay, 10)
        await crowd.knock("lead", 8)
        assert crowd.counts() == {"": 5, "gold": 5, "lead": 3}
        await crowd.knock("gold", 20)
        assert crowd.counts() == {"": 5, "gold": 12, "lead": 3}
        relay.write_config(plain_config(port) + RULES.format(port=port).replace("total-max-smtp-in 20", "total-max-smtp-in 22"))
        relay.process.send_signal(signal.SIGHUP)
        await relay.until(lambda: any(event["event"] == "reloaded" for event in relay.log()), "the reload")
        await crowd.knock("", 5)
        assert crowd.counts() == {"": 7, "gold": 12, "lead": 3}


async def settled(relay: RelayProcess, sessions: int) -> None:
    """All shards together have so many: those that left are gone everywhere."""
    await relay.until(lambda: sum(shard.connections_in for shard in relay.status().shards) == sessions, f"{sessions} sessions")


async def test_who_waits_gets_the_slot_that_another_shard_gave_back(tmp_path: Path) -> None:
    port = free_port()
    async with RelayProcess(tmp_path, plain_config(port) + "total-max-smtp-in 4\nsmtp-await-slot yes\n", shards=2) as relay:
        crowd = Crowd(port)
        await crowd.knock("", 4)
        waiting = [asyncio.ensure_future(crowd.knock("", 1)) for _ in range(8)]
        await relay.until(lambda: sum(shard.waiting_for_slot for shard in relay.status().shards) == 8, "all to wait")
        for gone in range(8):
            await crowd.leave("", 1)
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=20)
            let_in = [task for task in waiting if task.done()]
            assert len(let_in) == 1, gone
            waiting.remove(let_in[0])
        assert not crowd.refused
        assert sum(shard.connections_in for shard in relay.status().shards) == 4


async def test_a_rate_of_connections_is_one_for_both_shards(tmp_path: Path) -> None:
    port = free_port()
    rules = "<source 127.0.0.1/32>\n    max-connect-rate-in 12/h\n</source>\n"
    async with RelayProcess(tmp_path, plain_config(port) + rules, shards=2) as relay:
        greetings = await asyncio.gather(*[greeting(port) for _ in range(40)])
        assert sum(said.startswith(b"220") for said in greetings) == 12
        assert set(greetings) > {b"421 4.7.0 too many connections in a short time, try again later\r\n"}
        assert sum(shard.refused_at_door["too_fast"] for shard in relay.status().shards) == 28


async def greeting(port: int) -> bytes:
    """What a new connection hears first."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await asyncio.wait_for(reader.readline(), 20)
    finally:
        writer.close()


async def test_who_speaks_before_the_greeting_is_refused(tmp_path: Path) -> None:
    port = free_port()
    rules = "<source 127.0.0.1/32>\n    early-talker-delay 1s\n</source>\n"
    async with RelayProcess(tmp_path, plain_config(port) + rules):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"EHLO spam.example\r\n")
        assert await asyncio.wait_for(reader.read(), 20) == b"554 5.5.1 wait for the greeting before you speak\r\n"
        writer.close()
        assert (await greeting(port)).startswith(b"220 relay.example")


async def test_with_too_little_memory_mail_is_put_off(tmp_path: Path) -> None:
    """Every machine that can run this uses more than one part in a hundred of its memory."""
    port = free_port()
    async with RelayProcess(tmp_path, plain_config(port) + "max-memory-usage-percent 1\n" + PATIENT) as relay:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HELO client.example\r\n")
        said = [await reader.readline() for _ in range(2)]

        async def mail() -> bytes:
            writer.write(b"RSET\r\nMAIL FROM:<>\r\n")
            said.extend([await reader.readline() for _ in range(2)])
            return said[-1]

        async with asyncio.timeout(20):
            while (await mail()).startswith(b"250"):
                assert relay.running
                await asyncio.sleep(0.05)  # the relay looks once a second
        assert said[-1] == b"452 4.3.2 Server resources temporarily exhausted\r\n"
        writer.close()
