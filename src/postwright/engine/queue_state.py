"""What one queue's settings came to, resolved once per generation: limits, session options, sources, the hosts to use.

The scheduler keeps it on the queue (`Queue.state`) and drops it at a reload. A hundred thousand queues may be at work with the same
settings, so what does not bear a queue's name is made once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

import structlog
from msgspec import Struct

from postwright.engine.delivery_log import DeliveryLog, delivery_log
from postwright.engine.fair_shares import shares
from postwright.engine.flow_book import Flow
from postwright.engine.header_files import HeaderFiles
from postwright.engine.settle import Context
from postwright.engine.signing import Keys, Signing
from postwright.engine.sorting import Shadow, sorter_of
from postwright.engine.source_limits import source_set
from postwright.engine.transports import Transport
from postwright.model.address import Address, parse_mailbox
from postwright.model.route import SessionOptions, SourceHost
from postwright.model.work import QueueKey
from postwright.policy import mx
from postwright.policy.feedback import Feedback, compiled
from postwright.policy.resolve import Resolved
from postwright.policy.rewrite import Rewriting
from postwright.policy.settings import DomainSettings
from postwright.policy.sources import sources
from postwright.policy.trouble import Rules
from postwright.schedule.queue import QueueLimits

# PowerMTA closes a connection when its queue is empty, unless `connection-idle-timeout` says otherwise. We wait for this long all
# the same: a queue that empties and fills a hundred times a second would else open a hundred connections.
LINGER = 1.0


class Grounds(Struct, frozen=True):
    """What a shard has for all its queues, beside the settings: types of records that anybody wants, this machine's addresses, its log,
    the files of header fields that these settings name, the keys, and the shadow of the bounce rules."""

    wanted: frozenset[str]
    local: Sequence[str]
    log: structlog.stdlib.BoundLogger
    headers: HeaderFiles | None = None
    keys: Keys | None = None
    transport: Callable[[DomainSettings], Transport | None] | None = None
    shadow: Shadow | None = None


class Ways(Struct, frozen=True):
    """What all queues with the same settings and virtual MTA have in common."""

    settings: DomainSettings
    options: SessionOptions
    rules: Rules
    sources: tuple[SourceHost, ...]
    hosts: tuple[mx.HostSpec, ...]
    linger: float
    errors_most: int | None
    known_vmta: bool
    feedback: Feedback | None = None
    rewriting: Rewriting | None = None
    remove: frozenset[bytes] = frozenset()
    insert: bytes = b""
    copy_to: Address | None = None
    transport: Transport | None = None
    signing: Signing | None = None

    @property
    def changes_header(self) -> bool:
        """Fields are taken out or put in (`remove-header`, `include-headers-from`)."""
        return bool(self.remove or self.insert)


class QueueState(Struct):
    """What is shared with other queues of the same settings, and what bears this queue's name."""

    ways: Ways
    context: Context
    log: DeliveryLog | None = None
    tracks: bool = False  # track-recipient-events
    flow: Flow | None = None  # what it moved since the book gathered


_ways: WeakKeyDictionary[Resolved, dict[tuple[int, str], Ways]] = WeakKeyDictionary()


def limits(resolved: Resolved, key: QueueKey, local: Sequence[str] = ()) -> QueueLimits:
    """The limits of a queue, as the scheduler wants them. `local` are this machine's addresses, the same for a `resolved`."""
    s = resolved.queue(*key)
    return QueueLimits(
        max_smtp_out=s.max_smtp_out,
        max_msg_rate=s.max_msg_rate,
        max_data_volume_rate=s.max_data_volume_rate,
        max_connect_rate=s.max_connect_rate,
        queue_priority=s.queue_priority,
        sources=source_set(resolved, key.vmta, s, local),
        smtp_out_rampup_interval=s.smtp_out_rampup_interval,
        max_rcpt_per_message=s.max_rcpt_per_message,
        max_msg_per_connection=s.max_msg_per_connection,
        retry_after=s.retry_after,
        retry_recipients_after=s.retry_recipients_after,
        bounce_after=s.bounce_after,
        backoff_max_smtp_out=s.backoff_max_smtp_out,
        backoff_max_msg_rate=s.backoff_max_msg_rate,
        backoff_max_data_volume_rate=s.backoff_max_data_volume_rate,
        backoff_max_connect_rate=s.backoff_max_connect_rate,
        backoff_retry_after=s.backoff_retry_after,
        backoff_to_normal_after=s.backoff_to_normal_after,
        backoff_to_normal_after_delivery=s.backoff_to_normal_after_delivery,
        retry_upon_new_mail=s.retry_upon_new_mail,
        notify_of_delay_every=s.notify_of_delay_every or None,
        shares=shares(resolved, s.fair_share_by),
    )


