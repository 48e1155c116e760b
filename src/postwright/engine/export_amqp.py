"""Events to AMQP 0-9-1 (aio-pika; RabbitMQ): persistent messages with publisher confirms, `eventId` as the message id, `type` as the type.

Without `exchange` it is the default one, so `topic` is a queue, which must be there: a message that reaches no queue is refused
(mandatory), told, and sent again until it does. The path of the URL is the virtual host.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

import aio_pika
from aio_pika.abc import AbstractConnection, AbstractExchange

from postwright.engine.export_stream import CONNECT, Message, addresses, tls_of
from postwright.policy.settings import EventStream

PORTS = {"amqp": 5672, "amqps": 5671}
AT_A_TIME = 256  # messages whose confirms are waited for together
for _name in ("aio_pika", "aiormq"):  # what goes wrong is told once, by us
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


class Amqp:
    """See `Broker`."""

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream
        self._connection: AbstractConnection | None = None
        self._exchange: AbstractExchange | None = None

    async def connect(self) -> None:
        stream, tls = self._stream, tls_of(self._stream)
        [(host, port)] = addresses(stream, PORTS[stream.url.partition("://")[0]])
        self._connection = await aio_pika.connect(
            host=host,
            port=port,
            login=stream.username or "guest",
            password=stream.password or "guest",
            virtualhost=unquote(urlsplit(stream.url).path[1:]) or "/",
            ssl=tls is not None,
            ssl_context=tls,
            timeout=CONNECT,
        )
        channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
        self._exchange = await channel.get_exchange(stream.exchange) if stream.exchange else channel.default_exchange

    async def publish(self, messages: Sequence[Message]) -> None:
        assert self._exchange is not None
        for at in range(0, len(messages), AT_A_TIME):
            await asyncio.gather(*[self._one(self._exchange, one) for one in messages[at : at + AT_A_TIME]])

    async def _one(self, exchange: AbstractExchange, message: Message) -> None:
        mode = aio_pika.DeliveryMode.PERSISTENT
        made = aio_pika.Message(message.body, content_type="application/json", message_id=message.id, type=message.type, delivery_mode=mode)
        await exchange.publish(made, self._stream.topic, mandatory=True)

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()


def make(stream: EventStream) -> Amqp:
    """The broker of this stream."""
    return Amqp(stream)
