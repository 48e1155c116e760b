"""A session of its own for mail that must have TLS: until when it counts. Worlds have no TLS, so the dialer here leaves that out."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from postwright.engine import secured
from postwright.engine.outgoing import transaction_of
from postwright.model.route import Route, SessionOptions, TlsLevel
from postwright.schedule.queue import Queue
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay


async def send(world: World, queue: Queue) -> None:
    """Its first message, by `secured.send`."""
    node = world.node
    lease = node.scheduler.lease(queue, node.clock.now())
    assert lease is not None
    node.begin(lease)
    state = node.state(queue)
    plan = await node.delivery.opener.plan(queue, state)
    assert plan is not None
    message, content = node.read(lease.entry)
    transaction = transaction_of(message, lease, content, state.ways, node.clock.now())
    await secured.send(node, queue, lease, message, transaction, plan, state.ways.rules, configured=True)


def test_it_counts_until_the_receiver_has_said_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    with World(relay(domain("*", max_smtp_out=0))) as world:  # nothing goes by itself
        dialer = world.node.dialer
        open_it = dialer.open

        async def in_the_clear(route: Route, options: SessionOptions, *watch: Any) -> Any:
            assert options.tls is TlsLevel.VERIFIED
            return await open_it(route, replace(options, tls=TlsLevel.NONE), *watch)

        monkeypatch.setattr(dialer, "open", in_the_clear)
        mx = world.domain("example.com", rules=["quit delay=1"])
        world.submit("me@sender.example", ["you@example.com"])
        [queue] = world.node.scheduler.queues.values()
        sending = world.loop.create_task(send(world, queue))
        world.run_until(lambda: bool(world.of("d")), within=60.0)
        taken = world.now
        assert (mx.counts.open, queue.opening) == (1, 1), "delivered, and not gone"
        world.run_until(lambda: queue.opening == 0, within=60.0)
        assert mx.counts.open == 0
        assert 0.9 < world.now - taken < 2.0
        world.run(sending)
