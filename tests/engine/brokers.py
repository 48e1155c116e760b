"""Brokers for tests of event streams: a NATS server, a Kafka cluster of librdkafka's, RabbitMQ; and readers that other people made.

Ports are free ones, folders the test's, and nothing is left: each is a context manager. Programs are those of `tests/system/install`.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import find_program

from postwright.testing.sockets import free_port

TOPIC = "mail.events"
USER, PASSWORD = "us", "Corr3ct"


async def listening(port: int) -> None:
    """Until somebody takes connections there."""
    deadline = asyncio.get_running_loop().time() + 60
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert asyncio.get_running_loop().time() < deadline, f"nobody listens on {port}"
        await asyncio.sleep(0.01)


# -- NATS ---------------------------------------------------------------------------------------


class NatsServer:
    """A nats-server with JetStream, that may be stopped and started. `more` are words for it."""

    def __init__(self, folder: Path, *more: str) -> None:
        self._more = more
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        words = ["-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self._folder), "--user", USER, "--pass", PASSWORD]
        program = str(find_program("nats-server"))
        self._process = subprocess.Popen([program, *words, *self._more], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        await listening(self.port)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def make_stream(self) -> None:
        """A JetStream stream that has the topic."""
        async with self.client() as client:
            await client.jetstream().add_stream(name="EVENTS", subjects=["mail.>"])

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Any]:
        import nats

        client = await nats.connect(self.url, user=USER, password=PASSWORD)
        try:
            yield client
        finally:
            await client.close()

    async def messages(self) -> list[Any]:
        """All that the stream has."""
        async with self.client() as client:
            jetstream = client.jetstream()
            count = (await jetstream.stream_info("EVENTS")).state.messages
            subscription = await jetstream.pull_subscribe(TOPIC, "reader")
            found: list[Any] = []
            while len(found) < count:
                found += await subscription.fetch(100)
            return found


@asynccontextmanager
async def running_nats(folder: Path, *more: str) -> AsyncIterator[NatsServer]:
    """Started, without a stream."""
    server = NatsServer(folder, *more)
    try:
        await server.start()
        yield server
    finally:
        server.stop()


# -- Kafka --------------------------------------------------------------------------------------


@contextmanager
def mock_kafka(brokers: int = 1) -> Iterator[str]:
    """The URL of a mock cluster of librdkafka's: its wire protocol is that of a broker, and made by others than our client's."""
    from confluent_kafka import Producer

    owner = Producer({"bootstrap.servers": "none:1", "test.mock.num.brokers": brokers, "log_level": 0})
    found = owner.list_topics(timeout=10).brokers.values()
    yield "kafka://" + ",".join(f"{broker.host}:{broker.port}" for broker in found)
    del owner


async def kafka_messages(url: str, wanted: int) -> list[Any]:
    """At least so many with different ids, if they come within some seconds, and all that comes with them."""
    from aiokafka import AIOKafkaConsumer

    consumer = AIOKafkaConsumer(TOPIC, bootstrap_servers=url.removeprefix("kafka://"), auto_offset_reset="earliest")
    found: list[Any] = []
    await consumer.start()
    try:
        async with asyncio.timeout(20):
            while len({json.loads(message.value)["eventId"] for message in found}) < wanted:
                found.append(await consumer.getone())
    except TimeoutError:
        return found
    else:
        rest = await consumer.getmany(timeout_ms=200)
        return found + [message for messages in rest.values() for message in messages]
    finally:
        await consumer.stop()


# -- AMQP ---------------------------------------------------------------------------------------


@asynccontextmanager
async def running_rabbitmq(folder: Path) -> AsyncIterator[str]:
    """The URL of a RabbitMQ of our own. Erlang's port mapper is a child of ours, so none is shared or left."""
    port, distribution, mapper = free_port(), free_port(), free_port()
    folder.mkdir()
    environment = {
        **os.environ,
        "HOME": str(folder),
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"pw{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
    }
    started: list[subprocess.Popen[bytes]] = []

    def start(program: str, *words: str) -> None:
        command = [str(find_program(program)), *words]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        started.append(subprocess.Popen(command, env=environment, start_new_session=True, **quiet))

    try:
        start("epmd", "-port", str(mapper), "-address", "127.0.0.1")
        await listening(mapper)
        start("rabbitmq-server")
        await listening(port)
        yield f"amqp://127.0.0.1:{port}"
    finally:
        for process in started:
            os.killpg(process.pid, 9)
            process.wait()


@asynccontextmanager
async def rabbitmq_queue(url: str) -> AsyncIterator[Any]:
    """The queue of the topic, made."""
    import aio_pika

    connection = await aio_pika.connect(url)
    try:
        yield await (await connection.channel()).declare_queue(TOPIC, durable=True)
    finally:
        await connection.close()


async def rabbitmq_messages(url: str) -> list[Any]:
    """All that the queue has."""
    async with rabbitmq_queue(url) as queue:
        found: list[Any] = []
        while (message := await queue.get(no_ack=True, fail=False)) is not None:
            found.append(message)
        return found
