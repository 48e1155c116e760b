"""Who reads the event log, and which records it has to keep for them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from postwright.model.columns import DEFAULTS
from postwright.policy.event_settings import EventSettings, EventStream
from postwright.policy.service_settings import AcctFileSettings


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
