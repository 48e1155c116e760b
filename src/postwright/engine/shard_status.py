"""A shard's word on itself, for `status`: figures as they stand, and its largest queues. Reads everything, changes nothing."""

from __future__ import annotations

import os
import resource
import time
from heapq import nlargest
from pathlib import Path
from typing import Protocol

import msgspec

from postwright.engine.node import Node
from postwright.engine.status import QueueStatus, ShardStatus
from postwright.net.session_book import SessionBook
from postwright.policy.settings import Settings
from postwright.schedule.queue import Queue
from postwright.schedule.scheduler import Scheduler
from postwright.store.log_spool import LogSpool

TOP_QUEUES = 20


class Speaking(Protocol):
    """The shard."""

    number: int
    started: float
    settings: Settings
    node: Node
    spool: LogSpool
    book: SessionBook


def shard_status(shard: Speaking) -> ShardStatus:
    """This shard's word on itself."""
    node = shard.node
    scheduler, spool = node.scheduler, shard.spool.status()
    now = node.clock.now()
    disabled, disabled_count = node.disabled.listed()
    queues = nlargest(TOP_QUEUES, scheduler.queues.values(), key=lambda queue: queue.recipients)
    return ShardStatus(
        shard=shard.number,
        pid=os.getpid(),
        uptime=time.time() - shard.started,
        connections_in=len(shard.book),
        waiting_for_slot=shard.book.antechamber.waiting,
        refused_at_door=msgspec.structs.asdict(shard.book.refusals),
        connections_out=len(node.delivery.crew.workers) + len(node.delivery.crew.turns),
        recipients=scheduler.recipients,
        queues=len(scheduler.queues),
        messages_in_last_minute=node.counters.messages_in_last_minute,
        delivered_last_minute=node.counters.delivered_last_minute,
        traffic=node.counters.traffic,
        spool_bytes=spool.bytes,
        spool_segments=spool.segments,
        memory=_resident(),
        epoch=shard.settings.epoch,
        resolver=node.resolver.counts(),
        bounce_shadow=node.bounce_shadow,
        sender_rules=node.counters.sender_rules,
        disabled=disabled,
        disabled_count=disabled_count,
        top_queues=[_queue(scheduler, queue, now) for queue in queues if queue.recipients],
    )


def _queue(scheduler: Scheduler, queue: Queue, now: float) -> QueueStatus:
    return QueueStatus(
        name=str(queue.key),
        recipients=queue.recipients,
        ready=len(queue.ready),
        scheduled=len(queue.scheduled),
        in_flight=queue.in_flight,
        connections=queue.connections,
        mode="backoff" if queue.backoff is not None else "normal",
        wait=scheduler.why(queue, now).value,
        retry_at=queue.retry_at if queue.retry_at > now else 0.0,
        last_error=queue.last_error,
    )


def _resident() -> int:
    """Resident memory of this process, octets."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
