"""Fairness inside one queue: urgent mail behind a million bulk recipients of the same domain, and what a lease costs with ever more jobs.

The scheduler alone, in simulated time: nothing is sent. Costs are bytecode instructions, counted by the interpreter, so that a busy machine
changes nothing; a clock gives the seconds beside. Both sit on `postwright.schedule`, as a shard does.
"""

from __future__ import annotations

import time
from typing import Any

from parts.bench import Bench, BenchError
from parts.report import Row, Section
from postwright.model.message import SpoolRef
from postwright.model.rank import rank_of
from postwright.model.work import Entry, QueueKey
from postwright.policy.settings import Rate
from postwright.schedule.queue import Queue, QueueLimits
from postwright.schedule.scheduler import Scheduler
from postwright.testing.instructions import instructions

KEY = QueueKey("example.com", "{default}")
NOW = 1_795_000_000.0
WITHIN = 5.0  # seconds, at a hundred messages each
FLAT = 1.2  # of the least
ROUND = 1000  # leases that are counted


def entry(number: int, owner: str = "", rank: int = 50) -> Entry:
    return Entry(number, SpoolRef(0, 1, number, 300, 4096), (0,), NOW, owner=owner, rank=rank)


def filled(count: int, jobs: int, rank: int, rate: Rate | None = None) -> tuple[Scheduler, Queue]:
    """A scheduler with one queue of so many entries."""
    scheduler = Scheduler(lambda key: QueueLimits(max_msg_rate=rate))
    owners = [f"job{number}" for number in range(jobs)]
    for number in range(count):
        queue = scheduler.submit(KEY, entry(number, owners[number % jobs], rank), NOW)
    return scheduler, queue


async def measure(bench: Bench) -> Section:
    """How long urgent mail waits, and what leases cost from a thousand entries to a million."""
    count = bench.pick(1_000_000, 20_000)
    section = Section("fairness", f"one queue with up to {count} recipients, in simulated time")
    bench.say("urgent mail")
    section.rows += [urgent(count), urgent_retry(count)]
    sizes = [size for size in (1_000, 10_000, 100_000, 1_000_000) if size <= count]
    for what, jobs in (("one job", lambda size: 1), ("a hundred jobs", lambda size: 100), ("each a job of its own", lambda size: size)):
        bench.say(what)
        section.rows += _flat([_cost(size, jobs(size)) for size in sizes], sizes, what)
    section.remarks = ["a lease here is submit, lease and settle of one entry; instructions are those of the interpreter"]
    return section


def urgent(count: int) -> Row:
    """The figure that was promised. Raises BenchError where it is not kept."""
    waited = urgent_waits(count)
    if waited > WITHIN:
        raise BenchError(f"urgent mail waited {waited:.2f} s behind {count} bulk recipients at 100/s")
    return Row(f"urgent mail behind {count} bulk recipients at 100/s", waited, "s", limit=WITHIN)


def urgent_waits(count: int) -> float:
    """Seconds from submission to lease, in a queue that has been sending bulk mail for ten seconds."""
    scheduler, queue = filled(count, 1, rank_of("bulk", 50), Rate(100, 1.0))
    now, urgent = NOW, entry(count, "reset", rank_of("urgent", 50))
    submitted = 0.0
    while True:
        if not submitted and now >= NOW + 10.0:
            submitted = now
            scheduler.submit(KEY, urgent, now)
        lease = scheduler.lease(queue, now)
        if lease is None:
            now += 0.01
            continue
        if lease.entry is urgent:
            return now - submitted
        scheduler.settle(queue, lease, now, [])


def urgent_retry(count: int) -> Row:
    """A wave of retries that are due at the same time, the urgent one the last to be deferred. Raises BenchError as `urgent` does."""
    scheduler = Scheduler(lambda key: QueueLimits(max_msg_rate=Rate(100, 1.0)))
    now = NOW + 60.0
    for number in range(count + 1):
        one = entry(number, rank=rank_of("urgent" if number == count else "bulk", 50))
        one.due, one.attempts = now, 1
        queue = scheduler.submit(KEY, one, NOW)
    while (lease := scheduler.lease(queue, now)) is None or lease.entry.message_id != count:
        if lease is None:
            now += 0.01
        else:
            scheduler.settle(queue, lease, now, [])
    waited = now - NOW - 60.0
    if waited > WITHIN:
        raise BenchError(f"an urgent retry waited {waited:.2f} s behind {count} bulk retries at 100/s")
    return Row(f"an urgent retry behind {count} bulk retries that are due with it", waited, "s", limit=WITHIN)


def _cost(size: int, jobs: int) -> tuple[float, float]:
    """Instructions and microseconds for a lease."""
    scheduler, queue = filled(size, jobs, 50)
    owners = [f"job{number}" for number in range(jobs)]

    def some() -> None:
        for number in range(ROUND):
            scheduler.submit(KEY, entry(number, owners[number % jobs]), NOW)
            lease = scheduler.lease(queue, NOW)
            assert lease is not None
            scheduler.settle(queue, lease, NOW, [])

    some()
    counted = instructions(some)
    took = min(_seconds(some) for _ in range(5))
    return counted / ROUND, took / ROUND * 1e6


def _seconds(action: Any) -> float:
    before = time.perf_counter()
    action()
    return time.perf_counter() - before


def _flat(costs: list[tuple[float, float]], sizes: list[int], what: str) -> list[Row]:
    least = min(counted for counted, _ in costs)
    rows = []
    for size, (counted, micro) in zip(sizes, costs, strict=True):
        if counted > least * FLAT:
            raise BenchError(f"{what}: {counted:.0f} instructions for a lease with {size} entries, and {least:.0f} at best")
        rows.append(Row(f"{what}, {size} entries, a lease", counted, "instructions", note=f"{micro:.2f} µs", limit=least * FLAT))
    return rows