def make(resolved: Resolved, key: QueueKey, queue_limits: QueueLimits, grounds: Grounds) -> QueueState:
    """Everything that delivery to this queue asks of the settings."""
    ways = ways_of(resolved, key, grounds)
    settings = ways.settings
    wanted = grounds.wanted
    if settings.disable_acct_records:
        wanted = wanted - frozenset(settings.disable_acct_records)
    hides_421 = settings.replace_smtp_421_service_response
    context = Context(str(key), queue_limits, wanted, resolved.settings.general.track_time_first_attempt, hides_421, sorter_of(resolved))
    return QueueState(ways, context, delivery_log(settings, grounds.log, key), settings.track_recipient_events)


def ways_of(resolved: Resolved, key: QueueKey, grounds: Grounds) -> Ways:
    """What this queue has in common with others, be it there yet or not."""
    settings = resolved.queue(*key)
    known = _ways.setdefault(resolved, {})
    same = (id(settings), key.vmta)  # `resolved` keeps the settings, so their identity is theirs alone
    ways = known.get(same)
    if ways is None:
        ways = known[same] = _make_ways(resolved, key.vmta, settings, grounds)
    return ways


def _make_ways(resolved: Resolved, vmta_name: str, settings: DomainSettings, grounds: Grounds) -> Ways:
    vmta = resolved.vmta(vmta_name)
    return Ways(
        settings=settings,
        options=mx.session_options(settings),
        rules=Rules.of(settings),
        sources=sources(resolved, vmta_name, grounds.local),
        hosts=mx.parse_hosts(settings.smtp_hosts, settings.default_smtp_port) if settings.smtp_hosts else (),
        errors_most=settings.max_errors_per_connection or None,
        linger=max(settings.connection_idle_timeout, LINGER),
        known_vmta=vmta is not None or vmta_name == "{default}",
        feedback=compiled(resolved.settings.smtp_pattern_lists.get(settings.smtp_pattern_list.lower(), ())),
        rewriting=_rewriting(resolved, vmta_name),
        remove=frozenset(name.lower().encode() for name in settings.remove_header),
        copy_to=_copy_to(settings),
        transport=grounds.transport(settings) if grounds.transport is not None and settings.type != "smtp" else None,
        insert=grounds.headers.of(resolved, vmta_name) if grounds.headers is not None else b"",
        signing=grounds.keys.signing(resolved, vmta_name, settings) if grounds.keys is not None else None,
    )


def _rewriting(resolved: Resolved, vmta_name: str) -> Rewriting | None:
    """`rewrite-list` of a virtual MTA, else of the first pool that it is in and that has one. It was compiled before: see `addressing`."""
    vmta = resolved.vmta(vmta_name)
    if vmta is None:
        return None
    pools = [pool for pool in map(resolved.pool, vmta.pools) if pool is not None]
    name = next((name for name in (vmta.rewrite_list, *[pool.rewrite_list for pool in pools]) if name), "")
    rules = resolved.settings.rewrite_lists.get(name.lower())
    return Rewriting(rules) if rules else None


def _copy_to(settings: DomainSettings) -> Address | None:
    return parse_mailbox(settings.bcc_upon_delivery) if settings.bcc_upon_delivery else None
