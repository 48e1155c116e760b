"""What DKIM costs: messages a second unsigned, signed by RSA-2048, by Ed25519, by both, at 4, 10 and 100 KB, beside unsigned Postfix.

The same relay, with other lines in its configuration; all take turns round by round, so that the machine's drift falls on all alike.
Processor time is that of all processes of the relay, its signing processes included. Where RSA signatures are made eight at a time
(`engine.rsa_lanes`), a relay that makes them one by one runs beside. What was promised is a ratio; here it is the median of the rounds'.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from parts import postfix
from parts.bench import Bench
from parts.outside import SESSIONS, Sink, counting_sink, inject, tools
from parts.receiver import Receiver
from parts.relay import BenchRelay, running_relay
from parts.report import Row, Section
from parts.throughput import LARGE, PEER, SMALL, once, warm_up
from postwright.engine import crypto_mb, dkim_admin

UNSIGNED, RSA, ED25519, BOTH = "unsigned", "RSA-2048", "Ed25519", "RSA-2048 and Ed25519"
ONE_BY_ONE = "RSA-2048 one by one"
PROMISED = ((RSA, PEER, 3.0), (ED25519, UNSIGNED, 0.85))
"""At least so much of the other's messages a second."""
MIDDLE = 10_240
SIGN = "<domain *>\n    dkim-sign yes\n    dkim-algorithm {first}\n{more}</domain>\n"
SECOND = "    second-dkim-sign yes\n    second-dkim-algorithm ed25519-sha256\n"


async def measure(bench: Bench) -> Section:
    """Throughput by who signs, and what a message costs."""
    section = Section("dkim", f"messages/s end to end, {SESSIONS} sessions, by signature, median of {bench.rounds} rounds in turns")
    without, no_lanes = postfix.why_not(), _why_no_lanes()
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(bench.place("keys"))
        sink = await stack.enter_async_context(counting_sink())
        relays = {}
        for name, lines in _lines(folder, lanes=not no_lanes).items():
            environment = {crypto_mb.SWITCH: "no"} if name == ONE_BY_ONE else None
            relays[name] = await stack.enter_async_context(running_relay(bench, sink.port, more=lines, environment=environment))
        ports = {name: relay.port for name, relay in relays.items()}
        if not without:
            ports[PEER] = await stack.enter_async_context(postfix.running_postfix(bench, sink.port))
        for size, count in ((SMALL, bench.pick(5000, 200)), (MIDDLE, bench.pick(4000, 120)), (LARGE, bench.pick(1500, 60))):
            rates, work = await _in_turns(bench, ports, relays, sink, count, size)
            section.rows += _rows(size, rates, work)
            section.remarks += _kept(size, rates)
    section.remarks += [
        f"RSA-2048 is signed {'one by one: ' + no_lanes if no_lanes else 'eight at a time by crypto_mb'}",
        f"all mail goes to one queue, which lives in one shard; sent and received by {tools()}",
        *filter(None, [without]),
    ]
    return section


async def _in_turns(
    bench: Bench, ports: Mapping[str, int], relays: dict[str, BenchRelay], sink: Sink | Receiver, count: int, size: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Messages a second of each round, and seconds of processor time for each message; the first round warms up."""
    rates: dict[str, list[float]] = {name: [] for name in ports}
    work: dict[str, list[float]] = {name: [] for name in relays}
    for number in range(bench.rounds + 1):
        for name, port in ports.items():
            some, before = count if number else warm_up(count), _work(relays, name)
            rate = await once(inject, port, sink, some, size, name)
            if number:
                bench.say(f"{name}, {size} octets, round {number}: {rate:.0f}/s")
                rates[name].append(rate)
                if name in work:
                    work[name].append((_work(relays, name) - before) / some)
    return rates, work


def _kept(size: int, rates: Mapping[str, list[float]]) -> list[str]:
    """Whether what was promised is kept at this size, in words."""
    words = []
    for name, other, least in PROMISED:
        if other in rates:
            ratio = statistics.median([ours / theirs for ours, theirs in zip(rates[name], rates[other], strict=True)])
            words.append(f"{size} octets: {name} is {ratio:.2f} x {other}, at least {least:g}: {'kept' if ratio >= least else 'NOT KEPT'}")
    return words


def _why_no_lanes() -> str:
    """Why RSA signatures are not made eight at a time here; "" if they are."""
    try:
        crypto_mb.library()
    except crypto_mb.Unavailable as error:
        return str(error)
    return ""


def _lines(folder: Path, *, lanes: bool) -> dict[str, str]:
    """What each relay's configuration has more."""
    keys = ""
    for kind in ("rsa", "ed25519"):
        file = folder / f"{kind}.pem"
        dkim_admin.keep(str(file), dkim_admin.new_key(kind)[1])
        keys += f"domain-key {kind}, *, {file}\n"
    rsa = keys + SIGN.format(first="rsa-sha256", more="")
    return {
        UNSIGNED: "",
        RSA: rsa,
        **({ONE_BY_ONE: rsa} if lanes else {}),
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
