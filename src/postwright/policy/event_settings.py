"""What the event log and its consumers are told, and who these consumers are. Pure; plain frozen values.

Three directives outside of blocks say how long events are kept; `<event-stream NAME>` sends them to a broker; an `<acct-file>` that is
a program or has a webhook is fed from the log, too. No repr shows a secret.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from postwright.model.columns import DEFAULTS
from postwright.model.privacy import Privacy
from postwright.policy.list_settings import Origin
from postwright.policy.service_settings import AcctFileSettings

STREAM_SCHEMES = ("kafka", "kafkas", "amqp", "amqps", "nats", "natss")


class EventSettings(Struct, frozen=True):
    """`event-log`, `event-log-keep` (seconds), `event-log-max-size` (octets of all shards together)."""

    event_log: bool = False
    event_log_keep: float = 86400.0
    event_log_max_size: int = 4 << 30


class EventStream(Struct, frozen=True):
    """`<event-stream NAME>`. `topic`: of Kafka, the subject of NATS, the routing key of AMQP. `records` short names."""

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


def is_pipe(file: AcctFileSettings) -> bool:
    """`<acct-file |program>`."""
    return file.path.startswith("|")


def is_fed(file: AcctFileSettings) -> bool:
    """Does it read the log, instead of being written by the shards?"""
    return is_pipe(file) or bool(file.http_webhook_url)


def consumers(files: Iterable[AcctFileSettings], streams: Iterable[EventStream]) -> dict[str, tuple[str, ...]]:
    """Everybody who reads the log, by name, with the record types that they want."""
    found = {file.path: file.records for file in files if is_fed(file)}
    return found | {stream.consumer: stream.records for stream in streams}


def wanted(settings: EventSettings, found: dict[str, tuple[str, ...]]) -> frozenset[str]:
    """Record types that the log keeps: all with `event-log yes`, else those that a consumer wants."""
    return frozenset(DEFAULTS) if settings.event_log else frozenset(kind for kinds in found.values() for kind in kinds)
