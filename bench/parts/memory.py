"""Resident memory idle and with a large queue, octets for each recipient, and how long a start over that queue takes.

The queue is a spool written by the store's own classes (see spool.py) on which the relay is then started: one shard, so that one process
holds it all, and again with the default number, where queues of one shard hold messages of another. Octets for each are what all
processes have grown by, over the idle relay, once every recipient is queued.
"""

from __future__ import annotations

import asyncio
import time

from msgspec import Struct

from parts import spool
from parts.bench import Bench, BenchError
from parts.receiver import Receiver
from parts.relay import BenchRelay, running_relay
from parts.report import Row, Section
from postwright.engine.supervisor import default_shards

LIMIT = 600  # octets for each recipient
DOMAINS = 1000
REST = 12.0  # seconds: what the start has freed is given back to the system every ten
MB = 1e6


class Weighed(Struct):
    """`start` seconds until it takes mail, `work` those of processor time; `rest` and `peak` octets of all processes."""

    start: float
    work: float
    rest: int
    peak: int


async def measure(bench: Bench) -> Section:
    """Idle, a tenth of the queue, the whole queue."""
    count = bench.pick(1_000_000, 5_000)
    section = Section("memory", f"{count} single-recipient messages of {spool.SIZE} octets waiting for {DOMAINS} domains")
    for shards in bench.pick(sorted({1, default_shards()}), [1]):
        label = f"{shards} shard{'s' if shards > 1 else ''}"
        idle = await weigh(bench, spool.Filling(0, DOMAINS, shards=shards))
        section.rows += [
            Row(f"{label}, idle", idle.rest / MB, "MB"),
            Row(f"{label}, idle, until it takes mail", idle.start, "s"),
        ]
        for deferred in bench.pick((False, True), (True,)):
            section.rows += await _loaded(bench, count, shards, deferred, idle, f"{label}, {'deferred once' if deferred else 'not tried'}")
    section.remarks = [
        "the spool was written by the store's own classes and the relay started on it; its files are in the page cache",
        "resident memory of all processes of the relay together; octets are what they grew by over the idle relay",
    ]
    return section


async def _loaded(bench: Bench, count: int, shards: int, deferred: bool, idle: Weighed, label: str) -> list[Row]:
    tenth = await weigh(bench, spool.Filling(count // 10, DOMAINS, deferred, shards))
    full = await weigh(bench, spool.Filling(count, DOMAINS, deferred, shards))
    each = (full.rest - idle.rest) / count
    start = Row(f"{label}, until it takes mail", full.start, "s").against(Row("", tenth.start, "s"), "the start with a tenth")
    start.note = f"{full.work:.1f} s of processor time, {full.work / tenth.work:.2f} x that of a tenth"
    return [
        Row(f"{label}, {count} recipients", full.rest / MB, "MB", note=f"at worst {full.peak / MB:.0f}"),
        Row(f"{label}, each recipient", each, "octets", limit=None if bench.quick else LIMIT),
        start,
    ]


async def weigh(bench: Bench, filling: spool.Filling, more: str = "") -> Weighed:
    """A relay over such a spool; `more` lines of its configuration."""
    count, shards, deferred = filling.count, filling.shards, filling.deferred
    bench.say(f"{shards} shards, {count} recipients{', deferred once' * deferred}")
    with bench.place("weighed") as folder:
        await spool.fill(folder / "state" / "spool", filling)
        before = time.perf_counter()
        async with Receiver() as nobody, running_relay(bench, nobody.port, shards, spool.ROUTE + more, folder) as relay:
            took, work = time.perf_counter() - before, relay.work()
            await all_queued(relay, count, deferred=deferred)
            await asyncio.sleep(bench.pick(REST, 0.0))
            return Weighed(took, work, relay.memory(), relay.memory("VmHWM"))


async def all_queued(relay: BenchRelay, count: int, *, deferred: bool) -> None:
    """Wait until all are in a queue and nothing is under way: each queue has been tried, where anything was due."""

    def quiet() -> bool:
        shards = relay.status().shards
        busy = any(shard.connections_out for shard in shards) or any(q.ready and not q.retry_at for s in shards for q in s.top_queues)
        return sum(shard.recipients for shard in shards) == count and (deferred or not busy)

    try:
        await relay.until(quiet, f"{count} recipients to be queued", 120.0)
    except TimeoutError as error:
        raise BenchError(f"not everything was queued: {error}") from None
