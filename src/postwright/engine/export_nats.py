"""Events to NATS JetStream (nats-py): each acknowledged by the stream that has its subject, with `Nats-Msg-Id`.

JetStream drops a message whose id it has seen within the stream's duplicate window, so repeats after a crash are no repeats there. A
subject that no stream has is an error: without JetStream nobody would keep what is published.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import nats
from nats.aio.client import Client
from nats.js import JetStreamContext

from postwright.engine.export_stream import ANSWER, CONNECT, Message, addresses, tls_of
from postwright.policy.settings import EventStream

PORT = 4222
AT_A_TIME = 256  # messages whose acknowledgements are waited for together


class Nats:
    """See `Broker`."""

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream
        self._client: Client | None = None
        self._jetstream: JetStreamContext | None = None

    async def connect(self) -> None:
        stream, tls = self._stream, tls_of(self._stream)
        more: dict[str, Any] = {"tls": tls} if tls is not None else {}
        if stream.username:
            more |= {"user": stream.username, "password": stream.password}
        scheme = "tls" if tls is not None else "nats"
        self._client = await nats.connect(
            [f"{scheme}://{host}:{port}" for host, port in addresses(stream, PORT)],
            name="postwright",
            allow_reconnect=False,  # the feed begins again at its cursor
            connect_timeout=int(CONNECT),
            error_cb=_unsaid,
            **more,
        )
        self._jetstream = self._client.jetstream(timeout=ANSWER)

    async def publish(self, messages: Sequence[Message]) -> None:
        assert self._jetstream is not None
        publish, subject = self._jetstream.publish, self._stream.topic
        for at in range(0, len(messages), AT_A_TIME):
            some = messages[at : at + AT_A_TIME]
            await asyncio.gather(*[publish(subject, m.body, headers={"Nats-Msg-Id": m.id, "type": m.type}) for m in some])

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()


async def _unsaid(error: Exception) -> None:
    """What goes wrong is told once, by us, when a publish fails."""


def make(stream: EventStream) -> Nats:
    """The broker of this stream."""
    return Nats(stream)
