"""Processes end, politely or not: a shard alone, the whole relay in the middle of its work, a stop, a start. Nothing promised is lost."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from tests.scenarios.alone import Alone, arrived_once_each
from tests.scenarios.clients import HELLO, SENDER, client

from postwright.testing.sink import SinkServer
from postwright.testing.source import SourceClient

DOMAINS = [f"d{number}.example" for number in range(40)]  # enough that each of two shards has some of their queues


@pytest.mark.parametrize("victim", [0, 1])
async def test_a_shard_that_is_killed_comes_back_and_its_queues_go_on(tmp_path: Path, victim: int) -> None:
    async with SinkServer(["rcpt 450 4.2.0 later"]) as receiver, Alone(tmp_path, receiver, shards=2) as relay:
        await relay.load(DOMAINS)
        await relay.wait_for_records("t", len(DOMAINS))
        old = relay.status().pids[victim]
        os.kill(old, signal.SIGKILL)
        await relay.until(lambda: len(relay.events("shard ready")) == 3, "the shard to come back")
        assert relay.status().pids[victim] not in (0, old)
        receiver.set_rules([])
        await arrived_once_each(receiver, DOMAINS)
        [died] = relay.events("shard died")
        assert (died["shard"], died["pid"]) == (victim, old)


async def test_a_stop_lets_what_is_in_flight_end(tmp_path: Path) -> None:
    async with SinkServer(["eod delay=0.5"]) as receiver, Alone(tmp_path, receiver) as relay:
        await relay.load(["slow.example"])
        await receiver.wait_until(lambda: any(c.commands >= 3 for c in receiver.connections))
        assert await relay.stop() == 0
        [message] = receiver.messages
        assert message.recipients == ["0@slow.example"]
        [row] = relay.records("d")
        assert row["rcpt"] == "0@slow.example"


async def test_a_stop_is_over_within_its_bound_though_a_receiver_hangs(tmp_path: Path) -> None:
    async with SinkServer(["data first=1 hang"]) as receiver:
        async with Alone(tmp_path, receiver, options=("--drain", "1")) as relay:
            await relay.load(["hangs.example"])
            await receiver.wait_until(lambda: bool(receiver.counts.acts))
            started = asyncio.get_running_loop().time()
            assert await relay.stop() == 0
            assert asyncio.get_running_loop().time() - started < 6
            await relay.start()
            await arrived_once_each(receiver, ["hangs.example"])


async def test_a_client_in_the_middle_of_a_message_may_finish_it(tmp_path: Path) -> None:
    async with SinkServer() as receiver, Alone(tmp_path, receiver) as relay, client(relay.port) as session:
        await session.command(f"MAIL FROM:<{SENDER}>")
        await session.command("RCPT TO:<bob@last.example>")
        assert (await session.command("DATA")).code == 354
        relay.process.send_signal(signal.SIGTERM)
        await relay.until(lambda: not listening(relay.port), "the listener to close")
        assert (await session.content(HELLO)).code == 250
        assert await asyncio.to_thread(relay.process.wait, 20) == 0
        await relay.start()
        await receiver.wait_for(1)


def listening(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_a_stop_forgets_no_delivery(tmp_path: Path) -> None:
    """What one shard has delivered for another is written down there before both are gone; else it would be sent again."""
    # The receiver is slow, so that much is under way when the shard that owns no queue has nothing left to do.
    async with SinkServer(["eod delay=0.2"]) as receiver, Alone(tmp_path, receiver, shards=2) as relay:
        await asyncio.gather(*[relay.load(["one.example"] * 10) for _ in range(10)])
        assert await relay.stop() == 0
        status, left = await relay.command("spool", "list", "--json")
        assert status == 0
        assert len(receiver.messages) + len(left.splitlines()) == 100


async def test_what_was_deferred_is_delivered_after_a_restart(tmp_path: Path) -> None:
    async with SinkServer(["rcpt 450 4.2.0 later"]) as receiver, Alone(tmp_path, receiver, shards=2) as relay:
        await relay.load(DOMAINS)
        await relay.wait_for_records("t", len(DOMAINS))
        assert await relay.stop() == 0
        receiver.set_rules([])
        await relay.start()
        await arrived_once_each(receiver, DOMAINS)


@pytest.mark.parametrize("shards", [1, 2])
async def test_everything_is_killed_in_the_middle_of_a_load(tmp_path: Path, shards: int) -> None:
    promised: set[str] = set()

    async def feed(number: int, port: int) -> None:
        try:
            async with await SourceClient.connect("127.0.0.1", port) as session:
                await session.ehlo("client.example")
                for count in range(100_000):
                    recipient = f"{number}-{len(promised)}-{count}@d{count % 10}.example"
                    if (await session.send(SENDER, [recipient], HELLO)).final.code == 250:
                        promised.add(recipient)
        except (OSError, EOFError):
            return

    async with SinkServer(["rcpt 10% 450 4.2.0 later"]) as receiver, Alone(tmp_path, receiver, shards=shards) as relay:
        for round_ in range(3):
            feeders = [asyncio.create_task(feed(round_ * 10 + number, relay.port)) for number in range(4)]
            wanted = (round_ + 1) * 100
            await relay.until(lambda wanted=wanted: len(promised) >= wanted, "promises")  # type: ignore[misc]
            relay.kill()
            await asyncio.gather(*feeders)
            await relay.start()
        await receiver.wait_until(lambda: promised <= {r for m in receiver.messages for r in m.recipients}, 30, "all that was promised")
        assert all(message.content.endswith(HELLO) for message in receiver.messages)
