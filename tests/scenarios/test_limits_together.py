"""Limits that several shards keep together, as receivers count them: never passed, and reached, while all of them bind at once.

Concurrency is exact at the receivers: a connection is counted from its accept to its end, and a relay may open the next one only when the
last has ended. A rate is not: what left in one window may arrive in another. Both bounds used here need no guess of how long that takes.
Before sending began nothing was on its way, so by the end of the first k intervals at most k times the rate has come. And what comes in any
one interval either left in it or was on its way when it began: two messages for each connection, as the receivers have PIPELINING.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.scenarios.clients import client, send
from tests.scenarios.internet import Internet

from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sink import SinkConnection, SinkServer
from postwright.testing.sink_talk import Talk
from postwright.testing.sockets import free_port

TOTAL, OF_VMTA, OF_MX, OF_ADDRESS, RATE, PACED = 8, 3, 2, 3, 20, 2
BEGUN = 2  # messages on one connection, see docs/guides/limits.md
SOURCES = {"few": "127.0.0.41", "paced": "127.0.0.42", "left": "127.0.0.43", "right": "127.0.0.44"}
WIDE, NARROW, SHARED = "127.76.0.1", "127.76.0.2", "127.76.0.3"
HOSTS = {
    WIDE: [f"w{number}.example" for number in range(4)],
    NARROW: ["narrow.example"],
    SHARED: [f"s{number}.example" for number in range(3)],
}
RULES = f"""
total-max-smtp-out {TOTAL}
mx-connection-limit mx.narrow.example {OF_MX}
ip-connection-limit {SHARED}/32 {OF_ADDRESS}
<source 127.0.0.1/32>
    always-allow-relaying yes
    process-x-virtual-mta yes
</source>
<domain *>
    max-msg-per-connection 3
</domain>
<virtual-mta few>
    smtp-source-host {SOURCES["few"]} few.relay.example
    max-smtp-out {OF_VMTA}
</virtual-mta>
<virtual-mta paced>
    smtp-source-host {SOURCES["paced"]} paced.relay.example
    max-smtp-out {PACED}
    max-smtp-msg-rate {RATE}/s
</virtual-mta>
<virtual-mta left>
    smtp-source-host {SOURCES["left"]} left.relay.example
</virtual-mta>
<virtual-mta right>
    smtp-source-host {SOURCES["right"]} right.relay.example
</virtual-mta>
"""
# The narrow queues have mail left when all others are done, so that they have their two connections at last whoever was served first.
NARROWLY = [("narrow.example", 24), *[(domain, 8) for domain in HOSTS[SHARED]]]
MAIL = {
    "few": [(domain, 10) for domain in HOSTS[WIDE]],
    "paced": [(domain, RATE // 2) for domain in HOSTS[WIDE]],
    "left": NARROWLY,
    "right": NARROWLY,
}
COUNT = sum(count for mail in MAIL.values() for _, count in mail)


class Crowd:
    """How many connections there are now, and were at most, in all: by source, by host, by both."""

    def __init__(self) -> None:
        self.now: Counter[object] = Counter()
        self.most: Counter[object] = Counter()

    def count(self, host: str, source: str, change: int) -> None:
        for name in ("all", source, host, (host, source)):
            self.now[name] += change
            self.most[name] = max(self.most[name], self.now[name])


class Counted(SinkServer):
    """A receiver whose connections are counted in a crowd."""

    def __init__(self, crowd: Crowd, **options: Any) -> None:
        super().__init__(["eod delay=0.03"], **options)
        self._crowd = crowd
        self._sources: dict[Talk, str] = {}

    def opened(self, talk: Talk, connection: SinkConnection) -> None:
        self._sources[talk] = connection.peer_address
        self._crowd.count(self.host, connection.peer_address, 1)
        super().opened(talk, connection)

    def gone(self, talk: Talk) -> None:
        self._crowd.count(self.host, self._sources.pop(talk), -1)
        super().gone(talk)


async def feed(port: int, connections: int = 10) -> None:
    """All of the mail over so many connections, so that every shard gets some of every queue."""
    letters = [(vmta, f"{vmta}-{number}@{domain}") for vmta, mail in MAIL.items() for domain, count in mail for number in range(count)]

    async def some(first: int) -> None:
        async with client(port) as session:
            for vmta, recipient in letters[first::connections]:
                await send(session, recipient, content=f"x-virtual-mta: {vmta}\r\n\r\nhello\r\n".encode())

    await asyncio.gather(*[some(first) for first in range(connections)])


@pytest.mark.parametrize("shards", [2, pytest.param(3, marks=pytest.mark.soak)])
@pytest.mark.directive("total-max-smtp-out", "mx-connection-limit", "ip-connection-limit", "max-smtp-out", "max-smtp-msg-rate")
async def test_receivers_never_count_more_and_limits_are_reached(tmp_path: Path, shards: int) -> None:
    crowd, port = Crowd(), free_port()
    async with AsyncExitStack() as stack:
        internet = await stack.enter_async_context(Internet())
        receivers = [await stack.enter_async_context(Counted(crowd, host=host, port=internet.port)) for host in HOSTS]
        for host, domains in HOSTS.items():
            for domain in domains:
                internet.name(domain, host)
        config = plain_config(port) + RULES + internet.rules
        relay = await stack.enter_async_context(RelayProcess(tmp_path, config, shards=shards))
        began = time.time()
        await feed(port)
        assert all(shard.traffic.messages_in > 0 for shard in relay.status().shards)
        await relay.until(lambda: sum(receiver.counts.messages for receiver in receivers) >= COUNT, "all of the mail")
    messages = [message for receiver in receivers for message in receiver.messages]
    assert len({message.recipients[0] for message in messages}) == len(messages) == COUNT
    reached = {name: crowd.most[name] for name in ("all", SOURCES["few"], SHARED, (NARROW, SOURCES["left"]), (NARROW, SOURCES["right"]))}
    assert list(reached.values()) == [TOTAL, OF_VMTA, OF_ADDRESS, OF_MX, OF_MX], reached
    assert crowd.most[SOURCES["paced"]] <= PACED
    kept(sorted(message.at - began for message in messages if message.connection.peer_address == SOURCES["paced"]))


def kept(times: list[float]) -> None:
    """The rate was; `times` in seconds since before the first message was sent. See the module for why these bounds are exact."""
    assert len(times) == 2 * RATE
    for number, at in enumerate(times, 1):
        assert number <= RATE * (int(at) + 1), f"{number} by {at:.3f} s"
        assert bisect_right(times, at + 1.0) - (number - 1) <= RATE + BEGUN * PACED, f"from {at:.3f} s on"
