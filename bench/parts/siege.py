"""What other senders keep of their throughput while the relay is besieged: idle sessions, slow ones and a guessing attack together.

Calm rounds and besieged rounds take turns on one relay; the figure is the ratio of their medians, at least 0.9. The besiegers' own
processor time is part of the siege: on one machine nobody can give it back.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from parts.bench import Bench, BenchError
from parts.outside import SESSIONS, counting_sink, inject, tools
from parts.relay import BenchRelay, running_relay
from parts.report import Row, Section
from parts.secure import BENCH
from parts.throughput import SMALL, once, warm_up

KEPT = 0.9
STANDING_WITHIN = 120.0  # seconds
LINES = """\
total-max-smtp-in 10000
<source 0/0>
    allow-unencrypted-plain-auth yes
</source>
relay-domain dst.example
<smtp-user victim>
    password correct-horse-battery
</smtp-user>
"""


class Besieged:
    """What the besiegers say at the end."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}


@asynccontextmanager
async def besieged(relay: BenchRelay, idle: int, slow: int, guessers: int) -> AsyncIterator[Besieged]:
    """The besiegers, while they stand round `relay`."""
    command = [sys.executable, "-m", "parts.siege_ends", *map(str, (relay.port, idle, slow, guessers))]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, cwd=BENCH)
    assert process.stdout is not None
    told = Besieged()
    try:
        line = await asyncio.wait_for(process.stdout.readline(), STANDING_WITHIN)
        if line.strip() != b"standing":
            raise BenchError(f"the besiegers did not stand: {line!r}")
        yield told
        process.terminate()
        told.counts = json.loads(await asyncio.wait_for(process.stdout.readline(), STANDING_WITHIN))
    except TimeoutError:
        raise BenchError(f"the besiegers did not stand within {STANDING_WITHIN:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def measure(bench: Bench) -> Section:
    """Calm and besieged in turns."""
    idle, slow, guessers = bench.pick((5000, 500, 20), (200, 20, 4))
    section = Section("siege", f"messages/s of {SESSIONS} good senders beside {idle} idle, {slow} slow and {guessers} guessing sessions")
    count = bench.pick(20_000, 200)
    rates: dict[str, list[float]] = {"calm": [], "besieged": []}
    work = {"calm": 0.0, "besieged": 0.0}
    counts: dict[str, int] = {}
    async with counting_sink() as sink, running_relay(bench, sink.port, more=LINES) as relay:
        await once(inject, relay.port, sink, warm_up(count), SMALL)

        async def measured(name: str) -> None:
            before = relay.work()
            rates[name].append(await once(inject, relay.port, sink, count, SMALL))
            work[name] += relay.work() - before

        for _ in range(bench.rounds):
            await measured("calm")
            async with besieged(relay, idle, slow, guessers) as told:
                await measured("besieged")
            counts = told.counts
            bench.say(f"calm {rates['calm'][-1]:.0f}/s, besieged {rates['besieged'][-1]:.0f}/s, {counts}")
    if counts.get("guess RIGHT"):
        raise BenchError("somebody guessed the password")
    calm, kept = (Row(name, statistics.median(found), "messages/s") for name, found in rates.items())
    ratio = Row(
        "kept of the throughput",
        kept.value / calm.value,
        "",
        note=f"at least {KEPT:g}{'' if kept.value >= KEPT * calm.value else ': NOT KEPT'}",
    )
    section.rows = [calm, kept.against(calm, "calm"), ratio]
    section.remarks = [f"sent and received by {tools()}", "; ".join(f"{what}: {number}" for what, number in sorted(counts.items()))]
    return section
