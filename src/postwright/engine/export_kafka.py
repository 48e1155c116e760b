"""Events to Kafka (aiokafka): acknowledged by all in-sync replicas, JSON as the value, `eventId` and `type` as headers.

The key is the id of the message of mail, so what happened to one message stays in order in one partition. With a name: SASL PLAIN.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer

from postwright.engine.export_stream import CONNECT, Message, addresses, tls_of
from postwright.policy.settings import EventStream

PORT = 9092
# what goes wrong is told once, by us, in the relay's log
logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)


class Kafka:
    """See `Broker`."""

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream
        self._producer: AIOKafkaProducer | None = None

    async def connect(self) -> None:
        stream, tls = self._stream, tls_of(self._stream)
        sasl = {"sasl_mechanism": "PLAIN", "sasl_plain_username": stream.username, "sasl_plain_password": stream.password}
        self._producer = AIOKafkaProducer(
            bootstrap_servers=[f"{host}:{port}" for host, port in addresses(stream, PORT)],
            client_id="postwright",
            acks="all",
            request_timeout_ms=int(CONNECT * 1000),
            security_protocol=("SASL_" if stream.username else "") + ("SSL" if tls else "PLAINTEXT"),
            ssl_context=tls,
            **(sasl if stream.username else {}),
        )
        await self._producer.start()

    async def publish(self, messages: Sequence[Message]) -> None:
        assert self._producer is not None
        send, topic = self._producer.send, self._stream.topic
        waits = [
            await send(topic, one.body, key=one.key, headers=[("eventId", one.id.encode()), ("type", one.type.encode())])
            for one in messages
        ]
        await asyncio.gather(*waits)

    async def close(self) -> None:
        if self._producer is not None:
            await self._producer.stop()


def make(stream: EventStream) -> Kafka:
    """The broker of this stream."""
    return Kafka(stream)
