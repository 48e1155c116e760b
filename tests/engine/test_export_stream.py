"""Events at brokers, read back by other people's clients: a NATS server, a Kafka cluster of librdkafka's, RabbitMQ (./dev soak)."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import find_program
from tests.engine.event_town import EventTown, delivered

from postwright.engine import export_feed, export_outlets, export_stream
from postwright.model.privacy import Privacy
from postwright.policy.settings import EventStream, Settings
from postwright.testing.sockets import free_port


def stream(url: str, **more: Any) -> EventStream:
    return EventStream("audit", url, "mail.events", **more)


def town_of(folder: Path, settings: EventStream) -> EventTown:
    return EventTown(folder, settings, settings.consumer, logs=2)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_feed, "PAUSE", 0.02)


async def listening(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            await asyncio.sleep(0.01)


# -- NATS ---------------------------------------------------------------------------------------


class NatsServer:
    """A nats-server with JetStream, that may be stopped and started."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        words = ["-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self._folder), "--user", "us", "--pass", "Corr3ct"]
        program = str(find_program("nats-server"))
        self._process = subprocess.Popen([program, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        await listening(self.port)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    server = NatsServer(tmp_path / "jetstream")
    await server.start()
    yield server
    server.stop()


@pytest.mark.needs("nats-server")
@pytest.mark.directive("url", "topic", "username", "password", "event-stream")
async def test_nats_has_every_event_once(tmp_path: Path, nats_server: NatsServer) -> None:
    import nats

    settings = stream(nats_server.url, username="us", password="Corr3ct", records=("d", "b"))
    town = town_of(tmp_path / "state", settings)
    town.write([delivered(1), delivered(2, "r")])
    async with town:
        # no stream has the subject: nobody would keep the event, so it waits
        await town.until(lambda: "event stream failed" in town.feed.status().trouble, "the missing stream to be told")
        client = await nats.connect(nats_server.url, user="us", password="Corr3ct")
        jetstream = client.jetstream()
        await jetstream.add_stream(name="EVENTS", subjects=["mail.>"])
        town.write([delivered(n) for n in range(3, 600)], log=1)
        await town.until_all_is_had()
        town.feed.rewind(0.0)  # all of it once more: JetStream knows the ids
        await town.until(lambda: town.feed.status().delivered >= 2 * 598, "the repeats")
    assert (await jetstream.stream_info("EVENTS")).state.messages == 598
    subscription = await jetstream.pull_subscribe("mail.events", "reader")
    first = (await subscription.fetch(1))[0]
    event = json.loads(first.data)
    assert first.headers is not None
    assert (first.headers["Nats-Msg-Id"], first.headers["type"]) == (event["eventId"], "d")
    assert (event["rcpt"], event["dsnStatus"], event["dlvSize"]) == ("1@example.com", "2.0.0 (success)", "1000")
    assert not any("Corr3ct" in json.dumps(told) for told in town.told)
    await client.close()


@pytest.mark.needs("nats-server")
async def test_nats_may_go_and_come(tmp_path: Path, nats_server: NatsServer) -> None:
    import nats

    client = await nats.connect(nats_server.url, user="us", password="Corr3ct")
    await client.jetstream().add_stream(name="EVENTS", subjects=["mail.>"])
    await client.close()
    town = town_of(tmp_path / "state", stream(nats_server.url, username="us", password="Corr3ct"))
    async with town:
        town.write([delivered(1)])
        await town.until_all_is_had()
        nats_server.stop()
        town.write([delivered(n) for n in range(2, 50)])
        await town.until(lambda: town.feed.status().trouble, "the trouble")
        await nats_server.start()
        await town.until_all_is_had()
    client = await nats.connect(nats_server.url, user="us", password="Corr3ct")
    assert (await client.jetstream().stream_info("EVENTS")).state.messages == 49
    await client.close()


# -- Kafka --------------------------------------------------------------------------------------


@pytest.fixture
def kafka() -> Iterator[str]:
    """The URL of a mock cluster of librdkafka's: its wire protocol is that of a broker, and made by others than our client's."""
    from confluent_kafka import Producer

    owner = Producer({"bootstrap.servers": "none:1", "test.mock.num.brokers": 2, "log_level": 0})
    brokers = owner.list_topics(timeout=10).brokers.values()
    yield "kafka://" + ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    del owner


async def kafka_messages(url: str, count: int) -> list[Any]:
    from aiokafka import AIOKafkaConsumer

    consumer = AIOKafkaConsumer("mail.events", bootstrap_servers=url.removeprefix("kafka://"), auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(10):
            return [await consumer.getone() for _ in range(count)]
    finally:
        await consumer.stop()


@pytest.mark.directive("records", "privacy-policy")
async def test_kafka(tmp_path: Path, kafka: str) -> None:
    town = town_of(tmp_path, stream(kafka, records=("d",), privacy_policy=Privacy("redact")))
    town.write([delivered(n) for n in range(300)])
    town.write([delivered(300, "b"), delivered(301)], log=1)
    async with town:
        await town.until_all_is_had()
    messages = await kafka_messages(kafka, 301)
    events = [json.loads(message.value) for message in messages]
    assert sorted(int(event["time"] - 1.7e9) for event in events) == [*range(300), 301]
    assert {event["rcpt"] for event in events} == {"...@example.com"}
    for message, event in zip(messages, events, strict=True):
        assert dict(message.headers) == {"eventId": event["eventId"].encode(), "type": b"d"}
        assert message.key == event["eventId"][:16].encode()


# -- AMQP ---------------------------------------------------------------------------------------


@pytest.fixture
async def rabbitmq(tmp_path: Path) -> AsyncIterator[str]:
    """A RabbitMQ of our own: all its ports are free ones, and Erlang's port mapper is a child of ours, so none is shared or left."""
    port, distribution, mapper = free_port(), free_port(), free_port()
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"pw{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(tmp_path / "mnesia"),
        "RABBITMQ_LOG_BASE": str(tmp_path / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(tmp_path / "plugins"),
        "RABBITMQ_PID_FILE": str(tmp_path / "pid"),
    }
    epmd = subprocess.Popen([str(find_program("epmd")), "-port", str(mapper), "-address", "127.0.0.1"], stdout=subprocess.DEVNULL)
    try:
        await listening(mapper)
    except TimeoutError:
        epmd.kill()
        raise
    process = subprocess.Popen(
        [str(find_program("rabbitmq-server"))],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        await listening(port)
        yield f"amqp://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 9)
        epmd.kill()
        process.wait()
        epmd.wait()


@pytest.mark.soak
@pytest.mark.needs("rabbitmq-server", "epmd")
@pytest.mark.directive("exchange")
async def test_rabbitmq(tmp_path: Path, rabbitmq: str) -> None:
    import aio_pika

    town = town_of(tmp_path / "state", stream(rabbitmq))
    town.write([delivered(1)])
    async with town:
        await town.until(lambda: "event stream failed" in town.feed.status().trouble, "the missing queue to be told")
        connection = await aio_pika.connect(rabbitmq)
        channel = await connection.channel()
        queue = await channel.declare_queue("mail.events", durable=True)
        town.write([delivered(n) for n in range(2, 1000)], log=1)
        await town.until_all_is_had()
    got = [await queue.get() for _ in range(999)]
    assert sorted(json.loads(message.body)["rcpt"] for message in got) == sorted(f"{n}@example.com" for n in range(1, 1000))
    assert all(message.message_id == json.loads(message.body)["eventId"] and message.type == "d" for message in got)
    assert await queue.get(fail=False) is None
    await connection.close()


async def test_amqp_without_a_server_is_trouble(tmp_path: Path) -> None:
    town = town_of(tmp_path, stream(f"amqp://127.0.0.1:{free_port()}/vhost"))
    town.write([delivered(1)])
    async with town:
        await town.until(lambda: "event stream failed: amqp://127.0.0.1" in town.feed.status().trouble, "the trouble")
    assert town.feed.status().behind > 0


# -- what is missing ------------------------------------------------------------------------------


@pytest.mark.parametrize(("url", "extra"), [("kafkas://a", "kafka"), ("amqp://a", "amqp"), ("natss://a", "nats")])
def test_an_extra_that_is_missing_is_named(url: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(event_streams={"audit": stream(url)})
    export_outlets.check(settings)
    monkeypatch.setattr(export_stream, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=rf"^<event-stream audit> needs [a-z-]+: pip install 'postwright\[{extra}\]'$"):
        export_outlets.check(settings)


@pytest.mark.directive("ca-file")
def test_addresses_and_tls(tmp_path: Path) -> None:
    several = stream("kafka://a.example,b.example:1,[::1]:2")
    assert export_stream.addresses(several, 9092) == [("a.example", 9092), ("b.example", 1), ("::1", 2)]
    assert export_stream.tls_of(stream("nats://a")) is None
    context = export_stream.tls_of(stream("natss://a"))
    assert context is not None
    assert context.check_hostname
    with pytest.raises(OSError):
        export_stream.tls_of(stream("amqps://a", ca_file=str(tmp_path / "none.pem")))
