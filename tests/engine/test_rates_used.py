"""Rates are used: of what is allowed at least 95 % goes while there is mail, whatever the rate is of and however many shards there are.

That no window holds more is for `test_exact_limits`. Here each is held against its ceiling, too: a meter that is off is no success.
"""

from __future__ import annotations

from typing import Any

import pytest

from postwright.policy.settings import Rate, SourceHostRule, VmtaSettings
from postwright.testing.simulated_net import Receiver
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay

ALL4 = "0.0.0.0/0"
WINDOWS = 2  # judged, after one in which what was granted at once is spread over the whole of the interval
CONTENT = (b"y" * 60 + b"\r\n") * 8  # some 800 octets with its fields: a rate of 30,000 octets is then cut to within 3 %


class Busy:
    """A relay with one limit, and mail for `domains` that comes in faster than it may go. `sources`: so many addresses."""

    def __init__(self, shards: int, *, domains: int = 1, sources: int = 1, of_vmta: Any = None, **of_queue: Any) -> None:
        rules = tuple(SourceHostRule(f"192.0.2.{10 + at}", f"h{at}.relay.example") for at in range(sources))
        by = VmtaSettings("v", smtp_source_host=rules, **(of_vmta or {}))
        self.world = World(relay(domain("*", **of_queue), by), shards=shards)
        self.names = [f"d{number}.example" for number in range(domains)]

    def went(self, interval: float, per_interval: int) -> tuple[int, int]:
        """Messages and octets that receivers took within WINDOWS intervals, when so many came in per interval, evenly."""
        with self.world as world:
            receivers = [world.domain(name) for name in self.names]
            self._come(0.0, interval, per_interval)
            before = self._taken(receivers)
            for window in range(1, WINDOWS + 1):
                self._come(window * interval, interval, per_interval)
            assert sum(node.scheduler.recipients for node in world.nodes) > 0, "there was mail until the end"
            messages, octets = self._taken(receivers)
            return messages - before[0], octets - before[1]

    def _come(self, begin: float, interval: float, count: int) -> None:
        world = self.world
        for number in range(count):
            world.advance(max(0.0, begin + number * interval / count - world.now))
            to = f"{number}@{self.names[number % len(self.names)]}"
            world.submit("", [to], CONTENT, headers={"x-virtual-mta": "v"}, shard=number % len(world.nodes))
        world.advance(begin + interval - world.now)

    def _taken(self, receivers: list[Receiver]) -> tuple[int, int]:
        return sum(receiver.counts.messages for receiver in receivers), sum(receiver.counts.octets for receiver in receivers)


shards = pytest.mark.parametrize("shards", [1, 2, 3])


def used(count: int, rate: Rate, of: int = 1) -> None:
    """At least 95 % of what `of` such rates allow, and no more than that."""
    allowed = of * rate.count * WINDOWS
    assert 0.95 * allowed <= count <= allowed


@shards
@pytest.mark.parametrize("rate", [Rate(10, 1.0), Rate(20, 3600.0)], ids=str)
def test_messages_of_a_queue(rate: Rate, shards: int) -> None:
    used(Busy(shards, max_msg_rate=rate).went(rate.interval, rate.count * 5 // 4)[0], rate)


@shards
@pytest.mark.parametrize("rate", [Rate(10, 1.0), Rate(20, 60.0)], ids=str)
def test_messages_of_a_virtual_mta(rate: Rate, shards: int) -> None:
    busy = Busy(shards, domains=4, of_vmta={"max_smtp_msg_rate": rate})
    used(busy.went(rate.interval, rate.count * 5 // 4)[0], rate)


@shards
def test_messages_of_source_addresses(shards: int) -> None:
    rate = Rate(20, 60.0)
    used(Busy(shards, sources=2, source_ip_max_msg_rate=((ALL4, rate),)).went(rate.interval, 50)[0], rate, of=2)


@shards
def test_octets_of_a_queue(shards: int) -> None:
    rate = Rate(30_000, 60.0)
    used(Busy(shards, max_data_volume_rate=rate).went(rate.interval, 50)[1], rate)


@shards
def test_octets_of_a_virtual_mta(shards: int) -> None:
    rate = Rate(30_000, 60.0)
    used(Busy(shards, domains=4, of_vmta={"max_smtp_data_volume_rate": rate}).went(rate.interval, 50)[1], rate)


@shards
def test_octets_of_source_addresses(shards: int) -> None:
    rate = Rate(20_000, 60.0)
    busy = Busy(shards, sources=2, source_ip_max_data_volume_rate=((ALL4, rate),))
    used(busy.went(rate.interval, 64)[1], rate, of=2)
