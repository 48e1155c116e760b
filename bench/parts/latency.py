"""Latency from our 250 to the receiver's having the final dot, at half of the load that the relay can carry.

Client and receiver are one process with one clock: the number of a message stands in its recipient. First the most that the relay
carries is measured with the same client and receiver; then messages begin at half that rate, whatever the relay does. The client may
hear of the 250 after the receiver has the message (both stand in one loop's queue): such a message counts as delivered at once.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack

from parts import postfix
from parts.bench import Bench
from parts.client import Client
from parts.receiver import Receiver
from parts.relay import running_relay
from parts.report import Row, Section
from parts.throughput import PEER, SMALL, US

SESSIONS = 20
WARM_UP = 0.1  # of the messages: connections are being opened


class Times:
    """When each number was accepted and when it arrived, seconds of one clock."""

    def __init__(self) -> None:
        self.accepted: dict[bytes, float] = {}
        self.arrived: dict[bytes, float] = {}

    def on_accepted(self, recipient: bytes) -> None:
        self.accepted[recipient] = time.perf_counter()

    def on_arrived(self, recipient: bytes) -> None:
        self.arrived[recipient] = time.perf_counter()

    def waits(self, recipients: list[bytes]) -> list[float]:
        """Sorted waits of these, seconds."""
        return sorted(max(0.0, self.arrived[one] - self.accepted[one]) for one in recipients)


async def measure(bench: Bench) -> Section:
    """Ours, and Postfix's at half of its own load."""
    section = Section("latency", f"from the 250 to the receiver's final dot, at half of the measured load, {SMALL} octets")
    without = postfix.why_not()
    times = Times()
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Receiver(times.on_arrived))
        relay = await stack.enter_async_context(running_relay(bench, receiver.port))
        section.rows = ours = await _rows(bench, US, relay.port, receiver, times)
        if not without:
            port = await stack.enter_async_context(postfix.running_postfix(bench, receiver.port))
            theirs = await _rows(bench, PEER, port, receiver, times)
            section.rows = [*(mine.against(peer, PEER) for mine, peer in zip(ours, theirs, strict=True)), *theirs]
    section.remarks = ["client and receiver are one process beside the relay; each relay at half of its own load", *filter(None, [without])]
    return section


async def _rows(bench: Bench, name: str, port: int, receiver: Receiver, times: Times) -> list[Row]:
    async with Client(port, SMALL, SESSIONS, times.on_accepted) as client:
        await _flood(client, receiver, b"warm", bench.pick(500, 50))
        most = await _flood(client, receiver, b"most", bench.pick(10_000, 400))
        bench.say(f"{name}: carries {most:.0f}/s; now half of that")
        count = max(100, int(most / 2 * bench.pick(20.0, 0.5)))
        recipients = [b"half%d@dst.example" % number for number in range(count)]
        target = receiver.seen + count
        rate = await client.pace(recipients, most / 2)
        await receiver.reach(target)
    waits = times.waits(recipients[int(count * WARM_UP) :])
    rows = [Row(f"{name}, load", rate, "messages/s", note=f"at most {most:.0f}/s were carried")]
    for share in (50, 99):
        rows.append(Row(f"{name}, p{share}", waits[min(len(waits) - 1, len(waits) * share // 100)] * 1e3, "ms"))
    return rows


async def _flood(client: Client, receiver: Receiver, label: bytes, count: int) -> float:
    """Messages a second, end to end."""
    target, began = receiver.seen + count, time.perf_counter()
    await client.flood(label + b"%d@dst.example" % number for number in range(count))
    return count / (await receiver.reach(target) - began)
