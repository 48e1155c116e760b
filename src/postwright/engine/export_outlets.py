"""From settings to outlets: what each consumer of the event log is made of. Extras are imported when one wants them."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from postwright.engine.export_feed import Outlet
from postwright.engine.export_otlp import Spans, is_otlp
from postwright.engine.export_pipe import Pipe
from postwright.engine.export_stream import Stream, missing
from postwright.engine.export_webhook import Webhook
from postwright.engine.outside import acct_options
from postwright.engine.transports.http import read_headers
from postwright.policy.event_readers import is_fed, is_pipe
from postwright.policy.event_settings import EventStream
from postwright.policy.settings import AcctFileSettings, Settings
from postwright.store.event_forms import EventForm
from postwright.store.event_reader import Event

Consumer = AcctFileSettings | EventStream


def consumer_settings(settings: Settings) -> dict[str, Consumer]:
    """By name, what is configured of each consumer."""
    found: dict[str, Consumer] = {file.path: file for file in settings.acct_files if is_fed(file)}
    return found | {stream.consumer: stream for stream in settings.event_streams.values()}


def check(settings: Settings) -> None:
    """Can all consumers be fed in this installation? Raises ValueError or OSError, naming what is missing."""
    for stream in settings.event_streams.values():
        if not is_otlp(stream) and (wrong := missing(stream)):
            raise ValueError(wrong)
    for file in settings.acct_files:
        read_headers(file.http_webhook_extra_headers, "http-webhook-extra-headers")


def make_outlet(consumer: Consumer, log: structlog.stdlib.BoundLogger) -> Outlet:
    """Where its events go. Raises ValueError or OSError, naming what is missing."""
    if isinstance(consumer, EventStream) and is_otlp(consumer):
        return Spans(consumer, EventForm(consumer.records, privacy=consumer.privacy_policy), log)
    if isinstance(consumer, EventStream):
        return Stream(consumer, EventForm(consumer.records, privacy=consumer.privacy_policy))
    options = acct_options(consumer)
    form = EventForm(options.records, options.form, options.privacy)
    if is_pipe(consumer):
        return Pipe(consumer.path[1:].strip(), form, consumer.write_timeout, consumer.retry_interval)
    return Webhook(consumer, form, log)


def wants(consumer: Consumer) -> Callable[[Event], bool]:
    """Is an event for this one?"""
    kinds = frozenset(consumer.records)
    queue = acct_options(consumer).wants_queue if isinstance(consumer, AcctFileSettings) else None
    if queue is None:
        return lambda event: event.record.type in kinds
    return lambda event: event.record.type in kinds and (not event.record.queue or queue(event.record.queue))
