"""`<event-stream NAME>`: events as JSON to a broker, each acknowledged by it before the cursor moves.

What the brokers have in common; each is a module of its own behind `Broker`, and its library an extra that is imported when a stream of
its kind begins. A batch is sent at once, and its acknowledgements are waited for together; when one fails or does not come, all of the
batch is sent again. Every message carries its event's id where its broker has a place for one: a header of Kafka, the message id of
AMQP, and `Nats-Msg-Id`, by which JetStream drops repeats itself.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from postwright.engine.export_feed import OutletError
from postwright.policy.settings import EventStream
from postwright.store.event_forms import EventForm
from postwright.store.event_reader import Event

CONNECT = 10.0  # seconds
ANSWER = 30.0  # seconds for all acknowledgements of a batch
EXTRAS = {"kafka": "aiokafka", "amqp": "aio_pika", "nats": "nats"}


class Message(NamedTuple):
    """What is published. `key` keeps what is said of one message of mail together, where brokers have partitions."""

    id: str
    key: bytes
    type: str
    body: bytes


class Broker(Protocol):
    """One connection. Whatever its library raises is what it raises: `Stream` tells of it."""

    async def connect(self) -> None:
        """Ready to publish."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """All of them, in order; returns when the broker has acknowledged each."""

    async def close(self) -> None:
        """Let go."""


def family(stream: EventStream) -> str:
    """kafka, amqp or nats."""
    return stream.url.partition("://")[0].removesuffix("s") if not stream.url.startswith("nats") else "nats"


def missing(stream: EventStream) -> str:
    """Why the stream cannot be had in this installation, "" when it can."""
    extra = family(stream)
    if find_spec(EXTRAS[extra]) is not None:
        return ""
    return f"<event-stream {stream.name}> needs {EXTRAS[extra].replace('_', '-')}: pip install 'postwright[{extra}]'"


def addresses(stream: EventStream, port: int) -> list[tuple[str, int]]:
    """Hosts and ports of the URL; `port` where it has none."""
    found = []
    for one in urlsplit(stream.url).netloc.split(","):
        parts = urlsplit(f"//{one}")
        found.append((parts.hostname or "", parts.port or port))
    return found


def tls_of(stream: EventStream) -> ssl.SSLContext | None:
    """For kafkas, amqps and natss; None for the others. Raises OSError for authorities that cannot be read."""
    secure = stream.url.partition("://")[0] in ("kafkas", "amqps", "natss")
    return ssl.create_default_context(cafile=stream.ca_file or None) if secure else None


class Stream:
    """An `Outlet`. Raises ValueError, naming the extra that is missing."""

    def __init__(self, stream: EventStream, form: EventForm) -> None:
        if wrong := missing(stream):
            raise ValueError(wrong)
        self._stream = stream
        self._form = form
        self._broker: Broker | None = None
        self._done = 0

    async def open(self) -> None:
        """Connect."""
        module = import_module(f"postwright.engine.export_{family(self._stream)}")
        broker: Broker = module.make(self._stream)
        self._broker, self._done = broker, 0
        try:
            await asyncio.wait_for(broker.connect(), CONNECT)
        except TimeoutError:
            raise self._error(f"no connection within {CONNECT:g} seconds") from None
        except Exception as error:  # libraries have many; whatever it is, the events wait and it is told
            raise self._error(_told(error)) from None

    async def put(self, events: list[Event]) -> None:
        """Publish them."""
        assert self._broker is not None
        messages = [Message(e.id, b"%016x" % e.record.message_id, e.record.type, self._form.json(e)) for e in events]
        try:
            await asyncio.wait_for(self._broker.publish(messages), ANSWER)
        except TimeoutError:
            raise self._error(f"no acknowledgement within {ANSWER:g} seconds") from None
        except Exception as error:  # as above
            raise self._error(_told(error)) from None
        self._done += 1

    async def settled(self) -> int:
        """What was published is safe."""
        done, self._done = self._done, 0
        return done

    async def finish(self) -> None:
        """Nothing is only gathered."""

    async def close(self) -> None:
        """Close the connection, whatever state it is in."""
        broker, self._broker = self._broker, None
        if broker is not None:
            try:
                await asyncio.wait_for(broker.close(), CONNECT)
            except Exception:  # nothing depends on it: what counts was acknowledged before
                return

    def _error(self, detail: str) -> OutletError:
        return OutletError("event stream failed", f"{self._stream.url}: {detail}")


def _told(error: Exception) -> str:
    """In a line: a broker's words may be in it."""
    text = "".join([letter if letter.isprintable() else " " for letter in str(error)]).strip()
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__
