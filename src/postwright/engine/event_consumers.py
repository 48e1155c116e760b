"""From settings to the event log: what a shard's log is to keep, and for whom."""

from __future__ import annotations

from postwright.policy import event_readers
from postwright.policy.settings import Settings
from postwright.store.event_log import EventOptions


def consumers(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Everybody who is fed from the log, by name, with the types of records that they want."""
    return event_readers.consumers(settings.acct_files, settings.event_streams.values())


def event_options(settings: Settings, shards: int) -> EventOptions:
    """Of each shard's log; they share `event-log-max-size`."""
    found, events = consumers(settings), settings.events
    wanted = event_readers.wanted(events, found)
    return EventOptions(wanted, tuple(found), events.event_log_keep, events.event_log_max_size // max(1, shards), shards)
