"""The simulated world: its time, its disk, its chance. What a relay does in it is tested in tests/engine."""

from __future__ import annotations

import asyncio
import time

import pytest

from postwright.model.outcome import Fault
from postwright.testing.simulated_loop import SimulatedLoop, Stuck
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay
from postwright.testing.world_submit import Submission

DAY = 86400.0


def test_time_jumps_to_the_next_timer() -> None:
    loop = SimulatedLoop()
    order: list[tuple[str, float]] = []
    loop.call_later(3600.0, lambda: order.append(("an hour", loop.time())))
    loop.call_later(60.0, lambda: order.append(("a minute", loop.time())))
    loop.run_until_complete(asyncio.sleep(2 * 3600.0))
    loop.close()
    assert order == [("a minute", 60.0), ("an hour", 3600.0)]


def test_what_can_never_happen_is_not_waited_for() -> None:
    loop = SimulatedLoop()
    try:
        with pytest.raises(Stuck):
            loop.run_until_complete(loop.create_future())
    finally:
        loop.close()


def test_a_week_of_retries_takes_a_moment() -> None:
    settings = relay(domain("*", retry_after=(600.0,), bounce_after=30 * DAY))
    began = time.perf_counter()
    with World(settings) as world:
        mx = world.domain("example.com")
        mx.down = Fault.REFUSED
        world.submit("me@sender.example", ["you@example.com"])
        world.advance(7 * DAY)
        assert len(mx.attempts) == 7 * 144
        mx.down = None
        world.run_until_empty(within=600.0)
        assert mx.recipients == ["you@example.com"]
    assert time.perf_counter() - began < 10.0  # a bound for a machine in trouble; half a second is usual


def history(seed: int) -> list[tuple[str, str, float]]:
    rules = ["rcpt 40% 450 4.2.0 later", "connect 20% drop", "eod 20% take-drop", "mail 10% reset"]
    with World(relay(domain("*", retry_after=(60.0,))), seed=seed) as world:
        for name in ("a.example", "b.example"):
            world.domain(name, rules=rules)
        for number in range(20):
            world.submit("me@sender.example", [f"{number}@a.example", f"{number}@b.example"])
        world.run_until_empty()
        return [(record.type, record.rcpt, record.time_logged) for record in world.records]


def test_the_same_seed_gives_the_same_history() -> None:
    assert history(1) == history(1)


def test_another_seed_gives_another_history() -> None:
    assert history(1) != history(2)


def test_a_crash_loses_what_was_not_synced_and_nothing_else() -> None:
    with World(sync=0.002) as world:
        world.domain("example.com", rules=["rcpt 450 4.2.0 later"])
        assert world.submit("me@sender.example", ["kept@example.com"]).accepted

        async def too_late() -> Submission:
            task = asyncio.ensure_future(world.submitting("me@sender.example", ["lost@example.com"]))
            await asyncio.sleep(0.001)
            world.crash()
            return await task

        assert not world.run(too_late()).accepted
        world.begin()
        live = [world.node.spool.read_message(number, ref) for number, ref in world.node.spool.live()]
        assert [message.envelope.recipients[0].address.text for message in live] == ["kept@example.com"]


def test_run_until_stops_at_the_very_time() -> None:
    with World() as world:
        mx = world.domain("example.com", rules=["eod delay=7"])
        world.submit("me@sender.example", ["you@example.com"])
        assert 7.0 < world.run_until(lambda: bool(mx.messages)) < 7.1
        with pytest.raises(TimeoutError):
            world.run_until(lambda: False, within=60.0)
