"""The whole relay is killed again and again with all consumers of events on: no event of a settled recipient is missing anywhere, and what
has one id never differs. Accounting files, which have each recipient once, are the measure. `./dev soak` kills fifty times."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.scenarios.alone import Alone

from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port

CONFIG = """
event-log yes
<acct-file |/bin/sh "{folder}/program.sh" {folder}>
    records d,b
    record-fields d type,rcpt,dsnStatus,timeLogged,eventId
    record-fields b type,rcpt,dsnStatus,timeLogged,eventId
    retry-interval 1s
</acct-file>
<acct-file hook.json>
    records d,b
    http-webhook-url http://127.0.0.1:{hook}/
    http-webhook-max-interval 1s
</acct-file>
<event-stream audit>
    url {kafka}
    topic mail.events
    records d,b
</event-stream>
"""
PER_ROUND = 12


class Hook:
    """A webhook's server; every third batch is refused."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._asked = 0

    async def take(self, request: web.Request) -> web.Response:
        self._asked += 1
        if self._asked % 3 == 0:
            return web.Response(status=503, headers={"Retry-After": "0"})
        self.events += await request.json()
        return web.Response()


@pytest.fixture
async def hook() -> AsyncIterator[tuple[Hook, int]]:
    server, port = Hook(), free_port()
    app = web.Application()
    app.router.add_post("/", server.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield server, port
    await runner.cleanup()


@pytest.fixture
def kafka() -> Iterator[str]:
    from confluent_kafka import Producer

    owner = Producer({"bootstrap.servers": "none:1", "test.mock.num.brokers": 1, "log_level": 0})
    [broker] = owner.list_topics(timeout=10).brokers.values()
    yield f"kafka://{broker.host}:{broker.port}"
    del owner


async def kafka_events(url: str, wanted: int) -> list[dict[str, Any]]:
    """At least so many different ones, if they come within some seconds, and all that comes with them."""
    from aiokafka import AIOKafkaConsumer

    consumer = AIOKafkaConsumer("mail.events", bootstrap_servers=url.removeprefix("kafka://"), auto_offset_reset="earliest")
    found: list[dict[str, Any]] = []
    await consumer.start()
    try:
        async with asyncio.timeout(20):
            while len({event["eventId"] for event in found}) < wanted:
                found.append(json.loads((await consumer.getone()).value))
    except TimeoutError:
        return found
    else:
        rest = await consumer.getmany(timeout_ms=200)
        return found + [json.loads(message.value) for messages in rest.values() for message in messages]
    finally:
        await consumer.stop()


def program_events(folder: Path) -> list[dict[str, str]]:
    """What all its lives were given, each into a file of its own; the last row of a life may be cut."""
    rows: list[dict[str, str]] = []
    for path in folder.glob("rows.*"):
        with path.open(newline="") as file:
            rows += [row for row in csv.DictReader(file) if row["eventId"] and len(row["eventId"].split("-")[-1]) == 16]
    return rows


def judge(who: str, events: list[dict[str, Any]], settled: set[tuple[str, str]]) -> None:
    """None is missing, and each id is one event's."""
    assert {(event["type"], event["rcpt"]) for event in events} == settled, who
    contents: dict[str, set[str]] = {}
    for event in events:
        contents.setdefault(event["eventId"], set()).add(json.dumps(event, sort_keys=True))
    assert {name: texts for name, texts in contents.items() if len(texts) > 1} == {}, who
    assert len(contents) == len(settled), who


async def killed(folder: Path, kills: int, hook: tuple[Hook, int], kafka: str) -> None:
    (folder / "program.sh").write_text('exec cat >"$1/rows.$$"\n')
    server, port = hook
    config = CONFIG.format(folder=folder, hook=port, kafka=kafka)
    async with SinkServer(["rcpt:bad*.example 550 5.1.1 no"]) as receiver, Alone(folder, receiver, config, shards=2) as relay:
        sent = 0
        for number in range(kills):
            domains = [f"{'d' if one % 4 else 'bad'}{number}-{one}.example" for one in range(PER_ROUND)]
            await relay.load(domains, sender="")
            sent += sum(not domain.startswith("bad") for domain in domains)
            # at another moment each time: from before any of it is delivered to after all of it is
            await receiver.wait_for(sent - PER_ROUND + number * 5 % PER_ROUND, 30)
            relay.kill()
            await relay.start()
        await relay.until(lambda: relay.status().shards[0].recipients + relay.status().shards[1].recipients == 0, "an empty spool", 60)
        wanted = kills * PER_ROUND
        await relay.until(lambda: len(relay.records("d", "b")) >= wanted, "all rows", 60)
        await relay.until(lambda: [(c.behind, c.trouble) for c in relay.status().consumers] == [(0, "")] * 3, "consumers to have all", 60)
        rows = [(row["type"], row["rcpt"]) for row in relay.records("d", "b")]
    assert len(rows) == len(set(rows)) == wanted
    judge("program", program_events(folder), set(rows))
    judge("webhook", server.events, set(rows))
    judge("kafka", await kafka_events(kafka, wanted), set(rows))


async def test_events_survive_kills(tmp_path: Path, hook: tuple[Hook, int], kafka: str) -> None:
    await killed(tmp_path, 2, hook, kafka)


@pytest.mark.soak
async def test_events_survive_fifty_kills(tmp_path: Path, hook: tuple[Hook, int], kafka: str) -> None:
    await killed(tmp_path, 50, hook, kafka)
