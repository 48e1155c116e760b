"""What many queues cost: new mail while so many wait, and mail spread over so many.

waiting   N queues hold one recipient each, put off for a day; how fast does new mail to a receiver that works go?
spread    mail to N domains in turn, all of which one receiver takes: N queues, each with connections of its own
"""

from __future__ import annotations

import statistics
import time
from contextlib import AsyncExitStack

from parts import spool
from parts.bench import Bench
from parts.client import Client
from parts.memory import all_queued
from parts.outside import counting_sink, tools
from parts.receiver import Receiver
from parts.relay import running_relay
from parts.report import Row, Section
from parts.throughput import SMALL, in_turns
from postwright.engine.supervisor import default_shards

SESSIONS = 20


def _counts(bench: Bench) -> tuple[int, ...]:
    return bench.pick((1, 1000, 100_000), (1, 100))


def _rows(rates: dict[int, float], what: str) -> list[Row]:
    rows = [Row(f"{count} {what}", rate, "messages/s") for count, rate in rates.items()]
    return [rows[0], *[row.against(rows[0], rows[0].what) for row in rows[1:]]]


async def waiting(bench: Bench) -> Section:
    """New mail beside queues that wait."""
    section = Section("waiting", f"new mail while so many queues wait, {SMALL} octets, median of {bench.rounds} rounds in turns")
    async with AsyncExitStack() as stack:
        sink = await stack.enter_async_context(counting_sink())
        relays: dict[str, int] = {}
        for count in _counts(bench):
            bench.say(f"a relay with {count} waiting queues")
            folder = stack.enter_context(bench.place("waiting"))
            await spool.fill(folder / "state" / "spool", spool.Filling(count, count, deferred=True, shards=default_shards()))
            relay = await stack.enter_async_context(running_relay(bench, sink.port, 0, spool.ROUTE, folder))
            await all_queued(relay, count, deferred=True)
            relays[str(count)] = relay.port
        rates = await in_turns(bench, relays, sink, bench.pick(5000, 200), SMALL)
    section.rows = _rows({int(name): rate for name, rate in rates.items()}, "waiting")
    section.remarks = [f"sent and received by {tools()}"]
    return section


async def spread(bench: Bench) -> Section:
    """Mail to many domains that one receiver takes."""
    section = Section("spread", f"messages/s end to end to so many domains in turn, {SMALL} octets, median of {bench.rounds} rounds")
    rates: dict[int, float] = {}
    for domains in _counts(bench):
        count = max(bench.pick(10_000, 200), domains)
        found = []
        for number in range(bench.rounds):
            found.append(await _spread_once(bench, domains, count))
            bench.say(f"{count} messages to {domains} domains, round {number + 1}: {found[-1]:.0f}/s")
        rates[domains] = statistics.median(found)
    section.rows = _rows(rates, "domains")
    section.remarks = ["client and receiver are one process beside the relay", "a relay of its own for each round: no queue exists before"]
    return section


async def _spread_once(bench: Bench, domains: int, count: int) -> float:
    async with Receiver() as receiver, running_relay(bench, receiver.port) as relay, Client(relay.port, SMALL, SESSIONS) as client:
        began = time.perf_counter()
        await client.flood(b"somebody@d%d.spread.example" % (number % domains) for number in range(count))
        return count / (await receiver.reach(count) - began)
