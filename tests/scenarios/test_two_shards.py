"""Two shards, one relay: a queue's limits are exact whichever shard took the mail, and status tells of both."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
from tests.scenarios.alone import Alone
from tests.scenarios.clients import client, send

from postwright.testing.sink import SinkServer

LIMITS = """
<domain few.example>
    max-smtp-out 3
</domain>
<domain slow.example>
    max-msg-rate 10/s
</domain>
"""


async def from_many_connections(relay: Alone, domain: str, connections: int, messages: int) -> None:
    """So many connections that each shard is sure to have got some of them."""

    async def feed(name: int) -> None:
        async with client(relay.port) as session:
            for number in range(messages):
                await send(session, f"{name}-{number}@{domain}")

    await asyncio.gather(*[feed(name) for name in range(connections)])
    assert all(shard.traffic.messages_in > 0 for shard in relay.status().shards)


async def test_connections_of_a_queue_are_counted_once_for_all(tmp_path: Path) -> None:
    async with SinkServer(["data hang"]) as receiver, Alone(tmp_path, receiver, LIMITS, shards=2, options=("--drain", "1")) as relay:
        await from_many_connections(relay, "few.example", 12, 4)
        await receiver.wait_until(lambda: receiver.counts.acts["data", "hang"] == 3)
        # All 48 are in the hands of the one shard that owns the queue, and it opens no more than three connections.
        await relay.until(lambda: waiting(relay, "few.example/{default}") == [(48, 3)], "all in one queue")
        assert receiver.counts.most_open == 3


def waiting(relay: Alone, queue: str) -> list[tuple[int, int]]:
    """Recipients and connections of this queue, for every shard that has it."""
    found = [queue_ for shard in relay.status().shards for queue_ in shard.top_queues if queue_.name == queue]
    return [(queue_.recipients, queue_.connections) for queue_ in found]


async def test_a_rate_holds_for_all_shards_together(tmp_path: Path) -> None:
    async with SinkServer() as receiver, Alone(tmp_path, receiver, LIMITS, shards=2) as relay:
        await from_many_connections(relay, "slow.example", 8, 4)
        await receiver.wait_for(32)
        times = sorted(message.at for message in receiver.messages)
    # In no second more than ten left; that they arrive a little closer together than they left is the network's doing.
    assert all(later - earlier > 0.8 for earlier, later in zip(times, times[11:], strict=False))


async def test_status_as_text_and_as_json(tmp_path: Path) -> None:
    async with SinkServer(["rcpt 450 4.2.0 mailbox is busy"]) as receiver, Alone(tmp_path, receiver, shards=2) as relay:
        await relay.load(["waits.example", "waits.example"])
        await relay.wait_for_records("t", 2)
        status, text = await relay.command("status")
        assert status == 0
        assert "2 of 2 shards answer" in text
        [line] = [line for line in text.splitlines() if line.startswith("waits.example/{default}")]
        assert line.split()[1] == "2"
        status, text = await relay.command("status", "--json")
        assert status == 0
        told = json.loads(text)
        assert [shard["shard"] for shard in told["shards"]] == [0, 1]
        assert told["pids"] == [shard["pid"] for shard in told["shards"]]
        assert sum(shard["recipients"] for shard in told["shards"]) == 2
        assert sum(shard["traffic"]["messages_in"] for shard in told["shards"]) == 2
        [queue] = [queue for shard in told["shards"] for queue in shard["top_queues"]]
        assert (queue["name"], queue["recipients"]) == ("waits.example/{default}", 2)


async def test_status_where_no_relay_runs(tmp_path: Path) -> None:
    async with SinkServer() as receiver:
        status, text = await Alone(tmp_path, receiver).command("status")
    assert status == 3
    assert str(tmp_path / "state") in text


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="this system has no SCHED_BATCH")
async def test_shards_work_in_long_turns(tmp_path: Path) -> None:
    async with SinkServer() as receiver, Alone(tmp_path, receiver, shards=2) as relay:
        assert [os.sched_getscheduler(pid) for pid in relay.status().pids] == [os.SCHED_BATCH] * 2
