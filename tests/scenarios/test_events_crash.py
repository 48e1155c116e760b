"""The whole relay is killed again and again with all consumers of events on: no event of a settled recipient is missing anywhere, and what
has one id never differs. Accounting files, which have each recipient once, are the measure. `./dev soak` kills fifty times."""

from __future__ import annotations

import csv
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.engine.brokers import (
    PASSWORD,
    TOPIC,
    USER,
    kafka_messages,
    mock_kafka,
    rabbitmq_messages,
    rabbitmq_queue,
    running_nats,
    running_rabbitmq,
)
from tests.scenarios.alone import Alone

from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port

FILES = """
event-log yes
<acct-file |/bin/sh "{folder}/program.sh" {folder}>
    records d,b
    record-fields d type,rcpt,dsnStatus,timeLogged,eventId
    record-fields b type,rcpt,dsnStatus,timeLogged,eventId
    retry-interval 1s
</acct-file>
<acct-file hook.json>
    records d,b
    http-webhook-url http://127.0.0.1:{port}/
    http-webhook-max-interval 1s
</acct-file>
"""
STREAM = f"""
<event-stream {{name}}>
    url {{url}}
    topic {TOPIC}
    records d,b
    {{more}}
</event-stream>
"""
PER_ROUND = 12


class Hook:
    """A webhook's server; every third batch is refused."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.events: list[dict[str, Any]] = []
        self._asked = 0

    async def take(self, request: web.Request) -> web.Response:
        self._asked += 1
        if self._asked % 3 == 0:
            return web.Response(status=503, headers={"Retry-After": "0"})
        self.events += await request.json()
        return web.Response()


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    server = Hook(free_port())
    app = web.Application()
    app.router.add_post("/", server.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", server.port).start()
    yield server
    await runner.cleanup()


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


async def killed(receiver: SinkServer, relay: Alone, kills: int, consumers: int) -> set[tuple[str, str]]:
    """The relay's life: loaded and killed so often, and let finish. Returns what it has settled, (type, recipient)."""
    sent = 0
    for number in range(kills):
        domains = [f"{'d' if one % 4 else 'bad'}{number}-{one}.example" for one in range(PER_ROUND)]
        await relay.load(domains, sender="")
        sent += sum(not domain.startswith("bad") for domain in domains)
        # at another moment each time: from before any of it is delivered to after all of it is
        await receiver.wait_for(sent - PER_ROUND + number * 5 % PER_ROUND, 30)
        relay.kill()
        await relay.start()
    await relay.until(lambda: sum(shard.recipients for shard in relay.status().shards) == 0, "an empty spool", 60)
    wanted = kills * PER_ROUND
    await relay.until(lambda: len(relay.records("d", "b")) >= wanted, "all rows", 60)
    all_had = [(0, "")] * consumers
    await relay.until(lambda: [(c.behind, c.trouble) for c in relay.status().consumers] == all_had, "consumers to have all", 60)
    rows = [(row["type"], row["rcpt"]) for row in relay.records("d", "b")]
    assert len(rows) == len(set(rows)) == wanted
    return set(rows)


async def judged(folder: Path, hook: Hook, kills: int, rabbitmq: str = "") -> None:
    """With everything on: a program, a webhook, Kafka, NATS; RabbitMQ where there is one."""
    (folder / "program.sh").write_text('exec cat >"$1/rows.$$"\n')
    async with AsyncExitStack() as stack:
        kafka = stack.enter_context(mock_kafka())
        nats = await stack.enter_async_context(running_nats(folder / "jetstream"))
        await nats.make_stream()
        config = FILES.format(folder=folder, port=hook.port) + STREAM.format(name="kafka", url=kafka, more="")
        config += STREAM.format(name="nats", url=nats.url, more=f"username {USER}\npassword {PASSWORD}")
        config += STREAM.format(name="rabbitmq", url=rabbitmq, more="") if rabbitmq else ""
        async with SinkServer(["rcpt:bad*.example 550 5.1.1 no"]) as receiver, Alone(folder, receiver, config, shards=2) as relay:
            settled = await killed(receiver, relay, kills, consumers=5 if rabbitmq else 4)
        judge("program", program_events(folder), settled)
        judge("webhook", hook.events, settled)
        judge("kafka", [json.loads(message.value) for message in await kafka_messages(kafka, len(settled))], settled)
        judge("nats", [json.loads(message.data) for message in await nats.messages()], settled)
        if rabbitmq:
            judge("rabbitmq", [json.loads(message.body) for message in await rabbitmq_messages(rabbitmq)], settled)


@pytest.mark.needs("nats-server")
async def test_events_survive_kills(tmp_path: Path, hook: Hook) -> None:
    await judged(tmp_path, hook, 2)


@pytest.mark.soak
@pytest.mark.needs("nats-server", "rabbitmq-server", "epmd")
async def test_events_survive_fifty_kills(tmp_path: Path, hook: Hook) -> None:
    async with running_rabbitmq(tmp_path / "rabbitmq") as url:
        async with rabbitmq_queue(url):
            await judged(tmp_path, hook, 50, url)
