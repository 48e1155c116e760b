"""What the event log and its consumers are told. Plain frozen values.

Three directives outside of blocks say how long events are kept; `<event-stream NAME>` sends them to a broker; an `<acct-file>` that is
a program or has a webhook is fed from the log, too. No repr shows a secret.
"""

from __future__ import annotations

from msgspec import Struct

from postwright.model.privacy import Privacy
from postwright.policy.list_settings import Origin

STREAM_SCHEMES = ("kafka", "kafkas", "amqp", "amqps", "nats", "natss", "otlp", "otlps")


class EventSettings(Struct, frozen=True):
    """`event-log`, `event-log-keep` (seconds), `event-log-max-size` (octets of all shards together)."""

    event_log: bool = False
    event_log_keep: float = 86400.0
    event_log_max_size: int = 4 << 30


class EventStream(Struct, frozen=True):
    """`<event-stream NAME>`. `topic`: of Kafka, the subject of NATS, the routing key of AMQP, the service's name for OTLP. `records` short
    names."""

    name: str
    url: str = ""
    topic: str = ""
    exchange: str = ""
    records: tuple[str, ...] = ("d", "b")
    privacy_policy: Privacy | None = None
    username: str = ""
    password: str = ""
    ca_file: str = ""
    origin: Origin = Origin()

    def __repr__(self) -> str:
        return f"EventStream({self.name!r}, {self.url!r}, {self.topic!r})"

    @property
    def consumer(self) -> str:
        """Its name among the consumers of the log."""
        return f"stream {self.name}"
