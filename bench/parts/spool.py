"""A spool full of waiting mail, written by the store's own classes: what a relay that had accepted it all would have on its disk.

Single-recipient messages, spread over some number of domains of which no receiver takes mail now: either they have not been tried
yet, or each was tried once and put off for a day (`deferred`), which costs the relay more memory.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from postwright.model.address import Address
from postwright.model.envelope import Envelope, Recipient
from postwright.model.message import Arrival, ContentFacts, IdMaker, Message
from postwright.model.work import QueueKey
from postwright.store.log_spool import LogSpool
from postwright.store.segments import SpoolDir
from postwright.store.spool import DEFERRED, Mark

BATCH = 10_000
DAY = 86_400.0
SIZE = 500  # octets of content: none of them stays in memory
ARRIVAL = Arrival("smtp", "192.0.2.7", 40000, "client.example", "192.0.2.1", 25, "ESMTP")

# Nobody listens on the discard port: what was not tried yet is tried once for each queue, and the queue then waits.
ROUTE = """
<domain *.waiting.test>
    smtp-hosts [127.0.0.1]:9
    retry-after 1d
    retry-recipients-after 1d
</domain>
"""


def waiting(number: int) -> QueueKey:
    """The queue of a domain by ROUTE."""
    return QueueKey(f"d{number}.waiting.test", "{default}")


def _message(ids: IdMaker, now: float, number: int, key: QueueKey) -> Message:
    domain = key.domain
    recipient = Recipient(Address(f"somebody{number}@{domain}", domain))
    envelope = Envelope(Address("news@src.example", "src.example"), [recipient])
    return Message(ids.next(now), now, envelope, ContentFacts(SIZE, 64), ARRIVAL, key.vmta)


class Filling(Struct):
    """What a spool holds: `count` messages for `domains` domains of a relay with this many shards; `key_of` gives each domain its queue."""

    count: int
    domains: int
    deferred: bool = False
    shards: int = 1
    key_of: Callable[[int], QueueKey] = waiting


async def fill(folder: Path, filling: Filling) -> None:
    """Into the spool `folder`, evenly over the shards."""
    for shard in range(filling.shards):
        mine = range(shard, filling.count, filling.shards)
        ids, now = IdMaker(shard), time.time()
        spool = LogSpool((SpoolDir(folder),), shard)
        list(spool.recover())
        for start in range(0, len(mine), BATCH):
            messages = [_message(ids, now, number, filling.key_of(number % filling.domains)) for number in mine[start : start + BATCH]]
            await asyncio.gather(*[spool.commit(message, (b"x" * SIZE,)) for message in messages])
            if filling.deferred:
                await spool.mark([Mark(m.id, (0,), DEFERRED, now + DAY + n % 3600, 1, now) for n, m in enumerate(messages)])
        await spool.close()
