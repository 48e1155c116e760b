"""Messages a second end to end, source -> relay -> sink: against Postfix, and by number of shards.

Relays take turns round by round, so that the machine's drift falls on all alike; the figure is the median of the rounds. End to end is
from the first connection of the source to the last message counted by the sink. All safety is on, on both sides.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

from parts import postfix
from parts.bench import Bench, BenchError
from parts.outside import SESSIONS, Sink, counting_sink, inject, tools
from parts.receiver import Receiver
from parts.relay import running_relay
from parts.report import Row, Section
from postwright.engine.supervisor import default_shards

US, PEER = "postwright", "Postfix"
SMALL, LARGE = 4096, 102_400


Inject = Callable[[int, int, int], Awaitable[None]]  # port, count, size


async def once(send: Inject, port: int, sink: Sink | Receiver, count: int, size: int, name: str = "the relay") -> float:
    """Messages a second of one run. Raises BenchError with the name of who lost some."""
    target, began = sink.seen + count, time.perf_counter()
    await send(port, count, size)
    try:
        return count / (await sink.reach(target) - began)
    except BenchError as error:
        raise BenchError(f"{name}, {size} octets: {error}") from None


def warm_up(count: int) -> int:
    """Messages of the run that is not counted: connections are opened, files are made."""
    return max(SESSIONS, count // 10)


async def in_turns(bench: Bench, relays: Mapping[str, int], sink: Sink | Receiver, count: int, size: int) -> dict[str, float]:
    """The median of each relay, mail sent by `inject`."""
    return await in_turns_with(inject, bench, relays, sink, count, size)


async def in_turns_with(
    send: Inject, bench: Bench, relays: Mapping[str, int], sink: Sink | Receiver, count: int, size: int
) -> dict[str, float]:
    """The median of each relay. The first run of all warms up and is not counted."""
    found: dict[str, list[float]] = {name: [] for name in relays}
    for number in range(bench.rounds + 1):
        for name, port in relays.items():
            rate = await once(send, port, sink, count if number else warm_up(count), size, name)
            if number:
                bench.say(f"{name}, {size} octets, round {number}: {rate:.0f}/s")
                found[name].append(rate)
    return {name: statistics.median(rates) for name, rates in found.items()}


async def against_postfix(bench: Bench) -> Section:
    """4 KB and 100 KB, against Postfix where there is one."""
    section = Section("throughput", f"messages/s end to end, {SESSIONS} sessions, median of {bench.rounds} rounds in turns")
    without = postfix.why_not()
    async with AsyncExitStack() as stack:
        sink = await stack.enter_async_context(counting_sink())
        relay = await stack.enter_async_context(running_relay(bench, sink.port))
        relays = {US: relay.port}
        if not without:
            relays[PEER] = await stack.enter_async_context(postfix.running_postfix(bench, sink.port))
        for size, count in ((SMALL, bench.pick(5000, 200)), (LARGE, bench.pick(1500, 60))):
            before = relay.work()
            rates = await in_turns(bench, relays, sink, count, size)
            each = (relay.work() - before) / (warm_up(count) + bench.rounds * count)
            rows = {name: Row(f"{size} octets, {name}", rate, "messages/s") for name, rate in rates.items()}
            rows[US].note = f"{each * 1e6:.0f} us of processor time for each message"
            if PEER in rows:
                rows[US].against(rows[PEER], PEER)
            section.rows += rows.values()
    section.remarks = [f"sent and received by {tools()}", *filter(None, [without])]
    return section


async def by_shards(bench: Bench) -> Section:
    """1 and 2 shards, and the default number where that is another."""
    section = Section("shards", f"messages/s end to end by number of shards, {SMALL} octets, median of {bench.rounds} rounds in turns")
    counts = sorted({1, 2, default_shards()})
    async with AsyncExitStack() as stack:
        sink = await stack.enter_async_context(counting_sink())
        relays = {str(n): (await stack.enter_async_context(running_relay(bench, sink.port, n))).port for n in counts}
        rates = await in_turns(bench, relays, sink, bench.pick(5000, 200), SMALL)
    rows = [Row(f"{n} shard{'s' if n > 1 else ''}", rates[str(n)], "messages/s") for n in counts]
    for n, row in zip(counts, rows, strict=True):
        row.note = "the default here" if n == default_shards() else ""
    section.rows = [rows[0], *[row.against(rows[0], "1 shard") for row in rows[1:]]]
    section.remarks = [f"all mail goes to one queue, which lives in one shard; sent and received by {tools()}"]
    return section
