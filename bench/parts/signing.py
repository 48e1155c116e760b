"""What DKIM costs: messages a second unsigned, signed by RSA-2048, by Ed25519, by both, at 4, 10 and 100 KB, beside unsigned Postfix.

The same relay, with other lines in its configuration; all take turns round by round, so that the machine's drift falls on all alike.
Processor time is that of all processes of the relay, its signing processes included.
"""

from __future__ import annotations

import statistics
from contextlib import AsyncExitStack
from pathlib import Path

from parts import postfix
from parts.bench import Bench
from parts.outside import SESSIONS, counting_sink, inject, tools
from parts.relay import BenchRelay, running_relay
from parts.report import Row, Section
from parts.throughput import LARGE, PEER, SMALL, once, warm_up
from postwright.engine import dkim_admin

UNSIGNED, RSA, ED25519, BOTH = "unsigned", "RSA-2048", "Ed25519", "RSA-2048 and Ed25519"
MIDDLE = 10_240
SIGN = "<domain *>\n    dkim-sign yes\n    dkim-algorithm {first}\n{more}</domain>\n"
SECOND = "    second-dkim-sign yes\n    second-dkim-algorithm ed25519-sha256\n"


async def measure(bench: Bench) -> Section:
    """Throughput by who signs, and what a message costs."""
    section = Section("dkim", f"messages/s end to end, {SESSIONS} sessions, by signature, median of {bench.rounds} rounds in turns")
    without = postfix.why_not()
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(bench.place("keys"))
        sink = await stack.enter_async_context(counting_sink())
        lines = _lines(folder)
        relays = {name: await stack.enter_async_context(running_relay(bench, sink.port, more=more)) for name, more in lines.items()}
        ports = {name: relay.port for name, relay in relays.items()}
        if not without:
            ports[PEER] = await stack.enter_async_context(postfix.running_postfix(bench, sink.port))
        for size, count in ((SMALL, bench.pick(5000, 200)), (MIDDLE, bench.pick(4000, 120)), (LARGE, bench.pick(1500, 60))):
            rates: dict[str, list[float]] = {name: [] for name in ports}
            work: dict[str, list[float]] = {name: [] for name in relays}
            for number in range(bench.rounds + 1):
                for name, port in ports.items():
                    some, before = count if number else warm_up(count), _work(relays, name)
                    rate = await once(inject, port, sink, some, size)
                    if number:
                        bench.say(f"{name}, {size} octets, round {number}: {rate:.0f}/s")
                        rates[name].append(rate)
                        if name in work:
                            work[name].append((_work(relays, name) - before) / some)
            section.rows += _rows(size, rates, work)
    section.remarks = [f"all mail goes to one queue, which lives in one shard; sent and received by {tools()}", *filter(None, [without])]
    return section


def _lines(folder: Path) -> dict[str, str]:
    """What each relay's configuration has more."""
    keys = ""
    for kind in ("rsa", "ed25519"):
        file = folder / f"{kind}.pem"
        dkim_admin.keep(str(file), dkim_admin.new_key(kind)[1])
        keys += f"domain-key {kind}, *, {file}\n"
    return {
        UNSIGNED: "",
        RSA: keys + SIGN.format(first="rsa-sha256", more=""),
        ED25519: keys + SIGN.format(first="ed25519-sha256", more=""),
        BOTH: keys + SIGN.format(first="rsa-sha256", more=SECOND),
    }


def _work(relays: dict[str, BenchRelay], name: str) -> float:
    return relays[name].work() if name in relays else 0.0


def _rows(size: int, rates: dict[str, list[float]], work: dict[str, list[float]]) -> list[Row]:
    rows = {name: Row(f"{size} octets, {name}", statistics.median(found), "messages/s") for name, found in rates.items()}
    against = PEER if PEER in rows else UNSIGNED
    for name, row in rows.items():
        if name in work:
            kept = statistics.median(rates[name]) / statistics.median(rates[UNSIGNED])
            row.note = f"{statistics.median(work[name]) * 1e6:.0f} us of processor time for each message, {kept:.0%} of unsigned"
        if name != against:
            row.against(rows[against], against)
    return list(rows.values())
