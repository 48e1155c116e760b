"""The event log, and `<event-stream NAME>`: what happened, for brokers (docs/guides/events.md)."""

from __future__ import annotations

from postwright.control.config import event_rules
from postwright.control.config import kinds as k
from postwright.control.config.directive import Directive, Kind, Scope
from postwright.control.config.directives.rows import G, works

STREAM = Scope.EVENT_STREAM
_URL = Kind("URL", "a broker such as nats://127.0.0.1:4222", event_rules.stream_url)

ROWS: tuple[Directive, ...] = (
    works("event-log", G, k.BOOL, "Keep all records as events for `postwright events`; no: only what programs, webhooks and streams want",
          "no", ours=True),
    works("event-log-keep", G, k.TIME, "How long events are kept when every consumer has had them", "1d", ours=True),
    works("event-log-max-size", G, k.SIZE, "Octets of the log above which the oldest go, whoever has not had them", "4G", ours=True),
    works("url", STREAM, _URL, "Where to: kafka://, amqp://, nats:// or otlp://, host and port; with an s behind it by TLS", ours=True),
    works("topic", STREAM, k.TEXT, "Topic of Kafka, subject of NATS, routing key of AMQP; with otlp:// the service's name", ours=True),
    works("exchange", STREAM, k.TEXT, "Exchange of AMQP", "(the default one: the queue that is named like the topic)", ours=True),
    works("records", STREAM, k.RECORDS, "Types of records: d, b, t, tq, r, f, rb, rs, or their long names", "d,b", ours=True),
    works("privacy-policy", STREAM, k.PRIVACY_POLICY, "How local parts of recipients' addresses are hidden", "retain", ours=True),
    works("username", STREAM, k.TEXT, "Our name there", ours=True),
    works("password", STREAM, k.SECRET, "Our password there (cannot contain #)", ours=True),
    works("ca-file", STREAM, k.FILE, "Certification authorities that the broker is checked against", "(the system's)", ours=True),
)  # fmt: skip
