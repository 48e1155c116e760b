"""Every metric, declared once: exposition, reference page, dashboard and alert rules are checked against this table.

Names and labels stay as they are: dashboards of others depend on them. Nothing is labelled with what strangers choose without a bound
(docs/reference/metrics.md tells each): domains and virtual MTAs are the busiest, the rest is `other`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from postwright.control.metrics.metric import Metric, Read, Sample, by_shard, counted, total
from postwright.engine.flow_book import FlowRow
from postwright.engine.views.metrics import DOMAINS, VMTAS, MetricsView

SHARDS: Final = "one a shard"
BUSY_DOMAINS: Final = f"the {DOMAINS} busiest, and other"
BUSY_VMTAS: Final = f"the {VMTAS} busiest, and other"
OUTCOMES: Final = ("delivered", "deferred", "bounced")
JUDGED: Final = ("judged", "noted", "fixed", "refused")


def _rows(rows: Iterable[FlowRow]) -> list[Sample]:
    return [((row.name, outcome), getattr(row, outcome)) for row in rows for outcome in OUTCOMES]


def _named(counted: dict[str, int]) -> list[Sample]:
    return [((name,), count) for name, count in counted.items()]


def _by_status(name: str) -> Read:
    return lambda view: [((str(one.shard),), getattr(one, name)) for one in view.status]


def _judged(view: MetricsView) -> list[Sample]:
    return [((outcome,), getattr(view.judged.sender_rules, outcome)) for outcome in JUDGED]


TRAFFIC: Final = (
    Metric("postwright_messages_received", "counter", "Messages taken, safe on disk.", counted(lambda s: s.traffic.messages_in)),
    Metric("postwright_recipients_received", "counter", "Recipients of messages taken.", counted(lambda s: s.traffic.recipients_in)),
    Metric("postwright_received_bytes", "counter", "Octets of messages taken.", counted(lambda s: s.traffic.bytes_in)),
    Metric("postwright_commands_rejected", "counter", "Commands of clients that were refused.", counted(lambda s: s.traffic.rejected)),
    Metric("postwright_recipients_delivered", "counter", "Recipients whom a receiver has taken.", counted(lambda s: s.traffic.delivered)),
    Metric("postwright_messages_sent", "counter", "Transactions that delivered to somebody.", counted(lambda s: s.traffic.messages_out)),
    Metric("postwright_sent_bytes", "counter", "Octets of those transactions.", counted(lambda s: s.traffic.bytes_out)),
    Metric(
        "postwright_recipients_deferred", "counter", "Attempts that failed for now, by recipient.",
        counted(lambda s: s.traffic.deferred),
    ),
    Metric("postwright_recipients_bounced", "counter", "Recipients given up for good.", counted(lambda s: s.traffic.bounced)),
    Metric(
        "postwright_domain_recipients", "counter", "Outcomes by domain or rollup, since the relay started.",
        lambda view: _rows(view.flows.domains), ("domain", "outcome"), BUSY_DOMAINS,
    ),
    Metric(
        "postwright_vmta_recipients", "counter", "Outcomes by virtual MTA, since the relay started.",
        lambda view: _rows(view.flows.vmtas), ("vmta", "outcome"), BUSY_VMTAS,
    ),
    Metric(
        "postwright_suppressed", "counter", "Recipients not taken or not sent to because the suppression store holds them.",
        counted(lambda s: s.suppressed),
    ),
    Metric(
        "postwright_sender_rules_messages", "counter",
        "Messages judged by sender-rules; of these taken with something to note, mended, refused.",
        _judged, ("outcome",), "judged, noted, fixed, refused",
    ),
    Metric(
        "postwright_sender_rules_broken", "counter", "Messages that broke a sender rule, by rule.",
        lambda view: _named(view.judged.sender_rules.rules), ("rule",),
        "the rules of docs/guides/sender-rules.md",
    ),
)  # fmt: skip

QUEUES: Final = (
    Metric("postwright_queue_recipients", "gauge", "Recipients in all queues.", lambda view: [((), view.waits.total)]),
    Metric("postwright_queue_recipients_in_flight", "gauge", "Of these, those being sent.", lambda view: [((), view.waits.in_flight)]),
    Metric(
        "postwright_queue_waiting_recipients", "gauge", "Recipients that wait, by reason (as `postwright why` names them).",
        lambda view: _named(view.waits.reasons), ("reason",), "the wait reasons",
    ),
    Metric("postwright_queues", "gauge", "Queues with mail.", lambda view: _named(view.waits.queues), ("mode",), "normal, backoff, paused"),
    Metric(
        "postwright_domain_queue_recipients", "gauge", "Recipients that wait or are in flight, by domain or rollup.",
        lambda view: _named(view.waits.domains), ("domain",), BUSY_DOMAINS,
    ),
    Metric(
        "postwright_vmta_queue_recipients", "gauge", "Recipients that wait or are in flight, by virtual MTA.",
        lambda view: _named(view.waits.vmtas), ("vmta",), BUSY_VMTAS,
    ),
    Metric(
        "postwright_vmta_connections", "gauge", "Connections to receivers, by virtual MTA.",
        lambda view: _named(view.waits.vmta_connections), ("vmta",), BUSY_VMTAS,
    ),
)  # fmt: skip

SESSIONS: Final = (
    Metric("postwright_inbound_connections", "gauge", "Sessions of clients now.", _by_status("connections_in"), ("shard",), SHARDS),
    Metric("postwright_inbound_waiting", "gauge", "Clients that wait for a slot.", _by_status("waiting_for_slot"), ("shard",), SHARDS),
    Metric("postwright_outbound_connections", "gauge", "Sessions with receivers now.", _by_status("connections_out"), ("shard",), SHARDS),
    Metric("postwright_inbound_sessions", "counter", "Sessions that were greeted.", counted(lambda s: s.sessions.greeted)),
    Metric("postwright_inbound_starttls", "counter", "Sessions that turned to TLS by STARTTLS.", counted(lambda s: s.sessions.turned)),
    Metric(
        "postwright_inbound_refused", "counter", "Connections that became no session, by cause.",
        lambda view: _named(view.judged.refused), ("cause",),
        "the causes of docs/reference/protection.md",
    ),
    Metric(
        "postwright_inbound_injections", "counter", "Sessions with plain text behind STARTTLS (it was dropped).",
        counted(lambda s: s.traffic.starttls_injections),
    ),
    Metric("postwright_outbound_dials", "counter", "Hosts of receivers that were called.", counted(lambda s: s.dials.called)),
    Metric("postwright_outbound_sessions", "counter", "Of these, those that answered with a session.", counted(lambda s: s.dials.answered)),
    Metric("postwright_outbound_tls_sessions", "counter", "Of these, those with TLS.", counted(lambda s: s.dials.secured)),
    Metric("postwright_outbound_tls_failures", "counter", "Handshakes with receivers that failed.", counted(lambda s: s.dials.tls_failed)),
    Metric("postwright_logins", "counter", "Logins that worked.", counted(lambda s: s.sessions.logins)),
    Metric("postwright_logins_failed", "counter", "Logins that did not.", counted(lambda s: s.traffic.failed_logins)),
    Metric("postwright_logins_barred", "counter", "Of these, those tried under a lock.", counted(lambda s: s.traffic.barred_logins)),
    Metric("postwright_login_locks", "gauge", "Users and networks locked now.", lambda view: [((), view.locks)]),
)  # fmt: skip

PARTS: Final = (
    Metric("postwright_spool_bytes", "gauge", "Octets of the spool on disk.", by_shard(lambda s: s.spool.bytes), ("shard",), SHARDS),
    Metric("postwright_spool_free_bytes", "gauge", "Octets free where the spool is.", by_shard(lambda s: s.spool.free), ("shard",), SHARDS),
    Metric("postwright_spool_segments", "gauge", "Segments of the spool.", by_shard(lambda s: s.spool.segments), ("shard",), SHARDS),
    Metric("postwright_spool_messages", "gauge", "Messages alive in the spool.", by_shard(lambda s: s.spool.live), ("shard",), SHARDS),
    Metric("postwright_resolver_queries", "counter", "Questions to name servers.", counted(lambda s: s.resolver.asked)),
    Metric("postwright_resolver_stale", "counter", "Answers past their time, as nobody answered.", counted(lambda s: s.resolver.stale)),
    Metric("postwright_resolver_cached", "gauge", "Answers kept.", total(lambda s: s.resolver.cached)),
    Metric("postwright_resolver_pending", "gauge", "Look-ups under way.", total(lambda s: s.resolver.pending)),
    Metric("postwright_signatures", "counter", "DKIM and ARC signatures computed.", counted(lambda s: s.signed.made)),
    Metric(
        "postwright_signing_seconds", "counter", "Seconds from the wish for signatures to the signatures, added up.",
        counted(lambda s: s.signed.seconds),
    ),
    Metric(
        "postwright_consumer_behind_bytes", "gauge", "Octets of the event log that a consumer has not had.",
        lambda view: [((one.name,), one.behind) for one in view.consumers], ("consumer",), "the consumers configured",
    ),
    Metric(
        "postwright_consumer_lag_seconds", "gauge", "Age of the oldest event that a consumer has not had.",
        lambda view: [((one.name,), one.lag) for one in view.consumers], ("consumer",), "the consumers configured",
    ),
    Metric(
        "postwright_consumer_events", "counter", "Events a consumer has had since the exporter started.",
        lambda view: [((one.name,), one.delivered) for one in view.consumers], ("consumer",), "the consumers configured",
    ),
    Metric(
        "postwright_consumer_in_trouble", "gauge", "1 while nothing moves to a consumer.",
        lambda view: [((one.name,), float(bool(one.trouble))) for one in view.consumers], ("consumer",), "the consumers configured",
    ),
)  # fmt: skip

PROCESSES: Final = (
    Metric("postwright_info", "gauge", "1, labelled with the version.", lambda view: [((view.version,), 1.0)], ("version",), "one"),
    Metric("postwright_start_time_seconds", "gauge", "When the relay started, Unix seconds.", lambda view: [((), view.started)]),
    Metric("postwright_shards", "gauge", "Shards that there should be.", lambda view: [((), len(view.pids))]),
    Metric("postwright_shards_answering", "gauge", "Shards that gave these figures.", lambda view: [((), len(view.gauges))]),
    Metric(
        "postwright_process_restarts", "counter", "How often a process has died and begun again.", lambda view: _named(view.restarts),
        ("process",), "shard 0 …, exporter, http, login",
    ),
    Metric("postwright_shard_memory_bytes", "gauge", "Resident memory of a shard.", _by_status("memory"), ("shard",), SHARDS),
    Metric("postwright_shard_cpu_seconds", "counter", "Processor time of a shard.", by_shard(lambda s: s.processor), ("shard",), SHARDS),
    Metric(
        "postwright_loop_lag_seconds", "gauge", "How late the event loop came to a timer, the latest of the last minute.",
        by_shard(lambda s: s.late[1]), ("shard",), SHARDS,
    ),
    Metric("postwright_loop_late_seconds", "counter", "The same, added up.", by_shard(lambda s: s.late[2]), ("shard",), SHARDS),
)  # fmt: skip

SECTIONS: Final = (
    ("Traffic", TRAFFIC),
    ("Queues", QUEUES),
    ("Sessions and logins", SESSIONS),
    ("Spool, resolver, signing, events", PARTS),
    ("Processes", PROCESSES),
)
TABLE: Final = tuple(metric for _, metrics in SECTIONS for metric in metrics)
SYNC: Final = "postwright_spool_sync_seconds"
"""The one histogram: how long each sync of the spool took, by shard. Its buckets are those of `store.sync_times`."""
SYNC_HELP: Final = "How long the disk took for each sync of the spool."
